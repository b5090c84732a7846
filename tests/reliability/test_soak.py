"""Row L1: a real server with SQLite behind it, real clients, and a store that fails now and then.

The harness takes a middleware class, a store class and an application, and returns what went wrong:
nothing, for ours. It is then given some with a planted bug (row T1).
"""

import gc
import logging
import os
import random
import time
import tracemalloc
from collections import Counter
from contextlib import closing, contextmanager, suppress
from wsgiref.validate import validator

import pytest
import requests
from figures import Figure
from test_disconnections import (
    MOST_DESCRIPTORS,
    OpensOneEach,
    descriptors_when_settled,
    go_away,
)
from test_failures import Failing
from test_races import SECRET, run_together
from test_sqlite_crashes import is_intact
from test_wsgi import TEXT

from sessionlab import Session, SessionMiddleware, StoreError
from sessionlab.lab import serve
from sessionlab.lab.exchanges import Exchanges
from sessionlab.stores.sqlite import SQLiteStore

FAULTS = 0.05  # of the store's operations
MOST_GROWTH = 10_000_000  # bytes of the process, once it is warm
MOST_CACHED = 300_000  # bytes in what has a bound: of urllib, and each connection's of SQLite
MOST_LEFT = 100  # bytes that each request leaves behind
MOST_ALIVE = 8  # sessions, when all is answered


class FailingNowAndThen(Failing):
    """Of its faults, half come when all is done, and the answer alone is lost."""

    def __init__(self, store):
        super().__init__(store)
        self.chance, self.faults, self.is_over = random.Random(5), Counter(), False

    def _wrap(self, operation):
        def call(*args):
            luck = 1 if self.is_over else self.chance.random()
            if luck < FAULTS / 2:
                self.faults["not done"] += 1
                raise StoreError("a fault, injected")
            answer = operation(*args)
            if luck < FAULTS:
                self.faults["done, the answer lost"] += 1
                raise StoreError("a fault, injected when all was done")
            return answer

        return call


def application(environ, start_response):
    """Answers whose session it is, and the number that it has for this client.

    ``/in`` logs its owner in, ``/out`` out, ``/write`` keeps another number.
    """
    session, path = environ["sessionlab.session"], environ["PATH_INFO"]
    client, _, value = environ["QUERY_STRING"].partition("=")
    if path == "/page":
        start_response("200 OK", TEXT)
        return iter([b"x" * 65536] * 100)
    if path == "/in":
        session.regenerate()
        session["owner"] = value
    if path == "/out":
        session.destroy()
    answer = f"{session.get('owner')} {session.get(client, 0)}"
    if path == "/write":
        session[client] = int(value)
    start_response("200 OK", TEXT)
    return [answer.encode()]


class Client:
    """A browser that writes 1, 2, 3 ... into its session, and remembers what was acknowledged.

    Two of them may have one session, in which each has a number of its own.
    """

    def __init__(self, url, name, owner):
        self.url, self.name, self.owner = url, name, owner
        self.seen, self.chance = Counter(), random.Random(name)
        self.browser = requests.Session()
        self.known = self.newest = 0  # the last that was acknowledged, and that was tried

    def send(self, path, value=""):
        """Return the owner of the session and the number in it; None where there was a fault."""
        self.seen["requests"] += 1
        try:
            response = self.browser.get(f"{self.url}{path}?{self.name}={value}", timeout=10)
        except requests.RequestException:
            self.seen["unanswered"] += 1
            return None
        if response.status_code == 200:
            owner, number = response.text.split(" ")
            return owner, int(number)
        is_outage = response.status_code == 503 and "Set-Cookie" not in response.headers
        self.seen["refused" if is_outage else "answered otherwise"] += 1
        return None

    def log_in(self):
        while self.send("/in", self.owner) is None:
            pass
        self.known = self.newest = 0

    def act(self):
        chance = self.chance.random()
        if chance < 0.02 and self.owner == self.name:
            self.log_out_and_in()
        elif chance < 0.04:
            self.leave()
        elif chance < 0.3:
            self.check(self.send("/read"), self.newest)
        else:
            self.newest += 1
            answer = self.send("/write", self.newest)
            self.check(answer, self.newest - 1)
            if answer is not None:
                self.known = self.newest

    def check(self, answer, newest):
        """See that nothing is there but what this client wrote, and all that was acknowledged."""
        if answer is None:
            return
        owner, number = answer
        if owner not in (self.owner, "None"):
            self.seen["of another session"] += 1
        elif owner == "None" or not self.known <= number <= newest:
            self.seen["acknowledged and lost"] += 1
        else:
            self.known = number

    def leave(self):
        self.seen["went away"] += 1
        cookies = self.browser.cookies.get_dict().items()
        go_away(self.url, "; ".join(f"{name}={value}" for name, value in cookies), "/page")

    def log_out_and_in(self):
        cookies = self.browser.cookies.copy()
        if self.send("/out") is not None:
            self.browser.cookies = cookies
            answer = self.send("/read")
            self.seen["logged out and still in"] += answer is not None and answer[0] != "None"
        self.log_in()


