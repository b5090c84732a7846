"""Rows P8, S1, S3 and S4: forged cookies, planted ids, changed secrets, and what is said of them.

Each harness takes a middleware class and returns what went wrong with it: nothing, for ours. It is
then given classes with a planted bug (row T1).
"""

import logging
import random
import re
import traceback
from base64 import b64decode
from contextlib import suppress
from itertools import product
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits

import pytest
from test_failures import BROKEN, SCENARIOS, Failing, ask, put
from test_races import SECRET, app_of, cookie_for, stored_session, write
from watched_log import Watch, confidential

from sessionlab import (
    BadSignature,
    Facts,
    MemoryStore,
    Options,
    Session,
    SessionGone,
    SessionMiddleware,
    StoreError,
    decide,
    new_session_id,
    parse_cookies,
    sign,
    unsign,
)
from sessionlab.testing import Clock

OLD = "the secret of last year, which is as long as the other"
NEW = "the secret of this year, which is as long as the other"
ANOTHER = "a secret of somebody else, who would like to come in"
BASE64 = ascii_uppercase + ascii_lowercase + digits + "+/"


class Counting(Failing):
    """A store that counts what it is asked."""


# P8.


def near_misses(chance):
    """Return values that our secret has all but signed, each in another way."""
    session_id = "".join(chance.choices(ascii_letters + digits + "-_", k=32))
    signed = sign(session_id, SECRET)
    signature = signed.rpartition(".")[2]
    return [
        sign(session_id, ANOTHER),
        session_id,
        f"{session_id}.",
        f"{session_id}." + "".join(chance.choices(BASE64, k=43)),
        f"{session_id}.{signature[:22]}",
        f"{session_id}.{signature[:-1]}",
        f"{session_id}.{signature.swapcase()}",
        f"{session_id}.{signature.replace('+', '-').replace('/', '_')}=",
        signed + "=",
        signed + "A",
        signed[:-1] + chance.choice(BASE64.replace(signed[-1], "")),
        signed[:-1] + BASE64[BASE64.index(signed[-1]) ^ 1],  # the same bytes, to a lax decoder
        chr(ord(signed[0]) ^ 1) + signed[1:],
        sign(session_id + "x", SECRET).replace("x.", "."),
        "." + signature,
        signature,
        "",
    ]


def as_cookies(value):
    """Return the ways to send it of which ours is one, and some that are none."""
    return [f"connect.sid={start}{value}" for start in ("s%3A", "s:", "s:s:", "", '"s:')]


def forged_headers(chance, count):
    """Return each near miss in each way, and then up to three at a time."""
    headers = [each for value in near_misses(chance) for each in as_cookies(value)]
    while len(headers) < count:
        values = chance.sample(near_misses(chance), k=1 + len(headers) % 3)
        headers.append("; ".join(chance.choice(as_cookies(value)) for value in values))
    return headers


def calls_for_forged_cookies(count, middleware_class=SessionMiddleware):
    """Return what a store was asked on behalf of visitors with nothing but forged cookies."""
    store = Counting(MemoryStore())
    middleware = middleware_class(app_of(lambda session: session.get("user")), SECRET, store=store)
    for header in forged_headers(random.Random(8), count):
        ask(middleware, header)
    return store.count


def test_a_forged_cookie_never_reaches_the_store(figure, request):
    """P8: 100,000 requests with one to three of them each."""
    count = 100_000 if request.config.getoption("--full") else 5_000
    calls = calls_for_forged_cookies(count)
    figure.tried(count, "requests with forged cookies")
    figure.found(calls, "store calls")
    assert calls == 0


class AsksFirst(SessionMiddleware):
    """Looks the session up, and verifies the cookie then."""

    def load(self, environ, settings):
        for value in self.cookies(environ):
            Session.load(self.store, value[2:].rpartition(".")[0], settings)
        return super().load(environ, settings)


class VerifiesHalf(SessionMiddleware):
    """Compares as much of the signature as came."""

    def load(self, environ, settings):
        for value in self.cookies(environ):
            session_id, _, signature = value[2:].rpartition(".")
            if sign(session_id, SECRET).startswith(f"{session_id}.{signature}"):
                return Session.load(self.store, session_id, settings) or Session(self.store), False
        return super().load(environ, settings)


class VerifiesTheBytes(SessionMiddleware):
    """Compares what the signatures decode to, where several texts are the same bytes."""

    def load(self, environ, settings):
        for value in self.cookies(environ):
            session_id, _, signature = value[2:].rpartition(".")
            good = sign(session_id, SECRET).rpartition(".")[2]
            with suppress(ValueError):
                if b64decode(signature + "=") == b64decode(good + "="):
                    Session.load(self.store, session_id, settings)
        return super().load(environ, settings)


