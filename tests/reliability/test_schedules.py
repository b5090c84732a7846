"""Row C8: every order in which two requests of one session can load, change and commit.

Each request runs in a thread of its own through the middleware, and is let go one step at a time.
"""

import threading
from itertools import combinations, product
from typing import NamedTuple

import pytest
from test_races import SECRET, BlindSet, stored_session

from sessionlab import SessionGone, SessionMiddleware, decode_record, parse_cookies, sign, unsign

STEPS = 3  # load, change, commit
ORDERS = [[n in firsts for n in range(2 * STEPS)] for firsts in combinations(range(6), STEPS)]


def write(session, name):
    session[name] = name


def write_the_same(session, name):
    session["same"] = name


def delete(session, name):
    session.pop("doomed", None)


def read(session, name):
    session.get("doomed")


def touch(session, name):
    session.touch()


def destroy(session, name):
    session.destroy()


def regenerate(session, name):
    session.regenerate()


def regenerate_and_keep(session, name):
    session.regenerate(keep_data=True)


ACTIONS = [write, write_the_same, delete, read, touch, destroy, regenerate, regenerate_and_keep]
ENDS = (destroy, regenerate, regenerate_and_keep)


class Outcome(NamedTuple):
    status: int
    set_cookie: str | None
    """None; "" for a cookie that is cleared; else the id."""


class Request:
    """A request that goes as far as it is told."""

    def __init__(self, store, session_id, act, name):
        self.act, self.name = act, name
        self.cookie = f"connect.sid=s%3A{sign(session_id, SECRET)}"
        self.middleware = SessionMiddleware(self.app, SECRET, store=store)
        self.go, self.arrived = threading.Semaphore(0), threading.Semaphore(0)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def step(self):
        self.go.release()
        assert self.arrived.acquire(timeout=10)

    def wait(self):
        self.arrived.release()
        assert self.go.acquire(timeout=10)

    def run(self):
        self.go.acquire(timeout=10)
        environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET", "wsgi.url_scheme": "http"}
        self.middleware({**environ, "HTTP_COOKIE": self.cookie}, self.start)
        self.arrived.release()

    def app(self, environ, start_response):
        self.wait()  # it is loaded
        try:
            self.act(environ["sessionlab.session"], self.name)
            status = "200 OK"
        except SessionGone:
            status = "409 Conflict"
        self.wait()  # it is changed
        start_response(status, [("Content-Type", "text/plain")])
        return [b""]

    def start(self, status, headers):
        texts = [value for name, value in headers if name == "Set-Cookie"]
        value = parse_cookies(texts[0])[0][1] if texts else None
        found = value if not value else unsign(value[2:], SECRET)
        self.outcome = Outcome(int(status[:3]), found)


def run_schedule(store, order, acts):
    """Run two requests in an order; return the old id, both outcomes and what is stored then."""
    session_id = stored_session(store, doomed=1, rest=1)
    requests = [Request(store, session_id, act, name) for act, name in zip(acts, "ab", strict=True)]
    for is_first in order:
        requests[0 if is_first else 1].step()
    for request in requests:
        request.thread.join()
    outcomes = [request.outcome for request in requests]
    stored = {}
    for key in [session_id, *(outcome.set_cookie for outcome in outcomes if outcome.set_cookie)]:
        record = store.get(key)
        stored[key] = record and decode_record(record.text)[1]
        store.destroy(key)
    return session_id, outcomes, stored


class Model:
    """What must come of a schedule: one session, and who may still write to it."""

    def __init__(self):
        self.old = {"doomed": 1, "rest": 1}  # None once it has ended
        self.results = [None, None]  # status, cookie ("", "new" or None), data of the new session
        self.was_loaded = [None, None]

    def change(self, who, act, name):
        is_loaded = self.was_loaded[who]
        data = None if self.old is None else dict(self.old)
        if act is touch:
            is_gone = is_loaded and data is None
            self.results[who] = (409, None, None) if is_gone else (200, None, None)
        elif act is destroy:
            self.results[who] = (200, "", None)
            self.old = None if is_loaded else self.old
        elif act is regenerate:
            self.results[who] = (200, "new", {})
            self.old = None if is_loaded else self.old
        elif act is regenerate_and_keep:
            if is_loaded and data is None:
                self.results[who] = (409, None, None)
            else:
                self.results[who] = (200, "new", data if is_loaded else {})
                self.old = None if is_loaded else self.old

    def commit(self, who, act, name):
        if act is touch or act in ENDS:
            return
        fresh = {} if not self.was_loaded[who] else self.old
        if act is read:
            self.results[who] = (200, None, None)
        elif fresh is None:
            self.results[who] = (409, None, None)
        else:
            data = changed(fresh, act, name)
            is_stranger = not self.was_loaded[who]
            if is_stranger:
                self.results[who] = (200, "new" if data else None, data or None)
            else:
                self.results[who], self.old = (200, None, None), data


def changed(data, act, name):
    data = dict(data)
    if act is write:
        data[name] = name
    elif act is write_the_same:
        data["same"] = name
    else:
        data.pop("doomed", None)
    return data


def expected(order, acts):
    model, done = Model(), [0, 0]
    for is_first in order:
        who = 0 if is_first else 1
        act, name = acts[who], "ab"[who]
        if done[who] == 0:
            model.was_loaded[who] = model.old is not None
        elif done[who] == 1:
            model.change(who, act, name)
        else:
            model.commit(who, act, name)
        done[who] += 1
    return model


def differences(store, order, acts):
    """Run a schedule and yield what is otherwise than it must be."""
    session_id, outcomes, stored = run_schedule(store, order, acts)
    model = expected(order, acts)
    if stored[session_id] != model.old:
        yield f"stored {stored[session_id]}, expected {model.old}"
    for outcome, (status, cookie, data) in zip(outcomes, model.results, strict=True):
        kind = "new" if outcome.set_cookie else outcome.set_cookie
        if (outcome.status, kind) != (status, cookie):
            yield f"answered {outcome.status} {kind!r}, expected {status} {cookie!r}"
        elif outcome.set_cookie and stored[outcome.set_cookie] != data:
            yield f"new session {stored[outcome.set_cookie]}, expected {data}"
        if outcome.set_cookie == session_id:
            yield "the cookie of the old id was sent again"


PAIRS = list(product(ACTIONS, repeat=2))


@pytest.mark.parametrize("acts", PAIRS, ids=[f"{a.__name__}-{b.__name__}" for a, b in PAIRS])
def test_every_schedule_of_two_requests_holds(store, acts, figure):
    """C8: all 20 orders of two requests with three steps each."""
    found = [(order, list(differences(store, order, acts))) for order in ORDERS]
    figure.tried(len(ORDERS), "schedules of two requests")
    figure.found(sum(bool(each) for _, each in found), "otherwise than the model")
    assert [each for each in found if each[1]] == []


def test_the_schedules_catch_a_blind_set(store):
    """C8, T1: a lost update, and a logout that is undone."""
    blind = BlindSet(store)
    lost = [list(differences(blind, order, (write, write))) for order in ORDERS]
    undone = [list(differences(blind, order, (write, destroy))) for order in ORDERS]
    assert sum(map(bool, lost)) >= 12
    assert sum(map(bool, undone)) >= 4
