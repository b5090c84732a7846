"""The stores that the reliability rows are asked of, and how large the rows are."""

import pytest
from valkey_server import valkey  # noqa: F401

from sessionlab import MemoryStore
from sessionlab.stores.redis import RedisStore
from sessionlab.stores.sqlite import SQLiteStore


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request, tmp_path):
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "sqlite":
        # Patient: what is counted here must not depend on how fast the disk is.
        store = SQLiteStore(tmp_path / "sessions.db", busy_timeout=30)
        yield store
        store.close()
    else:
        server = request.getfixturevalue("valkey")
        server.ask("FLUSHALL")
        with server.client(max_connections=64) as client:
            yield RedisStore(client)


@pytest.fixture
def sizes(request, store):
    """Full sizes with ``--full``; else a share of them that takes a second or two."""
    is_slow = not isinstance(store, MemoryStore)

    def size(full, on_redis=None):
        if request.config.getoption("--full"):
            return on_redis if on_redis and isinstance(store, RedisStore) else full
        return max(full // (100 if is_slow else 20), 5)

    return size
