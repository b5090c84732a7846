"""Rows W1 to W4: what a middleware owes to the server and to the application.

Each harness takes a middleware class and returns what went wrong with it: nothing, for ours. It is
then given classes with a planted bug (row T1).
"""

import random
import sys
import traceback
from collections import Counter
from itertools import product
from pathlib import Path
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from test_failures import (
    CHANGES,
    FROM_NOTHING,
    SCENARIOS,
    Failing,
    Naive,
    StoresAtTheEnd,
    StoresIfItCan,
)
from test_races import SECRET, cookie_for, stored_session, write
from wsgi_server import TEXT, ask

from sessionlab import (
    MemoryStore,
    SessionGone,
    SessionMiddleware,
    StoreError,
    decode_record,
)

NAME = "connect.sid"


# The shapes of a response: when it is begun, and how its body comes.


def plain(act):
    def app(environ, start_response):
        act(environ["sessionlab.session"])
        start_response("200 OK", TEXT)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"plain"]

    return app


def late(act):
    """Does nothing before its body is asked for."""

    def app(environ, start_response):
        act(environ["sessionlab.session"])
        start_response("200 OK", TEXT)
        yield b"late"

    return app


def generating(act):
    """Changes the session after ``start_response`` and before the first byte."""

    def app(environ, start_response):
        start_response("200 OK", TEXT)

        def generate():
            act(environ["sessionlab.session"])
            yield b""
            yield b"generated"

        return generate()

    return app


def writing(act):
    def app(environ, start_response):
        act(environ["sessionlab.session"])
        start_response("200 OK", TEXT)(b"written ")
        return [b"and returned"]

    return app


def empty(act):
    def app(environ, start_response):
        act(environ["sessionlab.session"])
        start_response("204 No Content", [])
        return []

    return app


def second_thoughts(act):
    def app(environ, start_response):
        act(environ["sessionlab.session"])
        start_response("200 OK", TEXT)
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Internal Server Error", TEXT, sys.exc_info())
        return [b"sorry"]

    return app


SHAPES = {  # the shape, the method, and what is to come of it
    "plain": (plain, "GET", 200, b"plain"),
    "late": (late, "GET", 200, b"late"),
    "generator": (generating, "GET", 200, b"generated"),
    "write()": (writing, "GET", 200, b"written and returned"),
    "empty": (empty, "GET", 204, b""),
    "HEAD": (plain, "HEAD", 200, b""),
    "exc_info": (second_thoughts, "GET", 500, b"sorry"),
}


# W2.


class Away(Failing):
    """A store that can't be asked anything."""

    def __init__(self, store):
        super().__init__(store, "always")


class Down(Away):
    """A store that can be read and not written."""

    def __init__(self, store):
        super().__init__(store)
        self.get = store.get


def first_bytes(store, shape, name, middleware_class, *, is_down, is_new=False, wrap=validator):
    """Yield what goes out of a response before its session is stored, or although it can't be."""
    shape, method, *expected = SHAPES[shape]
    act, is_kept = SCENARIOS[name]
    session_id = stored_session(store, name="Ada", cart=["tea"])
    sessions, early, out = [], [], []

    def act_on(session):
        sessions.append(session)
        act(session)

    def look(answer):
        out.append(answer)
        if answer.status in (503, 409):
            return
        if is_kept is None:
            is_stored = store.get(session_id) is None
        else:
            record = store.get(sessions[0].id) if sessions else None
            is_stored = record is not None and is_kept(decode_record(record.text)[1])
        if not is_stored:
            early.append(f"{answer.status} went out before the commit")

    asked = is_down(store) if is_down else store
    middleware = middleware_class(wrap(shape(act_on)), SECRET, store=asked)
    cookie = "" if is_new else cookie_for(session_id)
    try:
        answer = ask(wrap(middleware), cookie, look, REQUEST_METHOD=method)
    except (StoreError, SessionGone):  # amid the body: the server can but break it off
        if not (is_down and out):
            yield f"it raised with the store {'down, in place of an answer' if is_down else 'up'}"
    else:
        if is_down and (answer.status != 503 or answer.all("Set-Cookie")):
            yield f"{answer.status}, {answer.all('Set-Cookie')} with the store down"
        if not is_down and [answer.status, answer.body] != expected:
            yield f"{answer.status}, {answer.body}, expected {expected}"
        if not is_down and is_new and len(answer.all("Set-Cookie")) != 1:
            yield "the new id did not reach the browser"
    yield from early


def unwrapped(app):
    return app


