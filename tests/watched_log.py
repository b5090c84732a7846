"""Row S4: whatever a test does, the library logs nothing confidential, be it at level DEBUG."""

import logging
import re

import pytest
from figures import Figure

# What an id, or a signature, looks like: long, with capitals and digits in it, or with hyphens,
# which words of English have, too, but not of such a length. And what a traceback does.
_TOKEN = re.compile(r"[\w+-]{20,}", re.ASCII)
_LOOKS_LIKE_ONE = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])|.*-")
_NO_MATTER_WHERE = re.compile(r'Traceback|File "|\bline \d+|\.py\b|[^/]secret \w+')


def confidential(text):
    """Return what in a line of the log may be an id, a secret or a traceback."""
    tokens = [token for token in _TOKEN.findall(text) if _LOOKS_LIKE_ONE.match(token)]
    return tokens + _NO_MATTER_WHERE.findall(text)


class Watch(logging.Handler):
    """Counts the lines, and keeps those that say too much; each is looked at once."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.count, self.found, self._known = 0, [], set()

    def emit(self, record):
        self.count += 1
        said = record.getMessage()  # and not its arguments: an error holds its whole request
        if record.exc_info or said not in self._known:
            self._known.add(said)
            line = self.format(record)
            if confidential(line):
                self.found.append(line)


@pytest.fixture(autouse=True)
def watched_log(request):
    logger, watch = logging.getLogger("sessionlab"), Watch()
    level = logger.level
    logger.addHandler(watch)
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(level)
    logger.removeHandler(watch)
    if not re.match(r"[\w, ]*T1", request.function.__doc__ or ""):  # some bugs are to be told of
        figure = Figure(request.node, "S4")
        figure.tried(watch.count, "lines logged by the tests")
        figure.found(len(watch.found), "of them with an id, a secret or a traceback")
        assert watch.found == []
