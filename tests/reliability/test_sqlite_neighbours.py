"""Rows D5 and F5: the store in a file, beside forked workers and beside a program that locks it.

Each harness is given how a store is made. It is also given stores with a planted bug, which it has
to catch.
"""

import os
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from statistics import median
from wsgiref.util import setup_testing_defaults

import pytest
from test_races import run_together

from sessionlab import Session, SessionMiddleware, StoreError
from sessionlab.stores import sqlite
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.testing import Clock

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

LATER = 9e9
SECRET = "a secret of the tests, which is long enough"


# D5: prefork


def make_patient_store(path):
    """Return a store that waits long: here it is counted, and not timed."""
    return SQLiteStore(path, busy_timeout=60)


def count_in_workers(make_store, path, workers, updates):
    """D5: have forked workers count up in one session and in one of their own each.

    The store is made, and used, before the fork, as by a server that loads the application first;
    that one closes it while the workers are at work, and they end without closing it. Returns what
    was counted in the shared session, and in the others together, or None where the file is not
    intact.
    """
    store = make_store(path)
    shared = Session(store)
    shared["n"] = 0
    shared.save()
    reading, writing = os.pipe()
    children = []
    for number in range(workers):
        if (child := os.fork()) == 0:
            try:
                os.close(writing)
                os.read(reading, 1)  # all begin when the parent closes the other end
                work(store, shared.id, f"worker {number}", updates)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    os.close(reading)
    os.close(writing)
    store.close()
    for child in children:
        os.waitpid(child, 0)
    with closing(sqlite3.connect(path)) as database:
        if database.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return None
    with closing(SQLiteStore(path)) as store:
        ids = [shared.id, *(f"worker {number}" for number in range(workers))]
        loaded = [Session.load(store, session_id) for session_id in ids]
        counts = [0 if session is None else session["n"] for session in loaded]
        return counts[0], sum(counts[1:])


def work(store, shared_id, own_id, updates):
    store.create(own_id, '{"cookie":{},"n":0}', LATER)
    for _ in range(updates):
        Session.load(store, shared_id).atomic(add_one)
        own = Session.load(store, own_id)
        own["n"] += 1
        own.save()


def add_one(data):
    data["n"] += 1


def test_no_update_of_a_forked_worker_is_lost(tmp_path, request, figure):
    """D5: 8 forked workers, each with 200 updates of a shared session and 200 of its own."""
    updates = 200 if request.config.getoption("--full") else 40
    counted = count_in_workers(make_patient_store, tmp_path / "sessions.db", 8, updates)
    figure.tried(2 * 8 * updates, "updates by 8 forked workers")
    figure.found(sum(counted or (0,)), "counted")
    print(f"D5: {counted} of {8 * updates} each")
    assert counted == (8 * updates, 8 * updates)


class SetsBlindly(SQLiteStore):
    def replace(self, session_id, old, new, expires_at):
        return self._change("UPDATE sessions SET sess = ? WHERE sid = ?", new, session_id)


class ForksWithAnOpenConnection(SQLiteStore):
    def __init__(self, path):
        super().__init__(path, busy_timeout=60)
        sqlite._stores.discard(self)


@pytest.mark.parametrize("broken", [SetsBlindly, ForksWithAnOpenConnection])
def test_the_harness_of_d5_catches_a_store_that_loses(tmp_path, broken):
    """D5, T1: the same harness on a planted bug."""
    assert count_in_workers(broken, tmp_path / "sessions.db", 8, 40) != (320, 320)


# F5: a locked database


def application(environ, start_response):
    session = environ["sessionlab.session"]
    if environ["REQUEST_METHOD"] == "POST":
        session["n"] = session.get("n", 0) + 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(session.get("n", 0)).encode()]


def ask(app, method="GET", cookie=""):
    """Return the status, the cookie to come back with, the body, and the seconds it took."""
    environ = {"REQUEST_METHOD": method, "HTTP_COOKIE": cookie}
    setup_testing_defaults(environ)
    head = []
    start = time.monotonic()
    body = b"".join(app(environ, lambda *arguments: head.extend(arguments)))
    seconds = time.monotonic() - start
    cookies = [text.split(";")[0] for name, text in head[1] if name == "Set-Cookie"]
    return int(head[0][:3]), cookies[0] if cookies else cookie, body.decode(), seconds


@contextmanager
def locked(path, how):
    """Have another process hold the lock of the database until the end of the block."""
    to_child, to_parent = os.pipe(), os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.close(to_child[1])
            database = sqlite3.connect(path, isolation_level=None)
            database.execute(how)
            os.write(to_parent[1], b".")
            os.read(to_child[0], 1)
        finally:
            os._exit(0)
    os.read(to_parent[0], 1)
    yield
    os.close(to_child[1])
    os.waitpid(child, 0)
    for end in (to_child[0], *to_parent):
        os.close(end)


def ask_while_locked(make_store, path, busy_timeout, times, how="BEGIN IMMEDIATE"):
    """F5: answer requests while another process writes, and once it has ended.

    Returns the seconds of the writes, which answer 503, and of the reads, which answer 200.
    """
    with closing(make_store(path, busy_timeout=busy_timeout)) as store:
        app = SessionMiddleware(application, SECRET, store=store)
        _, cookie, _, _ = ask(app, "POST")
        writes, reads = [], []
        with locked(path, how):
            for _ in range(times):
                status, same, _, seconds = ask(app, "POST", cookie)
                assert (status, same) == (503, cookie)
                writes.append(seconds)
                status, _, body, seconds = ask(app, "GET", cookie)
                assert (status, body) == (200, "1"), "a reader was turned away"
                reads.append(seconds)
        assert ask(app, "POST", cookie)[::2][:2] == (200, "2"), "it does not recover"
    return writes, reads