def responses(store, middleware_class=SessionMiddleware, wraps=(unwrapped, validator)):
    """Ask in each shape, for each change, with the store up, down, away; return count, faults."""
    count, faults = 0, []
    for shape, name, is_down, wrap in product(SHAPES, CHANGES, (Away, Down, None), wraps):
        for is_new in (False, True) if name in FROM_NOTHING else (False,):
            count += 1
            options = {"is_down": is_down, "is_new": is_new, "wrap": wrap}
            found = first_bytes(store, shape, name, middleware_class, **options)
            faults += [f"{shape}, {name}: {fault}" for fault in found]
    return count, faults


def test_no_byte_goes_out_before_the_session_is_stored(store, figure):
    """W2: seven shapes of a response, each change of a session, the store up, down and away."""
    count, faults = responses(store)
    figure.tried(count, "responses in 7 shapes, store up, not to be written, or away")
    figure.found(len(faults), "with bytes out before the commit, or a success that was none")
    assert faults == []


class StoresWhenTheApplicationReturns(Naive):
    """Too late for ``write()``, and too early for a generator."""

    def respond(self, environ, start_response, session):
        body = self.app(environ, start_response)
        self.keep(session)
        return body


class ExcusesItself(SessionMiddleware):
    """Has a friendly page for who can't be known now, and forgets its status."""

    def load(self, environ, settings):
        try:
            return super().load(environ, settings)
        except StoreError:
            environ["test.is_unknown"] = True
            raise

    def __call__(self, environ, start_response):
        def start(status, headers, *exc_info):
            status = "200 OK" if "test.is_unknown" in environ else status
            return start_response(status, headers, *exc_info)

        return super().__call__(environ, start)


@pytest.mark.parametrize(
    ("broken", "shapes"),
    [
        (StoresAtTheEnd, {"plain", "late", "generator", "write()", "exc_info"}),
        (StoresWhenTheApplicationReturns, {"late", "generator", "write()"}),
        (StoresIfItCan, set(SHAPES)),
        (ExcusesItself, set(SHAPES)),
    ],
)
def test_the_first_bytes_catch_a_middleware_that_stores_too_late(broken, shapes):
    """W2, T1."""
    faults = responses(MemoryStore(), broken, [unwrapped])[1]
    assert {fault.partition(",")[0] for fault in faults} >= shapes


# W1.


def complaints(middleware_class):
    """Return how many requests were answered, and what was no WSGI, on either side.

    A refusal is an answer; what a handler raises, or the store amid a body, is none. No validator
    says that a response begins twice, but the server itself.
    """
    count, said = 0, []
    everything = product(SHAPES, SCENARIOS, (True, False), ("GET", "POST", "HEAD", "OPTIONS"))
    for shape, name, is_down, method in everything:
        store = MemoryStore()
        session_id = stored_session(store, name="Ada", cart=["tea"])
        app = validator(SHAPES[shape][0](SCENARIOS[name][0]))
        store = Down(store) if is_down else store
        middleware = middleware_class(app, SECRET, store=store, touch_after=0)
        strangers = ("junk", "") if name in FROM_NOTHING else ()
        for cookie in (cookie_for(session_id), *strangers):
            try:
                ask(validator(middleware), cookie, REQUEST_METHOD=method)
                count += 1
            except AssertionError as error:
                count += 1
                place = traceback.extract_tb(error.__traceback__)[-1]
                said.append(f"{Path(place.filename).name}: {error}")
            except StoreError:
                pass
    return count, said


def test_both_sides_of_the_middleware_are_valid_wsgi(figure):
    """W1: one validator in front of it and one behind, as in all that asks in other rows."""
    count, said = complaints(SessionMiddleware)
    figure.tried(count, "requests answered between two validators")
    figure.found(len(said), "assertions")
    assert said == []


def breaking(call):
    """Return a middleware class that does ``call`` in place of passing the request on."""

    class Broken(SessionMiddleware):
        def __call__(self, environ, start_response):
            return call(super().__call__, environ, start_response)

    return Broken


def joined_to(make):
    """Break the body: ``make`` gets its pieces."""

    def call(middleware, environ, start_response):
        body = middleware(environ, start_response)
        try:
            return make(body)
        finally:
            getattr(body, "close", list)()

    return breaking(call)