def memory():
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def growth(server, clients):
    """Yield a dict; afterwards, it says what is left of the requests that came meanwhile.

    Bytes and descriptors of the process; of what Python has made and still has, the bytes beyond
    its caches that each request left; and how many sessions more are alive.
    """
    left = {}
    descriptors = descriptors_when_settled()
    gc.collect()
    before = memory(), count_requests(clients), count_sessions()
    tracemalloc.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            # Or pytest remembers each line, with it the error, and with that the whole request.
            patch.setattr(logging.getLogger("sessionlab"), "propagate", False)
            yield left
        left["descriptors"] = descriptors_when_settled() - descriptors
        server.exchanges = Exchanges()  # it remembers the last 500
        gc.collect()
        made = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    requests = max(count_requests(clients) - before[1], 1)
    left["bytes"] = memory() - before[0]
    left["bytes a request"] = max(made - MOST_CACHED, 0) / requests
    left["sessions"] = count_sessions() - before[2]


def count_requests(clients):
    return sum(client.seen["requests"] for client in clients)


def count_sessions():
    return sum(isinstance(each, Session) for each in gc.get_objects())


MOST = {
    "descriptors": MOST_DESCRIPTORS,
    "bytes": MOST_GROWTH,
    "bytes a request": MOST_LEFT,
    "sessions": MOST_ALIVE,
}
WRONG = ["unanswered", "answered otherwise", "of another session", "acknowledged and lost"]
WRONG += ["logged out and still in"]


def soak(
    path,
    seconds,
    until=None,
    middleware_class=SessionMiddleware,
    store_class=SQLiteStore,
    app=application,
):
    """Let clients do what they do, for so long or ``until`` a fault is seen; return what was seen.

    And by how much the process grew, once it was warm, and what the server wrote down as errors.
    """
    with closing(store_class(path)) as kept:
        store = FailingNowAndThen(kept)
        middleware = middleware_class(validator(app), SECRET, store=store, touch_after=0)
        with serve(validator(middleware), "soak") as server:
            clients = [Client(server.url, f"user{number}", f"user{number}") for number in range(4)]
            clients += [
                Client(server.url, f"half{number}", f"pair{number // 2}") for number in range(4)
            ]
            for client in clients:
                client.log_in()
            for number in (5, 7):
                clients[number].browser.cookies = clients[number - 1].browser.cookies.copy()
            let_act(clients, seconds / 3, until)
            with growth(server, clients) as left:
                let_act(clients, 2 * seconds / 3, until)
            store.is_over = True
            for client in clients:
                client.check(client.send("/read"), client.newest)
                client.browser.close()
        errors = server.errors.text
    seen = sum((client.seen for client in clients), store.faults)
    return seen, left, errors


def let_act(clients, seconds, until):
    ends = time.monotonic() + seconds

    def work(client):
        while time.monotonic() < ends and not any(each.seen[until] for each in clients):
            client.act()

    run_together(*(lambda client=client: work(client) for client in clients))


