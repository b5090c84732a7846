"""Row W4: clients that go away amid a page of a real server, over sockets.

The harness takes a store and a middleware class and returns what was lost or left open: nothing,
for ours. It is then given some with a planted bug (row T1).
"""

import os
import socket
import struct
import threading
from collections import Counter
from contextlib import closing

import pytest
from test_races import SECRET, cookie_for, run_together, stored_session, write
from test_wsgi import TEXT, Body, ClosesAtTheEnd, ForgetsToClose

from sessionlab import SessionMiddleware, decode_record
from sessionlab.lab import serve
from sessionlab.stores.redis import RedisStore
from sessionlab.stores.sqlite import SQLiteStore


def go_away(url, cookie, path="/"):
    """Ask for a long page, take its first bytes, and reset the connection."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(f"GET {path} HTTP/1.0\r\nCookie: {cookie}\r\n\r\n".encode())
        assert client.recv(100)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def descriptors_when_settled():
    """Return how many are open once the server's threads have ended, and put theirs away."""
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:  # as socketserver's function is called
            thread.join(timeout=10)
    return len(os.listdir("/proc/self/fd"))


def disconnections(store, count, middleware_class=SessionMiddleware):
    """Let clients go away amid a page of a real server; return what is not as it should be."""
    bodies = []

    def app(environ, start_response):
        write(environ["sessionlab.session"])
        start_response("200 OK", TEXT)
        bodies.append(Body(*[b"x" * 65536] * 1000))
        return bodies[-1]

    def leave(ids):
        for session_id in ids:
            go_away(server.url, cookie_for(session_id))

    middleware = middleware_class(app, SECRET, store=store)
    ids = [stored_session(store, name="Ada") for _ in range(count)]
    with serve(lambda *args: middleware(*args), "disconnections") as server:
        run_together(*[lambda: leave(ids[:2])] * 4)
        before = descriptors_when_settled()
        run_together(*(lambda n=n: leave(ids[n::4]) for n in range(4)))
        left_open = descriptors_when_settled() - before
        assert server.errors.text == ""
    return Counter(
        {
            "bodies not closed once": sum(body.closed != 1 for body in bodies),
            "requests unanswered": count + 8 - len(bodies),
            "changes lost": sum(decode_record(store.get(each).text)[1] != CHANGED for each in ids),
            "descriptors left open": left_open,
        }
    )


CHANGED = {"name": "Ada", "n": 1}
MOST_DESCRIPTORS = 12  # more threads at once have more connections, of up to three each


def test_clients_that_go_away_leave_nothing_open(store, sizes, figure):
    """W4: 1,000 of them on each store, from a real server, over sockets."""
    count = max(sizes(1_000), 50)
    seen = disconnections(store, count)
    left_open = seen.pop("descriptors left open")
    figure.tried(count, "clients that went away from a server")
    figure.found(seen.total(), "bodies or changes lost")
    figure.worst(max(left_open, 0), "descriptors more")
    assert not +seen, seen
    assert left_open <= MOST_DESCRIPTORS
    if isinstance(store, RedisStore):
        assert not store._client.connection_pool._in_use_connections


class OpensOneEach(SQLiteStore):
    """A store with a connection for each request, which stays open."""

    def __init__(self, path):
        super().__init__(path)
        self._kept = []

    def get(self, session_id):
        self._kept.append(self._open("rw"))
        return super().get(session_id)

    def close(self):
        super().close()
        for connection in self._kept:
            connection.close()


@pytest.mark.parametrize(
    ("broken", "store_class", "fault"),
    [
        (ForgetsToClose, SQLiteStore, "bodies not closed once"),
        (SessionMiddleware, OpensOneEach, "descriptors left open"),
        (ClosesAtTheEnd, SQLiteStore, "bodies not closed once"),
    ],
)
def test_the_clients_that_go_away_catch_what_stays_open(tmp_path, broken, store_class, fault):
    """W4, T1."""
    with closing(store_class(tmp_path / "sessions.db")) as store:
        assert disconnections(store, 40, broken)[fault] > MOST_DESCRIPTORS