class VerifiesInAnyCase(SessionMiddleware):
    def load(self, environ, settings):
        for value in self.cookies(environ):
            session_id = value[2:].rpartition(".")[0]
            if sign(session_id, SECRET).lower() == value[2:].lower():
                Session.load(self.store, session_id, settings)
        return super().load(environ, settings)


@pytest.mark.parametrize(
    ("broken", "calls"),
    [(AsksFirst, 50), (VerifiesHalf, 6), (VerifiesTheBytes, 4), (VerifiesInAnyCase, 2)],
)
def test_the_forged_cookies_catch_a_middleware_that_asks_the_store(broken, calls):
    """P8, T1: already by the first header of each kind."""
    assert calls_for_forged_cookies(0, broken) >= calls


# S1.

PLANTED = "planted-" + "x" * 24
COMES_WITH = {
    "unsigned": f"connect.sid={PLANTED}",
    "unsigned, as if signed": f"connect.sid=s:{PLANTED}",
    "signed with another secret": cookie_for(PLANTED, ANOTHER),
    "signed, unknown": cookie_for(PLANTED),
    "signed, of another cookie": cookie_for(PLANTED).replace("connect.sid", "sid"),
    "signed, ended": cookie_for(PLANTED),
    "signed, expired": cookie_for(PLANTED),
    "unknown, and then forged": f"{cookie_for(PLANTED)}; {cookie_for(PLANTED, ANOTHER)}",
}
MAKES_ONE = {
    "write": write,
    "save": lambda session: session.save(),
    "save and write": lambda session: (session.save(), write(session)),
    "atomic": lambda session: session.atomic(lambda data: data.update(n=1)),
    "regenerate": lambda session: session.regenerate(),
    "regenerate and keep": lambda session: session.regenerate(keep_data=True),
    "destroy and regenerate": lambda session: (session.destroy(), session.regenerate()),
    "touch and write": lambda session: (session.touch(), write(session)),
}


def id_in(text):
    return unsign(parse_cookies(text)[0][1][2:], SECRET)


def adoptions(make_store, middleware_class=SessionMiddleware):
    """Come with each planted id to each handler; return the count, and which were taken over."""
    count, adopted = 0, []
    for kind, cookie in COMES_WITH.items():
        for name, act in MAKES_ONE.items():
            count += 1
            clock = Clock()
            store = make_store(clock)
            if kind == "signed, ended":
                store.create(PLANTED, '{"cookie":{}}', clock() + 60)
                store.destroy(PLANTED)
            elif kind == "signed, expired":
                store.create(PLANTED, '{"cookie":{}}', clock() + 60)
                clock.advance(61)
            middleware = middleware_class(app_of(act), SECRET, store=store, now=clock)
            _, texts, _ = ask(middleware, cookie)
            if any(id_in(text) == PLANTED for text in texts) or store.get(PLANTED) is not None:
                adopted.append(f"{kind}, {name}")
            assert len(store) == 1
            assert texts or name == "save"  # of an empty session no browser is told, as in Express
    return count, adopted


def test_an_id_that_the_store_does_not_know_is_never_adopted(figure):
    """S1: planted, unknown and foreign ids, whatever the handler does with the session."""
    count, adopted = adoptions(lambda clock: MemoryStore(now=clock))
    figure.tried(count, "visits with a planted id")
    figure.found(len(adopted), "adopted")
    assert adopted == []


class Adopts(SessionMiddleware):
    """Begins a session under the id that came, as PHP did by default."""

    def load(self, environ, settings):
        session, is_retired = super().load(environ, settings)
        if session.is_new and (values := self.cookies(environ)):
            session.look()
            session._id = values[0][2:].rpartition(".")[0] or None
        return session, is_retired


def test_the_planted_ids_catch_a_middleware_that_adopts_them():
    """S1, T1."""
    adopted = adoptions(lambda clock: MemoryStore(now=clock), Adopts)[1]
    assert any(each.startswith("signed, unknown") for each in adopted)
    assert any(each.startswith("signed with another secret") for each in adopted)


