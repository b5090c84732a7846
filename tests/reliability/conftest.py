"""The stores that the reliability rows are asked of, how large the rows are, and what is logged."""

import logging
import re

import pytest
from figures import Figure
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

    def size(full, per_thread=False):
        if request.config.getoption("--full"):
            is_a_tenth = per_thread and isinstance(store, RedisStore)
            return full // 10 if is_a_tenth else full
        return max(full // (100 if is_slow else 20), 5)

    return size


# What an id, or a signature, looks like: long, with small and capital letters and digits in it.
_TOKEN = re.compile(r"[\w+/-]{20,}", re.ASCII)
_LOOKS_LIKE_ONE = [re.compile(kind) for kind in ("[a-z]", "[A-Z]", "[0-9]")]


def confidential(text):
    """Return what in a line of the log may be an id, a secret or a traceback."""
    tokens = [
        token
        for token in _TOKEN.findall(text)
        if all(kind.search(token) for kind in _LOOKS_LIKE_ONE)
    ]
    return tokens + re.findall(r"Traceback|[^/]secret \w+", text)


@pytest.fixture(autouse=True)
def log(request):
    """Row S4: no test of the reliability bar makes the library log what is confidential."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(handler.format(record))
    logging.getLogger("sessionlab").addHandler(handler)
    yield lines
    logging.getLogger("sessionlab").removeHandler(handler)
    if not re.match(r"[\w, ]*T1", request.function.__doc__ or ""):
        Figure(request.node, "S4").tried(len(lines), "lines logged by other rows")
        assert [line for line in lines if confidential(line)] == []
