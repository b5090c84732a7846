"""Rows D3, F2 and F4: a Redis that is killed, away or frozen, and comes back.

Each harness takes a store and returns what went wrong with it; stores with a planted bug show that
it sees (row T1). What ``kill -9`` can't show is a power cut: the system keeps what a process wrote,
whether it was synced or not. It shows that nothing is acknowledged before it is written.
"""

import random
import threading
import time
from collections import Counter
from wsgiref.util import setup_testing_defaults

import pytest
from valkey_server import Server

from sessionlab import SessionMiddleware, StoreError, sign
from sessionlab.stores.redis import RedisStore

SECRET = "a secret of more than thirty-two bytes, for these tests"
ALWAYS = {"appendonly": "yes", "appendfsync": "always"}
HOUR = 3600


class Wrapped:
    """A store around another, which is to have a bug."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)


# D3: kill -9


class Writer(threading.Thread):
    """Creates, replaces and destroys records of its own until the store fails.

    ``known`` is what was acknowledged, ``doubtful`` what was asked for and never answered: an id,
    and the text that the store may hold under it, or None.
    """

    def __init__(self, store, name, known, answered):
        super().__init__(name=name)
        self.store, self.known, self.answered = store, known, answered
        self.is_over = False
        self.doubtful = {}

    def run(self):
        while not self.is_over:
            session_id = f"{self.name} {random.randrange(20)}"
            old = self.known.get(session_id)
            new = None if old and random.random() < 0.2 else f"{random.random()}" * 20
            self.doubtful = {session_id: new}
            try:
                self.write(session_id, old, new)
            except StoreError:
                return
            self.known[session_id], self.doubtful = new, {}
            self.answered.release()

    def write(self, session_id, old, new):
        ends = time.time() + HOUR
        if new is None:
            self.store.destroy(session_id)
        elif old is None:
            assert self.store.create(session_id, new, ends)
        else:
            assert self.store.replace(session_id, old, new, ends)


def crash(server, store, cycles, writers=4):
    """Kill the server amid writes, again and again; return the counts of what was seen."""
    seen = Counter(lost=0)
    known = [{} for _ in range(writers)]
    for _ in range(cycles):
        answered = threading.Semaphore(0)
        threads = [
            Writer(store, f"writer {number}", mine, answered) for number, mine in enumerate(known)
        ]
        for thread in threads:
            thread.start()
        for _ in range(random.randrange(20, 200)):
            assert answered.acquire(timeout=10)
            seen["acknowledged"] += 1
        server.kill()
        for thread in threads:
            thread.is_over = True
        for thread in threads:
            thread.join()
        server.start()
        for thread in threads:
            check(store, thread, seen)
    return seen


def check(store, writer, seen):
    for session_id, text in {**dict.fromkeys(writer.doubtful), **writer.known}.items():
        record = store.get(session_id)
        found = None if record is None else record.text
        if found != text:
            doubted = session_id in writer.doubtful and found == writer.doubtful[session_id]
            seen["written and not answered" if doubted else "lost"] += 1
        writer.known[session_id] = found


class AnswersFirst(Wrapped):
    """Writes behind: each write is acknowledged at once, and done with the next one of its id."""

    def __init__(self, store):
        super().__init__(store)
        self._waiting = {}

    def _put_off(self, method, session_id, *arguments):
        self._waiting.pop(session_id, lambda: None)()
        self._waiting[session_id] = lambda: method(session_id, *arguments)
        return True

    def create(self, *arguments):
        return self._put_off(self._store.create, *arguments)

    def replace(self, *arguments):
        return self._put_off(self._store.replace, *arguments)

    def get(self, session_id):
        self._waiting.clear()  # the harness only asks after a crash
        return self._store.get(session_id)


def test_no_acknowledged_write_is_lost_to_kill_9(tmp_path, pytestconfig, figure):
    """D3: ``appendfsync always``, 100 cycles of kill -9 amid writes (15 without --full)."""
    cycles = 100 if pytestconfig.getoption("--full") else 15
    with Server(tmp_path, **ALWAYS) as server, server.client() as client:
        seen = crash(server, RedisStore(client), cycles)
    figure.tried(cycles, "kills amid writes, always")
    figure.found(seen["acknowledged"], "acknowledged")
    figure.found(seen["lost"], "lost")
    print("D3:", dict(seen))
    assert seen["lost"] == 0
    assert seen["acknowledged"] >= 20 * cycles


def test_what_everysec_loses_to_kill_9_is_reported(tmp_path, pytestconfig, figure):
    """D3: ``appendfsync everysec`` claims nothing, for a power cut may cost it a second."""
    cycles = 100 if pytestconfig.getoption("--full") else 3
    with Server(tmp_path, appendonly="yes") as server, server.client() as client:
        seen = crash(server, RedisStore(client), cycles)
    figure.tried(cycles, "kills amid writes, everysec")
    figure.found(seen["lost"], "lost (everysec, not claimed)")
    print("D3 everysec:", dict(seen))


@pytest.mark.parametrize(
    ("options", "bug"),
    [
        pytest.param(ALWAYS, AnswersFirst, id="a store that answers first and writes later"),
        pytest.param({}, Wrapped, id="a server that keeps nothing on disk"),
    ],
)
def test_a_write_that_was_only_promised_is_noticed(tmp_path, options, bug):
    """D3, T1: the harness sees what is lost."""
    with Server(tmp_path, **options) as server, server.client() as client:
        assert crash(server, bug(RedisStore(client)), 2)["lost"] > 0


# F2: an outage


def application(environ, start_response):
    """Counts in the session, where the path asks for it; ``on_change`` may do harm meanwhile."""
    session = environ["sessionlab.session"]
    user = session.get("user")
    if environ["PATH_INFO"] == "/count":
        session["n"] = session.get("n", 0) + 1
        environ.get("on_change", lambda: None)()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(user).encode()]


def visit(app, path, session_id, **more):
    """Return status, ``Set-Cookie`` or None, and body of a request with the cookie of an id."""
    environ = {"PATH_INFO": path, "HTTP_COOKIE": f"connect.sid=s:{sign(session_id, SECRET)}"}
    setup_testing_defaults(environ)
    answer = []

    def start_response(status, headers):
        answer[:] = [int(status[:3]), dict(headers).get("Set-Cookie")]

    body = b"".join(app({**environ, **more}, start_response))
    return (*answer, body.decode())


def log_in(store, count):
    """Create sessions of as many users; return their ids."""
    cookie = '{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}'
    for number in range(count):
        text = f'{{"cookie":{cookie},"user":{number}}}'
        assert store.create(f"id-{number}", text, time.time() + 24 * HOUR)
    return [f"id-{number}" for number in range(count)]


def outage(server, store, count):
    """Let every user come while the server is away, and again when it is back."""
    app = SessionMiddleware(application, SECRET, store=store)
    ids = log_in(store, count)
    paths = ["/", "/count"]
    server.kill()
    away = [visit(app, paths[number % 2], each) for number, each in enumerate(ids)]
    server.start()
    back = [visit(app, paths[number % 2], each) for number, each in enumerate(ids)]
    logged_in = sum(
        (status, cookie, user) == (200, None, str(number))
        for number, (status, cookie, user) in enumerate(back)
    )
    return Counter(
        refused=sum(status == 503 for status, *_ in away),
        cookies=sum(cookie is not None for _, cookie, _ in away),
        logged_in=logged_in,
    )


class TakesErrorsForNobody(Wrapped):
    """What cannot be asked is not there, and what cannot be stored is stored."""

    def get(self, session_id):
        try:
            return self._store.get(session_id)
        except StoreError:
            return None

    def create(self, *arguments):
        try:
            return self._store.create(*arguments)
        except StoreError:
            return True


def test_an_outage_logs_nobody_out(tmp_path, pytestconfig, figure):
    """F2: the server is away for 1,000 requests (200 without --full), then comes back."""
    count = 1000 if pytestconfig.getoption("--full") else 200
    with Server(tmp_path, **ALWAYS) as server:
        seen = outage(server, RedisStore.from_url(server.url), count)
    figure.tried(count, "users, server killed and started")
    figure.found(count - seen["logged_in"] + seen["cookies"], "logged out, or sent a cookie")
    assert seen == Counter(refused=count, cookies=0, logged_in=count)


def test_a_store_that_hides_an_outage_is_noticed(tmp_path):
    """F2, T1: such a store gives everybody a new session."""
    with Server(tmp_path, **ALWAYS) as server:
        store = TakesErrorsForNobody(RedisStore.from_url(server.url))
        seen = outage(server, store, 20)
    assert seen == Counter(refused=0, cookies=10, logged_in=20)


# F4: a frozen server


def timed(app, path, session_id, **more):
    start = time.monotonic()
    status, cookie, _ = visit(app, path, session_id, **more)
    return status, cookie, time.monotonic() - start


def freeze(server, make_store):
    """Freeze the server at each stage of a request; return ``{stage: [(status, cookie, s)]}``."""
    store = make_store()
    app = SessionMiddleware(application, SECRET, store=store)
    ids = log_in(store, 8)
    seen = {"answered before": [timed(app, "/count", each) for each in ids]}
    seen["frozen between load and commit"] = [timed(app, "/count", ids[0], on_change=server.freeze)]
    seen["on a connection of before"] = [timed(app, "/", ids[0])]
    seen["on a new connection"] = [timed(app, "/count", ids[1])]
    another = SessionMiddleware(application, SECRET, store=make_store())
    seen["in another process"] = [timed(another, "/", ids[2])]
    seen["many at once"] = together([lambda each=each: timed(app, "/", each) for each in ids])
    server.thaw()
    seen["thawed"] = [timed(app, "/count", each) for each in ids]
    server.freeze()
    seen["frozen again"] = [timed(app, "/count", ids[0])]
    server.kill()
    seen["killed"] = [timed(app, "/count", each) for each in ids]
    server.start()
    seen["started"] = [timed(app, "/count", each) for each in ids]
    return seen


def together(works):
    answers = []
    threads = [threading.Thread(target=lambda work=work: answers.append(work())) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def faults(seen):
    """Return the stages with an answer that is wrong or later than after one second."""
    is_up = ("answered before", "thawed", "started")
    return {
        stage
        for stage, answers in seen.items()
        for status, cookie, seconds in answers
        if status != (200 if stage in is_up else 503) or cookie is not None or seconds > 1.0
    }


def test_a_frozen_server_costs_each_request_half_a_second_and_a_503(tmp_path, figure):
    """F4: every request is answered within 1.0 s, with 503; back within 1 s of the server."""
    with Server(tmp_path, **ALWAYS) as server:
        seen = freeze(server, lambda: RedisStore.from_url(server.url))
    slowest = {stage: f"{max(answer[2] for answer in seen[stage]):.3f} s" for stage in seen}
    figure.tried(sum(map(len, seen.values())), "requests, server frozen, killed, back")
    figure.found(len(faults(seen)), "stages with an answer late or wrong")
    figure.worst(max(answer[2] for answers in seen.values() for answer in answers), "s an answer")
    print("F4:", slowest)
    assert faults(seen) == set()
    assert len(seen["many at once"]) == 8


@pytest.mark.parametrize(
    "make_bug",
    [
        pytest.param(lambda s: RedisStore(s.client(socket_timeout=1.1)), id="waits too long"),
        pytest.param(lambda s: TakesErrorsForNobody(RedisStore(s.client())), id="hides errors"),
    ],
)
def test_a_store_that_waits_or_hides_errors_is_noticed(tmp_path, make_bug):
    """F4, T1: the harness sees a late answer, and one that is no 503."""
    with Server(tmp_path, **ALWAYS) as server:
        found = faults(freeze(server, lambda: make_bug(server)))
    assert {"on a new connection", "in another process", "many at once"} <= found
    assert "answered before" not in found