def attackers_let_in(store, count, log_in):
    """Plant the attacker's own session on a victim who then logs in; count who sees the victim."""
    attack = SessionMiddleware(app_of(lambda s: s.update(cart=["poison"])), SECRET, store=store)
    victim = SessionMiddleware(app_of(log_in), SECRET, store=store)
    seen = []
    look = SessionMiddleware(app_of(lambda s: seen.append(s.get("user"))), SECRET, store=store)
    logged_in = 0
    for _ in range(count):
        planted = ask(attack)[1][0].partition(";")[0]
        texts = ask(victim, planted)[1]
        ask(look, texts[0].partition(";")[0] if texts else planted)
        logged_in += seen.pop() == "victim"
        ask(look, planted)
    assert logged_in == count
    return sum(user == "victim" for user in seen)


@pytest.mark.parametrize("keep_data", [True, False])
def test_a_planted_session_is_worth_nothing_after_a_login(store, sizes, figure, keep_data):
    """S1: the attacker's own, valid session; the login regenerates it."""

    def log_in(session):
        session.regenerate(keep_data=keep_data)
        session["user"] = "victim"

    count = sizes(2_000)
    let_in = attackers_let_in(store, count, log_in)
    figure.tried(count, "logins on an attacker's session")
    figure.found(let_in, "attackers let in")
    assert let_in == 0


def test_the_logins_catch_one_that_keeps_the_id():
    """S1, T1."""
    assert attackers_let_in(MemoryStore(), 5, lambda s: s.update(user="victim")) == 5


# S3.


def users_of_a_rotation(count, middleware_class=SessionMiddleware):
    """Change the secret while users come; yield what is otherwise than it must be."""
    store, seen = MemoryStore(), []

    def serve(secret):
        act = app_of(lambda session: seen.append(session.get("name")))
        return middleware_class(act, secret, store=store)

    def visit(middleware, cookie):
        texts = ask(middleware, cookie)[1]
        return seen.pop(), texts[0].partition(";")[0] if texts else None

    before, during, after = serve(OLD), serve([NEW, OLD]), serve(NEW)
    for number in range(count):
        name = f"user {number}"
        session_id = stored_session(store, name=name)
        old, new = cookie_for(session_id, OLD), cookie_for(session_id, NEW)
        if visit(before, old) != (name, None):
            yield f"{name} was not there before"
        found, sent = visit(during, old)
        if found != name:
            yield f"{name} was logged out by the new secret"
        if sent is None or parse_cookies(sent) != parse_cookies(new):
            yield f"{name} was not given a cookie that the new secret signed"
        if visit(during, new) != (name, None):
            yield f"{name} was sent the new cookie again and again"
        if visit(after, new) != (name, None):
            yield f"{name} was logged out when the old secret went"
        if visit(after, old) != (None, None):
            yield f"{name} came in with the secret that went"
        stranger = ask(middleware_class(app_of(write), [NEW, OLD], store=store))[1][0]
        if not is_signed(stranger, NEW):
            yield "a new visitor's cookie is not signed with the new secret"


def is_signed(text, secret):
    try:
        return bool(unsign(parse_cookies(text)[0][1][2:], secret))
    except BadSignature:
        return False


def test_a_secret_is_rotated_without_a_logout_and_the_old_one_is_refused_then(figure, request):
    """S3: ``[new, old]`` signs with the new one and accepts both; ``[new]`` refuses the old one."""
    count = 5_000 if request.config.getoption("--full") else 200
    faults = list(users_of_a_rotation(count))
    figure.tried(count, "users through [old], [new, old], [new]")
    figure.found(len(faults), "logged out, let in, or not moved on")
    assert faults == []


class OldestFirst(SessionMiddleware):
    def __init__(self, app, secret, **options):
        secrets = [secret] if isinstance(secret, str) else secret[::-1]
        super().__init__(app, secrets, **options)


class NewestAlone(SessionMiddleware):
    def __init__(self, app, secret, **options):
        super().__init__(app, secret if isinstance(secret, str) else secret[0], **options)


class NeverSendsAgain(SessionMiddleware):
    """As Express: the cookie is signed anew when it is next due."""

    def load(self, environ, settings):
        return super().load(environ, settings)[0], False


class NeverForgets(SessionMiddleware):
    known = ()

    def __init__(self, app, secret, **options):
        super().__init__(app, secret, **options)
        NeverForgets.known = tuple(dict.fromkeys([*self.secrets, *self.known]))
        self.secrets = tuple(dict.fromkeys([*self.secrets, *self.known]))