def in_the_server(change):
    """Break what reaches the server: ``change`` gets status and headers and returns them."""

    def call(middleware, environ, start_response):
        def start(status, headers, *exc_info):
            return start_response(*change(status, headers), *exc_info)

        return middleware(environ, start)

    return breaking(call)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(
            joined_to(lambda chunks: [chunk.decode() for chunk in chunks]),
            id="text for bytes",
        ),
        pytest.param(joined_to(b"".join), id="not a list"),
        pytest.param(
            breaking(lambda app, environ, start: app(Counter(environ), start)),
            id="an environ that is no dict",
        ),
        pytest.param(
            breaking(lambda app, environ, start: app(environ, lambda *args: list)),
            id="never started",
        ),
        pytest.param(
            breaking(lambda app, environ, start: app(environ, lambda *args: start(*args, "more"))),
            id="exc_info that is none",
        ),
        pytest.param(
            breaking(lambda app, environ, start: app({**environ, "wsgi.errors": None}, start)),
            id="an environ without errors",
        ),
        pytest.param(
            breaking(lambda app, environ, start: app({**environ, "HTTP_X": 1}, start)),
            id="an environ with a number",
        ),
        pytest.param(
            in_the_server(lambda status, headers: (status, tuple(headers))), id="a tuple of headers"
        ),
        pytest.param(
            in_the_server(lambda status, headers: (status, [list(h) for h in headers])),
            id="headers that are lists",
        ),
        pytest.param(
            in_the_server(lambda status, headers: (status, [*headers, ("Set-Cookie", "a\r\nb")])),
            id="two lines in one header",
        ),
        pytest.param(
            in_the_server(lambda status, headers: (int(status[:3]), headers)), id="a number"
        ),
    ],
)
def test_the_validators_catch_what_is_no_wsgi(broken):
    """W1, T1."""
    assert any(text.startswith("validate.py: ") for text in complaints(broken)[1])


def test_the_server_catches_a_response_that_begins_twice():
    """W1, T1."""
    twice = breaking(lambda app, environ, start: start("200 OK", TEXT) and app(environ, start))
    assert "wsgi_server.py: the response began twice" in complaints(twice)[1]


# W3.

OWN_NAMES = ["Set-Cookie", "set-cookie", "SET-COOKIE", "X-Set-Cookie", "Content-Language"]
OF_OUR_NAME = ["connect.sid=mine", " connect.sid=x; Path=/", "\tconnect.sid=", "connect.sid =x"]
OF_ANOTHER = [
    *("a=1", "a=1", "a=2; Path=/a", "connect.sid2=x", "Connect.sid=x", "connect.si=d", "=", ""),
    *("connect.sid", "connect.sid; x=1", "a=connect.sid=x", "a=1; connect.sid=x", "xconnect.sid=x"),
]
FOR_CACHES = [
    *(("Vary", value) for value in ("Accept", "Cookie", "accept, COOKIE", "*", "X-Cookie", "")),
    *(("vary", "Origin"), ("Cache-Control", "no-store"), ("cache-control", "no-store, private")),
]


def name_of(text):
    """What a browser takes for the name of a cookie. Source: RFC 6265 section 5.2."""
    name, equals, _ = text.partition(";")[0].partition("=")
    return name.strip(" \t") if equals else ""


def sets_ours(header):
    return header[0].lower() == "set-cookie" and name_of(header[1]) == NAME


def random_headers(chance):
    values = OF_OUR_NAME + OF_ANOTHER
    own = [(chance.choice(OWN_NAMES), chance.choice(values)) for _ in range(chance.randrange(12))]
    for header in chance.sample(FOR_CACHES, chance.choice((0, 0, 1, 2))):
        own.insert(chance.randrange(len(own) + 1), header)
    return own


def values_of(name, headers):
    return [value.lower() for key, value in headers if key.lower() == name]


IS_DUE = {  # what the handler does, and how the text begins of the cookie that is then due
    "set": (write, f"{NAME}=s%3A"),
    "cleared": (lambda session: session.destroy(), f"{NAME}=;"),
    "not due": (lambda session: session.get("name"), None),
}


def headers_that_suffer(lists, middleware_class=SessionMiddleware):
    """Send the application's own headers, with a cookie of ours due or not; yield what is amiss.

    Where ours is due, it comes last, and the application's of our name are none; else these are
    the application's own affair, and pass. What is added for caches comes behind its own.
    """
    for own, (kind, (act, start)) in product(lists, IS_DUE.items()):

        def app(environ, start_response, own=own, act=act):
            act(environ["sessionlab.session"])
            start_response("200 OK", [*TEXT, *own])
            return [b""]

        store = MemoryStore()
        cookie = "" if kind == "set" else cookie_for(stored_session(store, name="Ada"))
        headers = ask(middleware_class(app, SECRET, store=store), cookie).headers
        kept = [*TEXT, *(header for header in own if not (start and sets_ours(header)))]
        if headers[: len(kept)] != kept:
            yield f"{kind}, {own}: lost, or in another order"
        if start and sum(map(sets_ours, headers)) != 1:
            yield f"{kind}, {own}: not one of our name"
        if start and not (sets_ours(headers[-1]) and headers[-1][1].startswith(start)):
            yield f"{kind}, {own}: ours is not the last"
        for_caches = headers[len(kept) : len(headers) - bool(start)]
        varies = {part.strip() for text in values_of("vary", own) for part in text.split(",")}
        added = [("Vary", "Cookie")] if not varies & {"cookie", "*"} else []
        if not values_of("cache-control", own):
            added += [header for header in for_caches if header[0] == "Cache-Control"][:1]
        if for_caches != added:
            yield f"{kind}, {own}: added {for_caches}, expected {added}"


