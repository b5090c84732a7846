"""Row L1: a real server with SQLite behind it, real clients, and a store that fails now and then.

The harness takes a middleware class, a store class and an application, and returns what went wrong:
nothing, for ours. It is then given some with a planted bug (row T1).
"""

import os
import random
import time
from collections import Counter
from contextlib import closing, suppress

import pytest
import requests
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
from sessionlab.stores.sqlite import SQLiteStore

FAULTS = 0.05  # of the store's operations
MOST_GROWTH = 10_000_000  # bytes of the process, once it is warm


class FailingNowAndThen(Failing):
    def __init__(self, store):
        super().__init__(store)
        self.chance, self.faults, self.is_over = random.Random(5), 0, False

    def _wrap(self, operation):
        def call(*args):
            if not self.is_over and self.chance.random() < FAULTS:
                self.faults += 1
                raise StoreError("a fault, injected")
            return operation(*args)

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
        middleware = middleware_class(app, SECRET, store=store, touch_after=0)
        with serve(lambda *args: middleware(*args), "soak") as server:
            clients = [Client(server.url, f"user{number}", f"user{number}") for number in range(4)]
            clients += [
                Client(server.url, f"half{number}", f"pair{number // 2}") for number in range(4)
            ]
            for client in clients:
                client.log_in()
            for number in (5, 7):
                clients[number].browser.cookies = clients[number - 1].browser.cookies.copy()
            let_act(clients, seconds / 3, until)
            before = memory(), descriptors_when_settled()
            let_act(clients, 2 * seconds / 3, until)
            after = memory(), descriptors_when_settled()
            store.is_over = True
            for client in clients:
                client.check(client.send("/read"), client.newest)
                client.browser.close()
        errors = server.errors.text
    seen = sum((client.seen for client in clients), Counter(faults=store.faults))
    growth = {"bytes": after[0] - before[0], "descriptors": after[1] - before[1]}
    return seen, growth, errors


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
    seen, growth, errors = soak(path, seconds)
    figure.tried(seconds, "s")
    figure.tried(seen["requests"], "requests of 8 clients at a time")
    figure.tried(seen["went away"], "clients that went away")
    figure.tried(seen["faults"], "injected faults")
    figure.found(seen["unanswered"] + seen["answered otherwise"], "unanswered")
    figure.found(seen["of another session"], "cross-session values")
    figure.found(seen["acknowledged and lost"], "acknowledgements lost")
    figure.worst(max(growth["bytes"] / 1e6, 0), "MB grown")
    figure.worst(max(growth["descriptors"], 0), "descriptors grown")
    assert {name: seen[name] for name in WRONG} == dict.fromkeys(WRONG, 0)
    assert errors == ""
    assert seen["refused"] > seen["requests"] * FAULTS / 2
    assert growth["bytes"] <= MOST_GROWTH
    assert growth["descriptors"] <= MOST_DESCRIPTORS
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


class KeepsAll(SessionMiddleware):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.kept = []

    def load(self, environ, settings):
        self.kept.append(b"x" * 200_000)
        return super().load(environ, settings)


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
    ("planted", "resource", "most"),
    [
        ({"middleware_class": KeepsAll}, "bytes", MOST_GROWTH),
        ({"store_class": OpensOneEach}, "descriptors", MOST_DESCRIPTORS),
    ],
    ids=["memory", "descriptors"],
)
def test_the_soak_catches_what_is_left_over(tmp_path, planted, resource, most):
    """L1, T1."""
    assert soak(tmp_path / "sessions.db", 2, **planted)[1][resource] > most