def test_nothing_is_lost_mixed_up_or_left_over_in_a_minute_of_everything(tmp_path, request, figure):
    """L1: 60 s (5 s without --full), 5 % injected faults; logins, logouts, shared sessions."""
    seconds = 60 if request.config.getoption("--full") else 5
    path = tmp_path / "sessions.db"
    seen, left, errors = soak(path, seconds)
    figure.tried(seconds, "s")
    figure.tried(seen["requests"], "requests of 8 clients at a time")
    figure.tried(seen["went away"], "clients that went away")
    for fault in ("not done", "done, the answer lost"):
        figure.tried(seen[fault], f"injected faults, {fault}")
    Figure(request.node, "W1").tried(seen["requests"], "requests of the soak")
    figure.found(seen["unanswered"] + seen["answered otherwise"], "unanswered")
    figure.found(seen["of another session"], "cross-session values")
    figure.found(seen["acknowledged and lost"], "acknowledgements lost")
    figure.worst(max(left["bytes"] / 1e6, 0), "MB grown")
    figure.worst(left["bytes a request"], "bytes left by a request")
    figure.worst(max(left["sessions"], 0), "sessions still alive")
    figure.worst(max(left["descriptors"], 0), "descriptors grown")
    assert {name: seen[name] for name in WRONG} == dict.fromkeys(WRONG, 0)
    assert errors == ""
    assert seen["refused"] > seen["requests"] * FAULTS / 2
    assert [(name, left[name]) for name in MOST if left[name] > MOST[name]] == []
    assert is_intact(path)


class MixesUp(SessionMiddleware):
    """Now and then, a visitor gets the session of the one before."""

    before = None

    def load(self, environ, settings):
        session, is_retired = super().load(environ, settings)
        if not session.is_new and random.random() < 0.02 and self.before:
            with suppress(StoreError):
                session = Session.load(self.store, self.before, settings) or session
        if not session.is_new:
            self.before = session.id
        return session, is_retired


class SaysYes(SQLiteStore):
    def replace(self, *args):
        return random.random() < 0.02 or super().replace(*args)


class NeverEndsASession(SQLiteStore):
    def destroy(self, session_id):
        pass


def breaks_off(environ, start_response):
    if random.random() > 0.02:
        return application(environ, start_response)
    start_response("200 OK", [*TEXT, ("Content-Length", "100")])
    return iter([b"and here it ends"])


def fails(environ, start_response):
    if random.random() < 0.02:
        raise ZeroDivisionError
    return application(environ, start_response)


class Keeps(SessionMiddleware):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.kept = []

    def load(self, environ, settings):
        session, is_retired = super().load(environ, settings)
        self.kept.append(self.what(session))
        return session, is_retired


class KeepsSessions(Keeps):
    def what(self, session):
        return session


class KeepsTwoThousandBytes(Keeps):
    def what(self, session):
        return bytes(2_000)


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        pytest.param({"middleware_class": MixesUp}, "of another session", id="mixes up"),
        pytest.param({"store_class": SaysYes}, "acknowledged and lost", id="says yes"),
        pytest.param(
            {"store_class": NeverEndsASession}, "logged out and still in", id="never ends one"
        ),
        pytest.param({"app": breaks_off}, "unanswered", id="breaks off"),
        pytest.param({"app": fails}, "answered otherwise", id="fails"),
    ],
)
def test_the_soak_catches_what_is_lost_or_mixed_up(tmp_path, planted, fault):
    """L1, T1."""
    assert soak(tmp_path / "sessions.db", 30, until=fault, **planted)[0][fault] > 0


@pytest.mark.parametrize(
    ("planted", "resource"),
    [
        ({"middleware_class": KeepsTwoThousandBytes}, "bytes a request"),
        ({"middleware_class": KeepsSessions}, "sessions"),
        ({"store_class": OpensOneEach}, "descriptors"),
    ],
    ids=["2,000 bytes", "sessions", "descriptors"],
)
def test_the_soak_catches_what_is_left_over(tmp_path, planted, resource):
    """L1, T1."""
    assert soak(tmp_path / "sessions.db", 3, **planted)[1][resource] > MOST[resource]