TWENTY = [("Set-Cookie", f"c{number}=1; Path=/{number}") for number in range(20)]
MINE = [("Set-Cookie", "connect.sid=mine")]


def test_the_applications_headers_are_kept_and_ours_is_the_only_one_of_its_name(figure, request):
    """W3: 20 cookies of its own; odd cases, duplicates and cookies of our name in random lists."""
    chance = random.Random(3)
    count = 100_000 if request.config.getoption("--full") else 2_000
    lists = [TWENTY, MINE, *(random_headers(chance) for _ in range(count))]
    faults = list(headers_that_suffer(lists))
    figure.tried(len(IS_DUE) * len(lists), "lists of headers, up to 20 cookies each")
    figure.found(len(faults), "not kept in order, or with two of our name where ours is due")
    assert faults == []


def changed_headers(change):
    """Return a middleware class that adds to the headers in another way."""

    class Broken(SessionMiddleware):
        def __call__(self, environ, start_response):
            own = []

            def app(environ, start):
                def note(status, headers, *exc_info):
                    own[:] = headers
                    return start(status, headers, *exc_info)

                return self.app(environ, note)

            def send(status, headers, *exc_info):
                return start_response(status, change(own, headers), *exc_info)

            outer = SessionMiddleware(app, SECRET, store=self.store)
            return outer(environ, send)

    return Broken


def beside_its_own(own, headers):
    return own + [header for header in headers if header not in own]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param(
            lambda own, headers: list(dict(headers).items()), "lost", id="one header of a name"
        ),
        pytest.param(
            lambda own, headers: [headers[-1], *headers[:-1]], "not the last", id="ours first"
        ),
        pytest.param(
            lambda own, headers: [h for h in headers if NAME not in h[1] or "HttpOnly" in h[1]],
            "lost",
            id="what looks like ours is lost",
        ),
        pytest.param(beside_its_own, f"set, {MINE}: not one of our name", id="two of our name"),
        pytest.param(
            lambda own, headers: (
                headers if "s%3A" in headers[-1][1] else beside_its_own(own, headers)
            ),
            f"cleared, {MINE}: not one of our name",
            id="two of our name when it is cleared",
        ),
        pytest.param(
            lambda own, headers: [h for h in headers if h in own or h[0] != "Vary"],
            "added [], expected [('Vary', 'Cookie')]",
            id="no Vary",
        ),
        pytest.param(
            lambda own, headers: [*headers[:-1], ("Vary", "Cookie"), headers[-1]],
            "added [('Vary', 'Cookie')], expected []",
            id="Vary twice",
        ),
        pytest.param(
            lambda own, headers: [h for h in headers if h[0] != "Vary"] + [("Vary", "Cookie")],
            "lost",
            id="its own Vary is lost",
        ),
    ],
)
def test_the_lists_catch_headers_that_suffer(change, fault):
    """W3, T1."""
    chance = random.Random(3)
    lists = [TWENTY, MINE, *(random_headers(chance) for _ in range(200))]
    assert any(fault in found for found in headers_that_suffer(lists, changed_headers(change)))


# W4.


class Body:
    """A body in pieces, which may fail at any of them, and counts how often it is closed."""

    def __init__(self, *pieces, on_close=lambda: None):
        self.pieces, self.on_close = iter(pieces), on_close
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        piece = next(self.pieces)
        if isinstance(piece, bytes):
            return piece
        raise piece

    def close(self):
        self.closed += 1
        self.on_close()


ERROR = ZeroDivisionError("the application's own")
BODIES = {  # its pieces, after how many the client goes, whether the error is to reach the server
    "all": ([b"a", b"", b"b"], None, False),
    "nothing": ([], None, False),
    "raises before": ([ERROR], None, True),
    "raises after an empty piece": ([b"", ERROR], None, True),
    "raises amid": ([b"a", ERROR], None, True),
    "client goes before": ([b"a", b"b"], 0, False),
    "client goes amid": ([b"a", b"b"], 1, False),
}


