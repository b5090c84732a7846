"""The table of the reliability bar: a row without a test, skipped or failed is shown as such."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from reliability.bar import PLACES, ROOT, ROWS, Bar, BarOfAllTests, as_markdown, as_text, rows_of

HELD = ("C1: a logout is final", "passed", [("tried", 10, "races"), ("found", 0, "resurrected")])
CAUGHT = ("C1, T1: a blind set", "passed", [])


def bar_of(*tests):
    """Return the table of row C1 after these tests: docstring, outcome, and figures of each."""
    (line,) = run(Bar(["C1"]), tests).lines()
    return line


def run(bar, tests):
    for number, (docstring, outcome, figures) in enumerate(tests):
        item = SimpleNamespace(function=SimpleNamespace(__doc__=docstring))
        bar.rows[str(number)] = rows_of(item)
        noted = [("figure", figure) for figure in figures]
        for when in ("setup", "call", "teardown") if outcome != "skipped" else ("setup",):
            said = outcome if when == "call" or outcome == "skipped" else "passed"
            bar.pytest_runtest_logreport(
                SimpleNamespace(nodeid=str(number), when=when, outcome=said, user_properties=noted)
            )
    return bar


@pytest.mark.parametrize(
    ("tests", "verdict"),
    [
        ([HELD, CAUGHT], "held"),
        ([HELD, HELD, CAUGHT], "held"),
        ([], "NO TEST"),
        ([HELD], "NO BUG"),
        ([CAUGHT], "NO TEST"),
        ([(HELD[0], "skipped", []), CAUGHT], "SKIPPED"),
        ([HELD, (HELD[0], "skipped", []), CAUGHT], "SKIPPED"),
        ([HELD, (HELD[0], "failed", HELD[2]), CAUGHT], "NOT HELD"),
        ([HELD, CAUGHT, (CAUGHT[0], "failed", [])], "NOT HELD"),
        ([(HELD[0], "passed", []), CAUGHT], "UNSAID"),
    ],
)
def test_a_row_holds_when_its_tests_passed_and_its_planted_bugs_were_caught(tests, verdict):
    line = bar_of(*tests)
    assert line.verdict == verdict
    assert line.is_held == (verdict == "held")


def test_what_the_tests_of_a_row_tried_and_found_is_added_up_and_the_worst_is_taken():
    slow, slower = ("C1.", "passed", [("worst", 2, "ms")]), ("C1.", "passed", [("worst", 30, "ms")])
    line = bar_of(HELD, HELD, slow, slower, CAUGHT)
    assert (line.tried, line.figure) == ("20 races", "0 resurrected; at most 30 ms")
    assert line.bugs == "1/1"


def test_the_row_of_the_planted_bugs_names_the_rows_that_have_none():
    bar = Bar(list(ROWS))
    (line,) = (line for line in bar.lines() if line.row == "T1")
    assert line.verdict == "NOT HELD"
    assert "C1, C2" in line.figure


def test_the_table_is_at_most_120_wide_and_loses_no_word():
    line = bar_of((HELD[0], "passed", [("tried", 10, "races " * 40), HELD[2][1]]), CAUGHT)
    text = as_text([line])
    assert max(map(len, text.splitlines())) <= 120
    assert text.count("races") == 40
    assert "resurrected" in as_markdown([line])


@pytest.mark.parametrize(("tests", "status"), [([HELD, CAUGHT], 0), ([HELD], 1)])
def test_a_run_of_all_tests_fails_for_a_row_that_does_not_hold(tests, status):
    bar = BarOfAllTests()
    bar.wanted = ["C1"]
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    run(bar, tests).pytest_sessionfinish(session)
    assert session.exitstatus == status


def test_a_run_of_all_tests_chooses_none_of_them_and_ends_with_the_table():
    one = f"{__file__}::test_the_row_of_the_planted_bugs_names_the_rows_that_have_none"
    command = [sys.executable, "-m", "pytest", "--bar", "-p", "no:cacheprovider", one]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "1 passed" in ended.stdout
    assert f"0 of {len(ROWS)} rows held, at small size" in ended.stdout
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED


def test_every_row_has_a_test_and_a_planted_bug():
    sources = "".join(
        path.read_text(encoding="utf-8")
        for place in PLACES
        for path in sorted([*Path(ROOT, place).glob("test_*.py"), Path(ROOT, place)])
        if path.is_file()
    )
    found = re.findall(r'"""([A-Z]\d(?:, [A-Z]\d)*)[:.]', sources)
    assert {row for rows in found for row in rows.split(", ")} == ROWS.keys()
    assert {rows.split(", ")[0] for rows in found if rows.endswith("T1")} == ROWS.keys() - {"T1"}
