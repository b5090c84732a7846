"""Ask a store for each promise of the contract, and show which it keeps.

The rules of this file: the promises are those of ``sessionlab.testing``, asked without pytest. A
store may fail in any way, or never answer; nothing is raised, and what is shown says nothing of
folders or of places in memory.
"""

import re
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from .. import testing
from ..stores import Store
from ..testing import StoreContract
from .table import GREEN, RED, Display, Row, Table, shorten

_LIMIT = 3.0  # seconds that a promise may take
_LONGEST = 90  # characters of what an exception says
_FOLDERS = re.compile(r"([A-Za-z]:)?[\\/]([^\s\\/:'\"]+[\\/])+")
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


class Promise(NamedTuple):
    """A promise in words, and what went wrong with it: nothing, where it was kept."""

    words: str
    problem: str


class Promises(Display):
    """All promises of the contract, to be displayed; true when all of them were kept."""

    def __init__(self, promises: Sequence[Promise]) -> None:
        self.promises = promises

    @property
    def broken(self) -> dict[str, str]:
        """What went wrong, by the promise that was not kept."""
        return {words: problem for words, problem in self.promises if problem}

    def __bool__(self) -> bool:
        return not self.broken

    def tables(self) -> Iterable[Table]:
        count, kept = len(self.promises), len(self.promises) - len(self.broken)
        columns = ["promise", "kept", "what went wrong"]
        rows = [
            Row([words, "no", problem], RED) if problem else Row([words, "yes", ""], GREEN)
            for words, problem in self.promises
        ]
        if self:
            columns = columns[:2]
            rows = [Row(row.cells[:2], row.tint) for row in rows]
        yield Table(f"the contract: {kept} of {count} promises kept", columns, rows, ["promise"])


def contract(make_store: Callable[[Callable[[], float]], Store]) -> Promises:
    """Return which promises of ``StoreContract`` a store keeps.

    ``make_store(now)`` returns an empty store that reads the time from ``now``; it is called for
    each promise. A promise that takes longer than 3 seconds counts as broken.
    """
    if not __debug__:
        raise RuntimeError("python -O leaves out the assertions: run without -O")
    names = [name for name in vars(StoreContract) if name.startswith("test_")]
    with _errors_of_threads() as errors:
        return Promises([_ask(make_store, name, errors) for name in names])


def _ask(make_store: Callable[[Any], Store], name: str, errors: list[BaseException]) -> Promise:
    class Contract(StoreContract):
        def make_store(self, now: Callable[[], float]) -> Store:
            return make_store(now)

    mine: list[BaseException] = []

    def run() -> None:
        try:
            asked = Contract()
            asked.setup_method()
            getattr(asked, name)()
        except BaseException as error:
            mine.append(error)

    errors.clear()
    thread = threading.Thread(target=run, daemon=True)  # a store that waits for ever may do so
    thread.start()
    thread.join(_LIMIT)
    words = name.removeprefix("test_").replace("_", " ")
    if thread.is_alive():
        return Promise(words, f"no answer within {_LIMIT:g} seconds")
    problems = errors + mine
    return Promise(words, _describe(problems[0]) if problems else "")


@contextmanager
def _errors_of_threads() -> Iterator[list[BaseException]]:
    # The race runs in threads. What they raise would be printed, and says more than who won.
    errors: list[BaseException] = []
    others, usual = set(threading.enumerate()), threading.excepthook

    def note(args: Any) -> None:
        if args.thread in others:
            usual(args)
        else:
            errors.append(args.exc_value)

    threading.excepthook = note
    try:
        yield errors
    finally:
        threading.excepthook = usual


def _describe(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    is_ours = bool(frames) and frames[-1].filename == testing.__file__
    if isinstance(error, AssertionError) and is_ours:
        return _assertion(error)
    first_line = str(error).strip().partition("\n")[0]
    said = _ADDRESS.sub("", _FOLDERS.sub("", first_line))
    return shorten(f"{type(error).__name__}: {said}" if said else type(error).__name__, _LONGEST)


def _assertion(error: AssertionError) -> str:
    # The promise's own line, and what was there instead if it is one that looks into the store.
    frames = list(traceback.walk_tb(error.__traceback__))
    lines = traceback.extract_tb(error.__traceback__)
    at = next(index for index, line in enumerate(lines) if line.name.startswith("test_"))
    said = (lines[at].line or "an assertion").replace("self.", "")
    seen = frames[-1][0].f_locals
    if lines[-1].name != "expect":
        return said
    record, text, expires_at = seen["record"], seen["text"], seen["expires_at"]
    if record is None:
        return f"{said}: there is nothing"
    if record.text != text:
        return f"{said}: there is {shorten(record.text, 20)!r}"
    return f"{said}: it ends {record.expires_at - expires_at:+g} s off"
