"""Options of the test suite, and what CI makes of a skipped test."""

import os

import pytest
from figures import figure  # noqa: F401  (a fixture)
from reliability.bar import BarOfAllTests
from watched_log import watched_log  # noqa: F401  (a fixture)


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="full-size reliability runs")
    parser.addoption("--bar", action="store_true", help="print the reliability bar, of all tests")
    parser.addoption("--screenshots", metavar="FOLDER", help="keep the browser test's pictures")


def pytest_configure(config):
    if config.getoption("--bar"):
        config.pluginmanager.register(BarOfAllTests())
    # Every line is looked at (row S4); ``caplog`` has those that a log has unless told otherwise.
    config.option.log_level = config.option.log_level or "WARNING"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI everything a test may need is there: a test that is skipped has failed."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
