"""A folder of submissions, checked, as a table and as CSV.

The rules of this file: nothing that is in a submission can stop the grading, and none sees another
one, for each runs in a process of its own.
"""

import csv
import json
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from ..lab import Row, Table
from .files import NAMES
from .result import Result, State

_LONGEST = 300  # seconds of a submission
_BEST_FIRST = [State.PASSED, State.WRONG, State.ERROR, State.NOT_ATTEMPTED]
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet would compute begins so

States = dict[str, State]  # of the exercises, and of whatever else there is to say


def grade(path: Path) -> States:
    """Return what a submission, a file or a folder, has come to. Never raises."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    names = [
        str(file) for file in files if file.is_file() and _is_part(file.relative_to(path.parent))
    ]
    if not names:
        return {"no .py or .ipynb file": State.NOT_ATTEMPTED}
    command = [sys.executable, "-m", "sessionlab.exercises", "check", "--json", "--", *names]
    nothing = subprocess.DEVNULL
    # To a file, not a pipe, which a program that is left behind would keep open.
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(  # noqa: S603  (our own interpreter)
                command, stdin=nothing, stdout=said, stderr=nothing, timeout=_LONGEST, check=False
            )
        said.seek(0)
        return _read(said.read())


def _is_part(path: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix in (".py", ".ipynb") and not is_hidden


def _read(text: str) -> States:
    # The last line; a submission's own programs may have printed others.
    try:
        states = json.loads(text.splitlines()[-1])
        return {str(name): State(state) for name, state in states.items()}
    except (IndexError, ValueError, AttributeError):
        return {"it ended, or was ended, before its checks were done": State.ERROR}


def best(results: Iterable[Result]) -> States:
    """Return the best state of each exercise, which may be in several files, perhaps in one of
    them as it was handed out."""
    states: States = {}
    for name, state in ((result.name, result.state) for result in results):
        states[name] = min(state, states.get(name, state), key=_BEST_FIRST.index)
    return states


def is_well(states: Iterable[State]) -> bool:
    """Return whether all that was attempted passes."""
    return all(state in (State.PASSED, State.NOT_ATTEMPTED) for state in states)


def table(grades: dict[str, States]) -> Table:
    """Return who passed how many, and what came of the others, to be displayed."""
    rows = [
        Row([name, f"{_passed(states)} of {len(NAMES)}", _others(states) or "nothing"])
        for name, states in grades.items()
    ]
    rows = rows or [Row(["(none)", "", "the folder has no submissions"])]
    return Table("the submissions", ["submission", "passed", "what did not"], rows)


def write_csv(path: Path, grades: dict[str, States]) -> None:
    """Write a row for each submission, a column for each exercise. Raises: ``OSError``."""
    rows = [["submission", *NAMES, "passed", "remarks"]]
    for name, states in grades.items():
        of_each = [states[each].value if each in states else "" for each in NAMES]
        remarks = "; ".join(_others({each: states[each] for each in states if each not in NAMES}))
        rows.append([_no_formula(name), *of_each, str(_passed(states)), _no_formula(remarks)])
    # It begins with the mark of UTF-8, by which spreadsheets know it.
    with path.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace") as file:
        csv.writer(file).writerows(rows)


def _no_formula(text: str) -> str:
    # A file named ``=HYPERLINK(...)`` would run in the spreadsheet of whoever grades.
    return f"'{text}" if text.startswith(_FORMULA) else text


def _passed(states: States) -> int:
    return sum(states.get(name) is State.PASSED for name in NAMES)


def _others(states: States) -> list[str]:
    return [f"{name}: {state.value}" for name, state in states.items() if state is not State.PASSED]