@pytest.mark.parametrize("how", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_locked_database_is_503_in_time_and_readers_do_not_notice(tmp_path, request, how, figure):
    """F5: within the busy time-out and 100 ms; readers at once.

    By the median, as a machine may have other things to do; the slowest is told, too.
    """
    times = 15 if request.config.getoption("--full") else 5
    writes, reads = ask_while_locked(SQLiteStore, tmp_path / "sessions.db", 0.2, times, how)
    figure.tried(2 * times, "requests while another holds the lock")
    figure.worst(1000 * median(writes), "ms for a 503, busy time-out 200 ms (median)")
    figure.worst(1000 * max(writes), "ms for the slowest 503")
    figure.worst(1000 * median(reads), "ms for a read (median)")
    assert min(writes) >= 0.2
    assert median(writes) <= 0.3
    assert median(reads) < 0.05


def test_readers_do_not_notice_a_lock_when_their_sessions_are_to_be_renewed_either(tmp_path):
    """F5: a session that is read is renewed, which is a write; its failure is not the reader's."""
    clock, path = Clock(), tmp_path / "sessions.db"
    with closing(SQLiteStore(path, now=clock, busy_timeout=0.2)) as store:
        app = SessionMiddleware(application, SECRET, store=store, now=clock)
        _, cookie, _, _ = ask(app, "POST")
        clock.advance(61)  # more than touch_after
        with locked(path, "BEGIN IMMEDIATE"):
            status, same, body, seconds = ask(app, "GET", cookie)
        assert (status, same, body) == (200, cookie, "1")
        assert seconds < 0.3
        before = store._find("SELECT expires_at FROM sessions")
        assert ask(app, "GET", cookie)[0] == 200
        assert store._find("SELECT expires_at FROM sessions") > before  # and is renewed later


def test_a_locked_database_is_503_well_within_a_second_by_default(tmp_path):
    """F5: the default."""

    def make_store(path, busy_timeout):
        return SQLiteStore(path)

    (write,), _ = ask_while_locked(make_store, tmp_path / "sessions.db", None, 1)
    assert write < 0.8


def seconds_of_threads(make_store, path, busy_timeout):
    """Let 8 threads write at once while another process does; return the seconds of each refusal.

    One of them alone asks for the lock; the others wait for it, and have less time left then.
    """
    seconds, gate = [], threading.Barrier(8)

    def write():
        gate.wait()
        start = time.monotonic()
        with pytest.raises(StoreError, match="busy_timeout"):
            store.touch("id", LATER)
        seconds.append(time.monotonic() - start)

    with (
        closing(make_store(path, busy_timeout=busy_timeout)) as store,
        locked(path, "BEGIN IMMEDIATE"),
    ):
        run_together(*[write] * 8)
    return seconds


def test_who_waits_behind_another_thread_waits_no_longer(tmp_path, figure):
    """F5: all threads are answered in time, though one of them alone asks for the lock."""
    seconds = seconds_of_threads(SQLiteStore, tmp_path / "sessions.db", 0.2)
    figure.tried(len(seconds), "threads at once, while another holds the lock")
    figure.worst(1000 * median(seconds), "ms for a 503, busy time-out 200 ms (median)")
    figure.worst(1000 * max(seconds), "ms for the slowest 503")
    assert len(seconds) == 8
    assert median(seconds) <= 0.3


class WaitsInTurn(SQLiteStore):
    """A store whose patience begins when it is one's turn."""

    def _change(self, sql, *values):
        turn = self._queue.join()
        with turn:
            try:
                return self._run(time.monotonic() + self._busy_timeout, sql, values)[1] > 0
            finally:
                self._queue.leave(turn)


def test_the_threads_catch_a_store_that_counts_from_each_ones_turn(tmp_path):
    """F5, T1: the last one waits eight times as long."""
    seconds = seconds_of_threads(WaitsInTurn, tmp_path / "sessions.db", 0.1)
    assert median(seconds) > 0.3


class WaitsTwice(SQLiteStore):
    def _attempt(self, deadline, act, *arguments):
        return super()._attempt(deadline + self._busy_timeout, act, *arguments)


class WithoutALog(SQLiteStore):
    """A store whose writers lock readers out: SQLite as it is without WAL."""

    def _make(self):
        super()._make()
        with closing(self._open("rw")) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")


def test_the_harness_of_f5_catches_a_store_that_waits_longer(tmp_path):
    """F5, T1: the same harness on a planted bug."""
    writes, _ = ask_while_locked(WaitsTwice, tmp_path / "sessions.db", 0.2, 3)
    assert min(writes) > 0.3


def test_the_harness_of_f5_catches_a_store_whose_readers_wait(tmp_path):
    """F5, T1: the same harness on a planted bug."""
    with pytest.raises(AssertionError):
        ask_while_locked(WithoutALog, tmp_path / "sessions.db", 0.2, 1, "BEGIN EXCLUSIVE")
