"""The exercises from a terminal: list them, check what files define, grade a folder."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..lab import Row, Table
from . import _unknown, solution
from .chapters import CHAPTERS, find
from .exercise import Exercise
from .files import check_file
from .grading import best, grade, is_well, table, write_csv


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 if all that was attempted passes, 1 if not, 2 for a bad call."""
    options = _parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sessionlab.exercises", description=__doc__.splitlines()[0]
    )
    parser.set_defaults(run=_list)
    commands = parser.add_subparsers(title="commands, of which the first is the default")
    commands.add_parser("list", help="list the exercises").set_defaults(run=_list)
    one = commands.add_parser("check", help="check what .py files and notebooks define")
    one.add_argument("files", nargs="+", type=Path)
    one.add_argument("--json", action="store_true", help="print states only, as JSON")
    one.set_defaults(run=_check)
    helper = commands.add_parser("hint", help="print the first hints of an exercise")
    helper.add_argument("exercise", type=_exercise)
    helper.add_argument("many", nargs="?", type=int, default=1, help="how many; 1 unless told")
    helper.set_defaults(run=_hint)
    answer = commands.add_parser("solution", help="print a solution of an exercise")
    answer.add_argument("exercise", type=_exercise)
    answer.set_defaults(run=_solution)
    many = commands.add_parser("grade", help="check a folder of submissions, and print a table")
    many.add_argument("folder", type=Path, help="each file or folder in it is a submission")
    many.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV, too")
    many.set_defaults(run=_grade)
    return parser


def _exercise(name: str) -> Exercise:
    if exercise := find(name):
        return exercise
    raise argparse.ArgumentTypeError(_unknown(name))


def _refuse(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


def _list(options: argparse.Namespace) -> int:
    tasks = [
        Row([str(chapter), exercise.name, exercise.kind, exercise.task])
        for chapter, exercises in CHAPTERS.items()
        for exercise in exercises
    ]
    print(Table("the exercises", ["chapter", "name", "kind", "task"], tasks))
    return 0


def _hint(options: argparse.Namespace) -> int:
    exercise = options.exercise
    exercise.hints_given = 0
    many = min(max(options.many, 1), len(exercise.hints))
    print("\n\n".join(str(exercise.hint()) for _ in range(many)))
    return 0


def _solution(options: argparse.Namespace) -> int:
    print(solution(options.exercise.name))
    return 0


def _check(options: argparse.Namespace) -> int:
    if missing := [str(path) for path in options.files if not path.is_file()]:
        return _refuse(f"there is no file {', '.join(missing)}")
    # A file may import another one beside it, which hides nothing of Python's own.
    sys.path += [str(path.parent) for path in options.files]
    results = [result for path in options.files for result in check_file(path)]
    if options.json:
        states = {name: state.value for name, state in best(results).items()}
        print(json.dumps(states), flush=True)
    else:
        print("\n\n".join(str(result) for result in results))
    return 0 if is_well(result.state for result in results) else 1


def _grade(options: argparse.Namespace) -> int:
    if not options.folder.is_dir():
        return _refuse(f"{options.folder} is no folder: name one that holds the submissions")
    grades = {}
    for path in sorted(options.folder.iterdir()):
        is_ours = options.csv and path.resolve() == options.csv.resolve()
        if not path.name.startswith((".", "__")) and not is_ours:
            print(f"checking {path.name!r}", file=sys.stderr, flush=True)
            grades[path.name] = grade(path)
    print(table(grades))
    try:
        if options.csv:
            write_csv(options.csv, grades)
    except OSError as error:
        return _refuse(f"the table is not written: {error}")
    return 0 if all(is_well(states.values()) for states in grades.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