class SignsNewcomersWithTheOldest(SessionMiddleware):
    def load(self, environ, settings):
        session, is_retired = super().load(environ, settings)
        if session.is_new:
            self.secrets = self.secrets[::-1]
        return session, is_retired


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (OldestFirst, "user 0 was not given a cookie that the new secret signed"),
        (NewestAlone, "user 0 was logged out by the new secret"),
        (NeverSendsAgain, "user 0 was not given a cookie that the new secret signed"),
        (NeverForgets, "user 0 came in with the secret that went"),
        (SignsNewcomersWithTheOldest, "a new visitor's cookie is not signed with the new secret"),
    ],
)
def test_the_rotation_catches_a_middleware_that_does_it_otherwise(broken, fault):
    """S3, T1."""
    assert fault in list(users_of_a_rotation(3, broken))


# S4.

PRIVATE = "what the visitor told nobody else: 4111-1111"
_TRACE = re.compile(r"Traceback|File \"|line \d+|\.py\b|Error\b(?!s? )")


class Leaks(logging.Handler):
    """Goes through scenarios, and looks for ids, secrets, data and tracebacks in all that is said.

    That is every line of the log, the body of every refusal, and what ``repr`` and ``str`` make of
    every object and error that a handler can come by.
    """

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.found = []
        self.counts = dict.fromkeys(("log lines", "bodies", "reprs"), 0)
        self.confidential = {SECRET, OLD, ANOTHER, PRIVATE}

    def emit(self, record):
        self.look("log lines", self.format(record))
        if record.exc_info:
            self.found.append(f"log lines: a traceback in {record.getMessage()}")

    def look(self, where, text):
        self.counts[where] += 1
        for word in self.confidential:
            if word in text:
                self.found.append(f"{where}: {word!r} in {text!r}")
        if _TRACE.search(text) and where != "reprs":
            self.found.append(f"{where}: a traceback in {text!r}")

    def know(self, session_id):
        """Let an id, and its signature, be confidential from now on."""
        self.confidential |= {session_id, sign(session_id, SECRET).rpartition(".")[2]}

    def look_at(self, *things):
        for thing in things:
            self.look("reprs", f"{thing!r} {thing!s}")

    def look_at_error(self, error):
        while error is not None:
            self.look_at(error)
            error = error.__cause__


def watch(store, middleware_class=SessionMiddleware):
    """Fail each operation of each scenario, meet each broken record; return what was said."""
    leaks = Leaks()
    logger = logging.getLogger("sessionlab")
    level = logger.level
    logger.addHandler(leaks)
    logger.setLevel(logging.DEBUG)
    try:
        for name in SCENARIOS:
            for fails_at in (None, *range(1, 8), "always"):
                go_through(leaks, store, name, fails_at, middleware_class)
        for text in BROKEN.values():
            meet(leaks, store, text, middleware_class)
    finally:
        logger.removeHandler(leaks)
        logger.setLevel(level)
    return leaks


def go_through(leaks, store, name, fails_at, middleware_class):
    session_id = stored_session(store, name="Ada", cart=["tea"], private=PRIVATE)
    leaks.know(session_id)
    failing = Failing(store, fails_at)

    def act(session):
        leaks.know(session.id)
        leaks.look_at(session, session.cookie, session.cookie.options, session.keys())
        try:
            SCENARIOS[name][0](session)
            if fails_at is None and name == "write":
                spoil(session)
        except (StoreError, SessionGone, TypeError, ValueError) as error:
            leaks.look_at_error(error)
            raise
        finally:
            leaks.know(session.id)
            leaks.look_at(session)

    def app(environ, start_response):
        body = app_of(act)(environ, start_response)
        leaks.look_at(environ["sessionlab.session"])
        return body

    middleware = middleware_class(app, SECRET, store=failing, touch_after=0)
    leaks.look_at(middleware, failing, store)
    for cookie in (cookie_for(session_id), cookie_for(session_id, ANOTHER), ""):
        try:
            status, _, body = ask(middleware, cookie)
        except (KeyError, TypeError, ValueError, StoreError, SessionGone) as error:
            leaks.look_at_error(error)
        else:
            if status in (503, 409):
                leaks.look("bodies", body)


def spoil(session):
    """Put in what can't be stored; many applications log what the error says of it."""
    session["odd"] = {"private": PRIVATE, "when": object()}


def meet(leaks, store, text, middleware_class):
    store.destroy(PLANTED)
    put(store, PLANTED, text.replace("Ada", PRIVATE))
    leaks.know(PLANTED)
    act = app_of(lambda session: (leaks.look_at(session), write(session)))
    ask(middleware_class(act, SECRET, store=store), cookie_for(PLANTED))
    store.destroy(PLANTED)


