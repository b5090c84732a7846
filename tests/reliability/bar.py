"""Run every row of the reliability bar, and print what was tried and what came of it.

    python tests/reliability/bar.py [ROW ...] [--full] [--markdown FILE]
    python -m pytest --bar          # the same table, after a run of all tests

The rules of this file: it knows the rows and no figure. A test belongs to the rows that its
docstring, or its class's, begins with (``C1: ...``); with T1 among them, it runs the row's harness
on a planted bug. What was tried and found, a test says through the fixture ``figure``. A row holds
when its tests have passed, all of them, and it has one of each kind; else the exit status is 1.
"""

import argparse
import re
import sys
import time
from collections import Counter
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PLACES = [
    "tests/reliability",
    "tests/express/test_signatures.py",
    "tests/express/test_interchange.py",
]
ROWS = {
    "T1": "tests can fail",
    "C1": "a logout is final",
    "C2": "the old id is dead after regenerate",
    "C3": "distinct keys are never lost",
    "C4": "atomic counters are exact",
    "C5": "create never overwrites",
    "C6": "read-only requests write no data",
    "C7": "the merge is right",
    "C8": "every schedule of two requests",
    "D1": "kill -9, SQLite",
    "D3": "kill -9, Redis, appendfsync always",
    "D4": "a full disk",
    "D5": "forked workers",
    "F1": "no success for a failed store operation",
    "F2": "an outage logs nobody out",
    "F4": "a frozen or killed server",
    "F5": "a locked database",
    "F6": "unreadable records",
    "F7": "the clock jumps",
    "W1": "valid WSGI on both sides",
    "W2": "commit before the first byte",
    "W3": "the application's own headers",
    "W4": "exceptions and disconnects",
    "W5": "shared caches",
    "P1": "hostile cookies",
    "P2": "parsing takes linear time",
    "P3": "a good session survives bad neighbours",
    "P4": "forged cookies ahead of the good one",
    "P5": "nothing passes for our cookie's name",
    "P6": "injection through attributes",
    "P7": "Node reads us, we read Node",
    "P8": "the signature guards the store",
    "S1": "session fixation",
    "S2": "a flood of strangers",
    "S3": "rotation of the secret",
    "S4": "no leaks in logs, bodies and reprs",
    "S5": "the absolute limit",
    "S6": "one store with Express",
    "L1": "soak",
}
_ROWS_IN_FRONT = re.compile(r"([A-Z]\d(?:, [A-Z]\d)*)[:.]")


def rows_of(item: pytest.Item) -> list[str]:
    """Return the rows that a test belongs to."""
    for each in (getattr(item, "function", None), getattr(item, "cls", None)):
        match = _ROWS_IN_FRONT.match(getattr(each, "__doc__", None) or "")
        if match:
            return match[1].split(", ")
    return []


class Line(NamedTuple):
    """A row of the table."""

    row: str
    requirement: str
    tried: str
    figure: str
    bugs: str
    verdict: str

    @property
    def is_held(self) -> bool:
        return self.verdict == "held"


