"""The checker on trial: starters, solutions, wrong answers, and attempts that misbehave."""

import ast
import importlib
import linecache
import sys
import threading
import time
from pathlib import Path

import nbformat
import pytest
import trial
from refresh_notebooks import NOTEBOOKS

import sessionlab
from sessionlab.exercises import State, check, hint, progress, solution
from sessionlab.exercises.chapters import CHAPTERS, find

for module in sorted(Path(__file__).parent.glob("wrong_*.py")):
    importlib.import_module(module.stem)

EXERCISES = [exercise for exercises in CHAPTERS.values() for exercise in exercises]
NAMES = [exercise.name for exercise in EXERCISES]
each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=NAMES)


def defined(source, name):
    """What a cell with this source defines; a traceback finds its lines, as in a notebook."""
    file = f"<{name}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    names = {}
    exec(compile("from sessionlab import *\n", file, "exec"), names)
    exec(compile(source, file, "exec"), names)
    return names[name]


@each_exercise
def test_a_starter_is_not_attempted(exercise):
    assert check(exercise.name, defined(exercise.starter, exercise.name)).state is (
        State.NOT_ATTEMPTED
    )


@each_exercise
def test_a_solution_passes(exercise):
    result = check(exercise.name, exercise.answer)
    assert result, str(result)


@each_exercise
def test_a_solution_can_be_shown_and_hints_come_in_steps(exercise):
    assert "def " in str(solution(exercise.name)) or "class " in str(solution(exercise.name))
    assert len(exercise.hints) >= 2
    given = [str(hint(exercise.name)) for _ in exercise.hints]
    assert len(set(given)) == len(given)


@pytest.mark.parametrize("answer", trial.ALL, ids=str)
def test_a_wrong_answer_is_caught_by_its_own_message(answer):
    result = check(answer.exercise, answer.attempt)
    assert (result.state, result.rule) == (
        State.ERROR if answer.is_error else State.WRONG,
        answer.claim,
    ), str(result)


@each_exercise
def test_an_exercise_has_four_wrong_answers_and_each_rule_catches_one(exercise):
    answers = [answer for answer in trial.ALL if answer.exercise == exercise.name]
    assert len(answers) >= 4
    assert {answer.claim for answer in answers} >= {rule.claim for rule in exercise.rules}


def test_no_two_exercises_or_rules_share_a_name():
    assert len(set(NAMES)) == len(NAMES)
    for exercise in EXERCISES:
        claims = [rule.claim for rule in exercise.rules]
        assert len(set(claims)) == len(claims)


def code_cells(path):
    return [
        cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_notebook_of_a_chapter_has_each_starter_and_its_check(chapter):
    (path,) = (NOTEBOOKS / "exercises").glob(f"{chapter:02}-*.ipynb")
    cells = code_cells(path)
    for exercise in CHAPTERS[chapter]:
        after = cells[cells.index(exercise.starter) + 1]
        assert after == f'check("{exercise.name}", {exercise.name})'


def test_a_learner_imports_only_check_and_public_names():
    allowed = {"sessionlab": set(sessionlab.__all__), "sessionlab.lab": None}
    allowed["sessionlab.exercises"] = {"check", "hint", "solution", "progress"}
    for path in (NOTEBOOKS / "exercises").glob("*.ipynb"):
        for node in ast.walk(ast.parse("\n".join(code_cells(path)))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("sessionlab"):
                names = allowed[node.module]
                assert names is None or {alias.name for alias in node.names} <= names


def endless(*_):
    while True:
        pass


is_over = threading.Event()  # for what can't be ended; else it would slow all tests that follow


def endless_and_deaf(*_):
    while not is_over.is_set():
        try:
            is_over.wait(0.001)
        except BaseException:  # noqa: S112
            continue


def printing(*_):
    print("x" * 1_000_000)
    return "x" * 1_000_000


def leaving(*_):
    sys.exit("bye")


def interrupting(*_):
    raise KeyboardInterrupt


def recursive(*arguments):
    return recursive(*arguments)


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


def unprintable(*_):
    return Unprintable()


SILLY = [5, "text", object(), Unprintable(), int, [], lambda: None, Exception, print, type]
SILLY += [printing, leaving, interrupting, recursive, unprintable]


@each_exercise
def test_nothing_silly_passes_or_raises_or_prints(exercise, capsys):
    for attempt in SILLY:
        result = check(exercise.name, attempt)
        assert not result
        assert len(str(result)) < 10_000
        assert result._repr_mimebundle_()["text/html"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("attempt", [endless, endless_and_deaf])
def test_an_endless_loop_is_told_and_not_suffered(attempt, monkeypatch):
    monkeypatch.setattr(find("sign"), "seconds", 0.2)
    is_over.clear()
    started, before = time.monotonic(), set(threading.enumerate())
    result = check("sign", attempt)
    taken = time.monotonic() - started
    is_over.set()
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert result.state is State.ERROR
    assert "no answer after 0.2 s" in str(result)
    assert taken < 5


def test_nothing_is_not_attempted():
    for nothing in (None, ...):
        assert check("sign", nothing).state is State.NOT_ATTEMPTED


def test_an_error_shows_the_learners_own_line_and_no_frame_of_ours():
    source = "def sign(value, secret):\n    return value / 0  # the line\n"
    text = str(check("sign", defined(source, "sign")))
    assert "return value / 0  # the line" in text
    assert "TypeError" in text
    assert "sessionlab" not in text


def test_a_wrong_answer_is_told_what_went_in_what_came_out_and_why_it_matters():
    text = str(check("sign", lambda value, secret: f"{value}.{secret}"))
    for part in ("what went in", "what came out", "expected", "why it matters", "hint"):
        assert part in text
    assert "sign('hello', 'tobiiscool')" in text.replace("<lambda>", "sign")


def test_an_unknown_name_is_told_which_one_was_meant():
    assert "did you mean 'sign'" in str(check("sgin", print))
    assert "did you mean 'sign'" in str(hint("sgin"))
    assert "did you mean 'sign'" in str(solution("sgin"))
    for name in (None, 5, [], Unprintable):
        assert not check(name, print)


def test_progress_keeps_what_has_passed():
    check("forge", find("forge").answer)
    check("forge", None)
    row = next(row for row in progress(2).rows if row.cells[1] == "forge")
    assert row.cells[-1] == "passed"
    assert len(progress().rows) == len(EXERCISES)
    assert "write 1 to" in str(progress(77))