def gone_meanwhile(leaks, store):
    session_id = stored_session(store, private=PRIVATE)
    leaks.know(session_id)
    act = app_of(lambda session: (write(session), store.destroy(session_id)))
    status, _, body = ask(SessionMiddleware(act, SECRET, store=store), cookie_for(session_id))
    assert status == 409
    leaks.look("bodies", body)


def test_nothing_confidential_is_in_any_log_body_or_repr(store, figure):
    """S4: each operation of each scenario fails in turn, and each unreadable record is met."""
    leaks = watch(store)
    gone_meanwhile(leaks, store)
    assert min(leaks.counts.values()) > 0
    for where, count in leaks.counts.items():
        figure.tried(count, where)
    figure.found(len(leaks.found), "with an id, a secret, data or a traceback")
    assert leaks.found == []


class TellsTheId(Failing):
    """A store whose errors name the session."""

    def _wrap(self, operation):
        def call(*args):
            try:
                return super(TellsTheId, self)._wrap(operation)(*args)
            except StoreError as error:
                raise StoreError(f"{args[0]}: {error}") from None

        return call


class TellsTheStory(SessionMiddleware):
    """Answers an outage with its traceback, as a server in debug mode does."""

    def load(self, environ, settings):
        environ["test.story"] = ""
        try:
            return super().load(environ, settings)
        except StoreError:
            environ["test.story"] = traceback.format_exc()
            raise

    def __call__(self, environ, start_response):
        body = super().__call__(environ, start_response)
        return [environ["test.story"].encode()] if environ.get("test.story") else body


class LogsTheCookie(SessionMiddleware):
    def load(self, environ, settings):
        logging.getLogger("sessionlab").debug("came with %s", environ.get("HTTP_COOKIE"))
        return super().load(environ, settings)


class LogsTheError(SessionMiddleware):
    def load(self, environ, settings):
        try:
            return super().load(environ, settings)
        except StoreError:
            logging.getLogger("sessionlab").exception("the store failed")
            raise


class ShowsItsSecret(SessionMiddleware):
    def __repr__(self):
        return f"SessionMiddleware({self.secrets})"


@pytest.mark.parametrize(
    "broken", [TellsTheStory, LogsTheCookie, LogsTheError, ShowsItsSecret], ids=lambda c: c.__name__
)
def test_the_watch_catches_a_middleware_that_tells(broken):
    """S4, T1."""
    assert watch(MemoryStore(), broken).found


@pytest.mark.parametrize("shown", [lambda self: self.id, lambda self: str(dict(self))])
def test_the_watch_catches_a_session_that_shows_itself(monkeypatch, shown):
    """S4, T1."""
    monkeypatch.setattr(Session, "__repr__", lambda self: f"<Session {shown(self)}>")
    assert watch(MemoryStore()).found


def test_the_watch_catches_a_store_whose_errors_name_the_session(monkeypatch):
    """S4, T1."""
    monkeypatch.setattr("test_session_security.Failing", TellsTheId)
    assert watch(MemoryStore()).found


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("came with an-id-that-must-not-be-logged", id="an id of a test"),
        pytest.param(f"it is {new_session_id()}", id="an id"),
        pytest.param(f"s%3A{sign('x', SECRET)}", id="a signature"),
        pytest.param(f"signed with {SECRET}", id="a secret"),
        pytest.param('ZeroDivisionError: File "x.py", line 3', id="a place in a program"),
        pytest.param("Traceback (most recent call last):", id="a traceback"),
    ],
)
def test_the_watch_over_the_log_of_all_tests_knows_what_is_confidential(line):
    """S4, T1."""
    assert confidential(line)


@pytest.mark.parametrize("record", [("came with %s", new_session_id()), ("it failed", None)])
def test_the_watch_over_the_log_of_all_tests_looks_at_each_line(record):
    """S4, T1: also at level DEBUG, and at a traceback that goes along."""
    logger, watch = logging.getLogger("sessionlab"), Watch()
    text, argument = record
    logger.addHandler(watch)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logger.debug(text, *[argument] if argument else [], exc_info=not argument)
    logger.removeHandler(watch)
    assert (watch.count, len(watch.found)) == (1, 1)


def test_the_reasons_that_the_library_logs_are_not_taken_for_confidential(figure):
    """S4: all that a decision can have."""
    cases = [Facts(*case) for case in product((False, True), repeat=len(Facts._fields))]
    options = [Options(*case) for case in product((False, True), repeat=len(Options._fields))]
    reasons = {part.why for facts in cases for each in options for part in decide(facts, each)}
    figure.tried(len(reasons), "reasons for the log")
    assert [why for why in reasons if confidential(why)] == []
