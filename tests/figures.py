"""What the tests of the reliability bar tried and found, for ``tests/reliability/bar.py``."""

import pytest


class Figure:
    """What a test says it tried and found; ``row`` is another one than the test belongs to.

    Counts of a row's tests are added up; of what is timed, the worst is taken. A test that fails
    has said so, too, if it says it before it asserts.
    """

    def __init__(self, node, row=None):
        self._properties = node.user_properties
        self._elsewhere = [row] if row else []

    def tried(self, count, what):
        self._note("tried", count, what)

    def found(self, count, what):
        self._note("found", count, what)

    def worst(self, number, what):
        self._note("worst", number, what)

    def _note(self, kind, number, what):
        self._properties.append(("figure", (kind, number, what, *self._elsewhere)))


@pytest.fixture
def figure(request):
    return Figure(request.node)
