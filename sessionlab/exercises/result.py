"""What came of a check, to be displayed, and to be asked: true only when the attempt passed."""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from ..lab import Display, Row, Table
from ..lab.table import AMBER, GREEN, PLAIN, RED, visible

_MOST_SHOWN = 600  # characters of a value
_MOST_LINES = 12


class State(Enum):
    """What an attempt is; the value is what is shown."""

    PASSED = "passed"
    WRONG = "wrong"
    NOT_ATTEMPTED = "not attempted"
    ERROR = "error"


_TINTS = {"holds": GREEN, "expected": GREEN, "what came out": RED, "what went wrong": AMBER}


class Said(NamedTuple):
    """A line of the result: what kind of thing is said, and the text or its lines."""

    about: str
    text: str


class Result(Display):
    """The state of an attempt, and what there is to say of it. True only if it passed.

    ``rule`` is the claim that does not hold, or None; ``said`` the rest, line by line.
    """

    def __init__(
        self, name: str, state: State, said: Sequence[Said] = (), rule: str | None = None
    ) -> None:
        self.name = name
        self.state = state
        self.rule = rule
        self.said = list(said)

    def __bool__(self) -> bool:
        return self.state is State.PASSED

    def tables(self) -> Iterable[Table]:
        rows = [Row([about, _lines(text)], _TINTS.get(about, PLAIN)) for about, text in self.said]
        yield Table(self.name, ["state", self.state.value], rows, prose=["state"])


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if len(lines) <= _MOST_LINES:
        return lines
    return [*lines[: _MOST_LINES - 2], f"… ({len(lines) - _MOST_LINES + 1} more lines)", lines[-1]]


def shown(value: object) -> str:
    """Return ``repr(value)``, shortened; what a learner's own ``__repr__`` does can't hurt."""
    try:
        text = repr(value)
        if not isinstance(text, str):
            raise TypeError("__repr__ returned no text")
    except Exception as error:
        return f"(a {type(value).__name__} whose repr() raises {type(error).__name__})"
    return shorter(visible(text))


def shorter(text: str) -> str:
    """Return the beginning of a text, and its length where something was left out."""
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}… ({len(text)} characters)"
