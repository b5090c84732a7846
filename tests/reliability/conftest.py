"""The stores that the reliability rows are asked of, and how large they are."""

import pytest

from sessionlab import MemoryStore

KINDS = ("memory",)


@pytest.fixture(params=KINDS)
def store(request):
    """An empty store of each kind."""
    return MemoryStore()


@pytest.fixture
def sizes(request, store):
    """Full sizes with ``--full``; else a share of them that a store can do in a few seconds."""

    def size(full, per_thread=False):
        if request.config.getoption("--full"):
            return full // 10 if per_thread and not isinstance(store, MemoryStore) else full
        return max(full // 20, 5)

    return size
