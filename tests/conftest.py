"""Options of the test suite, and what CI makes of a skipped test."""

import os

import pytest
from figures import figure  # noqa: F401  (a fixture)


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="full-size reliability runs")
    parser.addoption("--screenshots", metavar="FOLDER", help="keep the browser test's pictures")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI everything a test may need is there: a test that is skipped has failed."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