class Bar:
    """A plugin of pytest that takes down what the tests of the rows say."""

    def __init__(self, wanted: list[str]) -> None:
        self.wanted = wanted
        self.rows: dict[str, list[str]] = {}  # by test
        self.outcomes: dict[str, str] = {}  # by test: passed, failed, skipped
        self.noted: dict[str, list[tuple[str, float, str]]] = {}  # by row

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        for item in items:
            self.rows[item.nodeid] = rows_of(item)
            unknown = set(self.rows[item.nodeid]) - ROWS.keys()
            if unknown:
                raise pytest.UsageError(f"{item.nodeid}: there is no row {unknown}")
        self._choose(config, items)

    def _choose(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if self._is_wanted(item.nodeid)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen

    def _is_wanted(self, test: str) -> bool:
        return bool(set(self.rows[test]) & set(self.wanted))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        is_told = report.when == "call" or report.outcome != "passed"
        if is_told and self.outcomes.get(report.nodeid) != "failed":
            self.outcomes[report.nodeid] = report.outcome
        if report.when == "teardown":
            own = [row for row in self.rows.get(report.nodeid, []) if row != "T1"]
            for name, value in report.user_properties:
                if name == "figure":
                    kind, number, what, *elsewhere = value
                    for row in elsewhere or own:
                        self.noted.setdefault(row, []).append((kind, number, what))

    def lines(self) -> list[Line]:
        return [self._line(row) for row in ROWS if row in self.wanted]

    def _line(self, row: str) -> Line:
        own, planted = self._tests(row)
        caught = sum(self.outcomes.get(test) == "passed" for test in planted)
        if row == "T1":
            return self._line_of_planted_bugs(planted, caught)
        outcomes = {self.outcomes.get(test, "skipped") for test in own}
        if not own or ("passed" not in outcomes and "failed" not in outcomes):
            verdict = "SKIPPED" if own else "NO TEST"
        elif "failed" in outcomes or caught < len(planted):
            verdict = "NOT HELD"
        else:
            verdict = "SKIPPED" if "skipped" in outcomes else "held" if planted else "NO BUG"
        noted = self.noted.get(row, [])
        tried, figure = say(noted, "tried"), say(noted, "found", "worst")
        if verdict == "held" and not (tried and figure):
            verdict = "UNSAID"
        return Line(row, ROWS[row], tried, figure, f"{caught}/{len(planted)}", verdict)

    def _tests(self, row: str) -> tuple[list[str], list[str]]:
        """Return the tests that hold a row, and those that plant a bug."""
        tests = [test for test, rows in self.rows.items() if row in rows and self._is_wanted(test)]
        planted = [test for test in tests if "T1" in self.rows[test]]
        return [test for test in tests if test not in planted], planted

    def _line_of_planted_bugs(self, planted: list[str], caught: int) -> Line:
        without = [row for row in ROWS if row != "T1" and not self._tests(row)[1]]
        figure = f"{caught:,} caught"
        if without:
            figure += f"; none for {', '.join(without)}"
        is_held = planted and caught == len(planted) and not without
        tried = f"{len(planted):,} planted bugs"
        verdict = "held" if is_held else "NOT HELD"
        return Line("T1", ROWS["T1"], tried, figure, f"{caught}/{len(planted)}", verdict)


class BarOfAllTests(Bar):
    """The same beside a run of all tests: prints the table at its end, and fails it for a row."""

    def __init__(self) -> None:
        super().__init__(list(ROWS))
        self.started = time.monotonic()

    def _choose(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        pass

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        is_held = all(line.is_held for line in self.lines())
        if session.exitstatus == pytest.ExitCode.OK and not is_held:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        is_full = terminalreporter.config.getoption("--full")
        terminalreporter.write(report(self.lines(), is_full, time.monotonic() - self.started))


def say(noted: list[tuple[str, float, str]], *kinds: str) -> str:
    """Put figures into words: those of several tests are added up, or the worst is taken."""
    sums: Counter[str] = Counter()
    worst: dict[str, float] = {}
    for kind, number, what in noted:
        if kind in kinds and kind == "worst":
            worst[what] = max(number, worst.get(what, number))
        elif kind in kinds:
            sums[what] += number
    said = [f"{number:,} {what}" for what, number in sums.items()]
    return "; ".join([*said, *(f"at most {number:.3g} {what}" for what, number in worst.items())])


HEADS = Line("row", "requirement", "what was tried", "figure", "bugs", "verdict")
WIDTHS = (3, 21, 40, 31, 7, 8)  # with the gaps, 120


def as_text(lines: list[Line]) -> str:
    written = []
    for line in [HEADS, None, *lines]:
        if line is None:
            written.append("  ".join("-" * width for width in WIDTHS))
            continue
        cells = [wrap(text, width) or [""] for text, width in zip(line, WIDTHS, strict=True)]
        for number in range(max(map(len, cells))):
            parts = [(cell[number : number + 1] or [""])[0] for cell in cells]
            padded = (part.ljust(width) for part, width in zip(parts, WIDTHS, strict=True))
            written.append("  ".join(padded).rstrip())
    return "\n".join(written)


def as_markdown(lines: list[Line]) -> str:
    written = ["| " + " | ".join(line) + " |" for line in [HEADS, *lines]]
    return "\n".join([written[0], "|---" * len(HEADS) + "|", *written[1:]]) + "\n"


def report(lines: list[Line], is_full: bool, seconds: float) -> str:
    held, size = sum(line.is_held for line in lines), "full" if is_full else "small"
    told = f"{held} of {len(lines)} rows held, at {size} size, in {seconds / 60:.1f} minutes"
    return f"\n{as_text(lines)}\n\n{told}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="these rows alone")
    parser.add_argument("--full", action="store_true", help="full sizes, for many minutes")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="write the table there, too")
    options = parser.parse_args()
    if unknown := set(options.rows) - ROWS.keys():
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    bar = Bar(options.rows or list(ROWS))
    arguments = [
        "--quiet",
        "--no-header",
        "--rootdir",
        str(ROOT),
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    arguments += [str(ROOT / place) for place in PLACES] + ["--full"] * options.full
    started = time.monotonic()
    status = pytest.main(arguments, plugins=[bar])
    lines = bar.lines()
    print(report(lines, options.full, time.monotonic() - started), end="")
    if options.markdown:
        options.markdown.write_text(as_markdown(lines), encoding="utf-8")
    is_held = all(line.is_held for line in lines) and status == pytest.ExitCode.OK
    return 0 if is_held else 1


if __name__ == "__main__":
    sys.exit(main())
