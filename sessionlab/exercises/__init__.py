"""Exercises whose answers are checked on the spot.

``check(name, attempt)`` says whether an attempt passes, and if not, what went in, what came out and
what was expected. ``hint(name)`` helps in steps, ``solution(name)`` shows a solution, and
``progress()`` what is done. From a terminal: ``python -m sessionlab.exercises``.
"""

from ..lab import Row, Source, Table
from ..lab.table import GREEN, PLAIN
from .chapters import CHAPTERS, find
from .exercise import closest
from .result import Result, Said, State

__all__ = ["Result", "State", "check", "hint", "progress", "solution"]

_states: dict[str, State] = {}


def check(name: str, attempt: object = None) -> Result:
    """Return whether an attempt passes, to be displayed; true only if it does.

    ``attempt`` is what the exercise asks for, the function or class itself: ``check("sign",
    sign)``. Never raises, and takes seconds at most; what the attempt prints is kept.
    """
    exercise = find(name)
    if exercise is None:
        return Result(str(name), State.ERROR, [Said("what went wrong", _unknown(name))])
    result = exercise.check(attempt)
    if _states.get(exercise.name) is not State.PASSED:
        _states[exercise.name] = result.state
    return result


def hint(name: str) -> Source:
    """Return the next hint of an exercise; the first says the least."""
    exercise = find(name)
    return Source(f"# {_unknown(name)}") if exercise is None else exercise.hint()


def solution(name: str) -> Source:
    """Return the source of a solution, which for most exercises is the library's own."""
    exercise = find(name)
    return Source(f"# {_unknown(name)}") if exercise is None else exercise.solution()


def progress(chapter: int | None = None) -> Table:
    """Return what is done since Python was started, to be displayed; of one chapter, or of all."""
    rows = []
    for number, exercises in CHAPTERS.items():
        for exercise in exercises if chapter in (None, number) else []:
            state = _states.get(exercise.name, State.NOT_ATTEMPTED)
            tint = GREEN if state is State.PASSED else PLAIN
            rows.append(Row([str(number), exercise.name, exercise.kind, state.value], tint))
    rows = rows or [Row(["(none)", f"there is no chapter {chapter}: write 1 to 8", "", ""])]
    caption = f"{sum(row.tint == GREEN for row in rows)} of {len(rows)} passed"
    return Table(caption, ["chapter", "exercise", "kind", "state"], rows)


def _unknown(name: object) -> str:
    names = [exercise.name for exercises in CHAPTERS.values() for exercise in exercises]
    meant = closest(name, names)
    advice = f"did you mean {meant!r}?" if meant else "progress() lists them"
    return f"there is no exercise {name!r}: {advice}"