def bodies_not_closed_once(store, middleware_class=SessionMiddleware):
    """Yield how each body ends otherwise than by one ``close()``."""
    for name, is_down in product(BODIES, (False, True)):
        pieces, pieces_taken, is_raised = BODIES[name]
        body = Body(*pieces)

        def app(environ, start_response, body=body):
            write(environ["sessionlab.session"])
            start_response("200 OK", TEXT)
            return body

        down = Down(store) if is_down else store
        environ = {"SCRIPT_NAME": "", "QUERY_STRING": ""}
        setup_testing_defaults(environ)
        result = middleware_class(app, SECRET, store=down)(environ, lambda *args: lambda _: None)
        raised = None
        try:
            for number, _ in enumerate(() if pieces_taken == 0 else result, 1):
                if number == pieces_taken:
                    break
        except ZeroDivisionError as error:
            raised = error
        finally:
            if hasattr(result, "close"):
                result.close()
        if body.closed != 1:
            yield f"{name}, store {'down' if is_down else 'up'}: closed {body.closed} times"
        if (raised is not None) != is_raised and not is_down:
            yield f"{name}: raised {raised!r}"


def test_a_body_is_closed_exactly_once_however_it_ends(store, figure):
    """W4: it raises before, amid or not at all; the client stays or goes; the store up or down."""
    faults = list(bodies_not_closed_once(store))
    figure.tried(2 * len(BODIES), "ways for a body to end")
    figure.found(len(faults), "bodies not closed once")
    assert faults == []


def left_by_a_failure(store, when, middleware_class=SessionMiddleware):
    """Let the application raise ``when``; yield what is there of its response or its session."""

    def app(environ, start_response):
        write(environ["sessionlab.session"])
        if when == "after":
            start_response("200 OK", TEXT)
        raise ERROR

    sent = []
    try:
        ask(middleware_class(app, SECRET, store=store), on_bytes=sent.append)
    except ZeroDivisionError:
        pass
    else:
        yield "the server is not told"
    if sent:
        yield "sent"
    if list(store):
        yield "stored"


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_application_that_fails_stores_nothing_and_sends_nothing(store, when, figure):
    """W4: an exception before or after ``start_response`` is the server's to answer."""
    left = list(left_by_a_failure(store, when))
    figure.tried(1, "applications that raise")
    figure.found(len(left), "responses or records of theirs")
    assert left == []


class StoresInAnyCase(Naive):
    def respond(self, environ, start_response, session):
        try:
            return self.app(environ, start_response)
        finally:
            self.keep(session)


class AnswersInItsPlace(SessionMiddleware):
    def __call__(self, environ, start_response):
        try:
            return super().__call__(environ, start_response)
        except ZeroDivisionError:
            start_response("500 Internal Server Error", TEXT, sys.exc_info())
            return [b"sorry"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("broken", "left"),
    [(StoresInAnyCase, ["stored"]), (AnswersInItsPlace, ["the server is not told", "sent"])],
)
def test_the_failures_catch_a_middleware_that_stores_or_answers(when, broken, left):
    """W4, T1."""
    assert list(left_by_a_failure(MemoryStore(), when, broken)) == left


class ForgetsToClose(SessionMiddleware):
    def __call__(self, environ, start_response):
        yield from super().__call__(environ, start_response)


class ClosesTwice(SessionMiddleware):
    def __call__(self, environ, start_response):
        body = super().__call__(environ, start_response)
        try:
            yield from body
        finally:
            for _ in range(2):
                body.close()


class ClosesAtTheEnd(SessionMiddleware):
    def __call__(self, environ, start_response):
        body = super().__call__(environ, start_response)
        yield from body
        body.close()


class ClosesWhatWasBegun(SessionMiddleware):
    """A generator that nobody began never comes to its ``finally``."""

    def __call__(self, environ, start_response):
        return self.pieces(super().__call__(environ, start_response))

    def pieces(self, body):
        try:
            yield from body
        finally:
            body.close()


@pytest.mark.parametrize(
    ("broken", "ends"),
    [
        (ForgetsToClose, set(BODIES)),
        (ClosesTwice, set(BODIES)),
        (ClosesAtTheEnd, set(BODIES) - {"all", "nothing"}),
        (ClosesWhatWasBegun, {"client goes before"}),
    ],
)
def test_the_bodies_catch_a_middleware_that_closes_them_otherwise(broken, ends):
    """W4, T1."""
    faults = bodies_not_closed_once(MemoryStore(), broken)
    assert {fault.partition(",")[0] for fault in faults} == ends
