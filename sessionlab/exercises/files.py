"""What a Python file or a notebook defines, checked."""

import json
import linecache
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

from . import check
from .chapters import CHAPTERS
from .exercise import own_lines
from .result import Result, Said, State
from .running import run

NAMES = [exercise.name for exercises in CHAPTERS.values() for exercise in exercises]

_LONGEST_FILE = 30  # seconds until a file must be through with itself
_MAGIC = re.compile(r"^([ \t]*)(?:[%!?].*|.*\?)$", re.MULTILINE)


class _Piece(NamedTuple):
    """A Python file, or a cell of a notebook; ``place`` is where a traceback says that it is."""

    place: str
    source: str | bytes


def check_file(path: Path) -> list[Result]:
    """Return a result for each exercise that a Python file or a notebook defines.

    What fails as the file is run is a result, too, under the file's own name; so is a file that
    defines none.
    """
    module = sys.modules["attempt"] = ModuleType("attempt")  # dataclasses look for it there
    module.__file__, names = str(path), vars(module)
    try:
        pieces = list(_pieces(path))
    except Exception as error:  # it may hold anything
        return [_problem(path, f"{type(error).__name__}: {error}")]
    problems = [problem for piece in pieces if (problem := _run(piece, path, names)) is not None]
    results = [check(name, names[name]) for name in NAMES if _is_their_own(names.get(name))]
    if not results and not problems:
        text = "it defines none of the exercises; `list` shows their names"
        problems = [Result(path.name, State.NOT_ATTEMPTED, [Said("what is missing", text)])]
    return [*problems, *results]


def _problem(path: Path, text: str) -> Result:
    return Result(path.name, State.ERROR, [Said("what went wrong", text)])


def _is_their_own(value: object) -> bool:
    # ``from sessionlab import *`` brings solutions; they are no attempt.
    module = getattr(value, "__module__", "")
    return value is not None and not f"{module}.".startswith("sessionlab.")


def _pieces(path: Path) -> Iterator[_Piece]:
    if path.suffix != ".ipynb":
        yield _Piece(str(path), path.read_bytes())
        return
    for number, cell in enumerate(json.loads(path.read_bytes())["cells"], 1):
        if cell["cell_type"] == "code":
            place, source = f"{path}, cell {number}", "".join(cell["source"])
            lines = source.splitlines(keepends=True)
            linecache.cache[place] = len(source), None, lines, place  # for tracebacks
            yield _Piece(place, source)


def _compiled(piece: _Piece) -> CodeType:
    try:
        return compile(piece.source, piece.place, "exec", dont_inherit=True)
    except SyntaxError:
        if isinstance(piece.source, bytes):
            raise
    # What IPython alone understands is no part of an attempt.
    source = "" if piece.source.startswith("%%") else _MAGIC.sub(r"\1pass", piece.source)
    return compile(source, piece.place, "exec", dont_inherit=True)


def _run(piece: _Piece, path: Path, names: dict[str, object]) -> Result | None:
    outcome = run(lambda: exec(_compiled(piece), names), _LONGEST_FILE)  # noqa: S102
    if outcome.is_late:
        return _problem(path, f"it is not through after {_LONGEST_FILE} s")
    if outcome.error is None or isinstance(outcome.error, NotImplementedError):
        return None
    return _problem(path, own_lines(outcome.error))
