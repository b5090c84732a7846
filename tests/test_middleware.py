"""The middleware, with ``wsgiref.validate`` on both of its sides."""

import logging
from itertools import product
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from bottle import Bottle, request

from sessionlab import (
    CookieOptions,
    MemoryStore,
    Options,
    SessionMiddleware,
    StoreError,
    WeakSecretWarning,
    decide,
    decode_record,
    middleware,
    new_session_id,
    parse_cookies,
    sign,
    unsign,
)
from sessionlab.testing import Clock

SECRET = "correct horse battery staple correct horse"
LISTED = "this-is-a-secret-key-change-in-production"
OLDER = "an older secret, which is as long as the other"


class RecordingStore(MemoryStore):
    """A real store that notes what is asked of it, and can be told to fail."""

    def __init__(self, now):
        super().__init__(now=now)
        self.calls = []
        self.failing = set()

    def _note(self, call):
        self.calls.append(call)
        if call in self.failing:
            raise StoreError("out of order")

    def get(self, session_id):
        if not self._lock.locked():  # not when the store asks itself
            self._note("get")
        return super().get(session_id)

    def create(self, *args):
        self._note("create")
        return super().create(*args)

    def replace(self, *args):
        self._note("replace")
        return super().replace(*args)

    def touch(self, *args):
        self._note("touch")
        return super().touch(*args)

    def destroy(self, session_id):
        self._note("destroy")
        return super().destroy(session_id)


class Response:
    def __init__(self, status, headers, body):
        self.status = int(status[:3])
        self.headers = headers
        self.body = body

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def cookie(self):
        """The only Set-Cookie, or None."""
        texts = self.all("Set-Cookie")
        assert len(texts) < 2
        return texts[0] if texts else None


class Browser:
    """A client with one cookie jar, on the other side of the middleware."""

    def __init__(self, app):
        self.app = app
        self.cookie = ""

    def get(self, path="/", method="GET", cookie=None, **environ):
        environ = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", **environ}
        setup_testing_defaults(environ)
        environ["REQUEST_METHOD"] = method
        cookie = self.cookie if cookie is None else cookie
        if cookie:
            environ["HTTP_COOKIE"] = cookie
        self.environ = environ
        response = send(self.app, environ)
        for text in response.all("Set-Cookie"):
            self.cookie = text.split(";")[0].removesuffix("connect.sid=")
        return response


def send(app, environ):
    """One request, as a server makes it: every chunk is written, and the body closed."""
    started, chunks = [], []

    def start_response(status, headers, exc_info=None):
        if exc_info and chunks:
            raise exc_info[1]
        started[:] = [status, headers]
        return chunks.append

    body = app(environ, start_response)
    try:
        chunks.extend(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return Response(started[0], started[1], b"".join(chunks))


def handler(act, headers=(), status="200 OK"):
    """An application that does something with its session and answers what that returned."""

    def app(environ, start_response):
        result = act(environ["sessionlab.session"])
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [str(result).encode()]

    return app


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    return RecordingStore(now=clock)


@pytest.fixture
def browse(store, clock):
    """A browser in front of a new middleware, all of them around the same store."""

    def browse(app, sends="", **options):
        browser = Browser(validator(wrap(validator(app), **options)))
        browser.cookie = sends
        return browser

    def wrap(app, **options):
        return SessionMiddleware(app, **{"secret": SECRET, "store": store, "now": clock, **options})

    browse.wrap = wrap
    return browse


@pytest.fixture
def cookie(browse, store):
    """The cookie of a stored session that holds ``{"name": "Ada"}``."""
    browser = browse(handler(lambda session: session.update(name="Ada")))
    browser.get()
    store.calls.clear()
    return browser.cookie


def read(session):
    return session.get("name")


def write(session):
    session["n"] = session.get("n", 0) + 1


def ignore(session):
    return "nobody looked"


def id_in(cookie):
    return unsign(parse_cookies(cookie)[0][1][2:], SECRET)


# The main job.


def test_what_one_request_stores_the_next_one_retrieves():
    app = Bottle()

    @app.post("/session")
    def store():
        request.session["my_data"] = {"name": "John Doe"}
        return "Session data stored"

    @app.get("/session")
    def retrieve():
        return f"Retrieved data: {request.session['my_data']['name']}"

    browser = Browser(validator(SessionMiddleware(validator(app), SECRET)))
    assert browser.get("/session", "POST").body == b"Session data stored"
    assert browser.get("/session").body == b"Retrieved data: John Doe"


def test_without_a_validator_between_a_complete_body_is_passed_on_as_it_is(browse):
    browser = Browser(browse.wrap(handler(write)))
    assert browser.get().cookie
    assert browser.get().body == b"None"


def test_the_first_cookie_is_the_one_that_express_session_would_send(browse):
    browser = browse(handler(write), genid=lambda: "x" * 32)
    assert browser.get().cookie == (
        "connect.sid=s%3A" + "x" * 32 + ".DWBRA18jppZCvE%2FVzAV5d1z%2BeXVcoWa6Nt3YuUJR1Sc"
        "; Path=/; HttpOnly; SameSite=Lax"
    )


def test_two_browsers_have_two_sessions(browse):
    app = handler(lambda session: session.setdefault("id", session.id))
    ada, grace = browse(app), browse(app)
    assert ada.get().body != grace.get().body


# What is asked of the store, as express-session has it.


@pytest.mark.parametrize(
    ("act", "options", "calls", "sends_cookie"),
    [
        pytest.param(read, {}, "get touch", False, id="read"),
        pytest.param(ignore, {}, "get touch", False, id="ignored"),
        pytest.param(read, {"resave": True}, "get replace", False, id="read, resave"),
        pytest.param(ignore, {"resave": True}, "get replace", False, id="ignored, resave"),
        pytest.param(read, {"rolling": True}, "get touch", True, id="read, rolling"),
        pytest.param(write, {}, "get replace", False, id="write"),
        pytest.param(write, {"rolling": True}, "get replace", True, id="write, rolling"),
        pytest.param(lambda s: s.update(name="Ada"), {}, "get touch", False, id="same value"),
        pytest.param(
            lambda s: (write(s), s.save()), {}, "get replace touch", False, id="write and save"
        ),
        pytest.param(lambda s: s.regenerate(), {}, "get destroy create", True, id="regenerate"),
        pytest.param(lambda s: s.destroy(), {}, "get destroy", True, id="destroy"),
    ],
)
def test_the_store_is_asked_what_express_session_asks(
    browse, store, cookie, act, options, calls, sends_cookie
):
    browser = browse(handler(act), cookie, touch_after=0, **options)
    response = browser.get()
    assert response.status == 200
    assert " ".join(store.calls) == calls
    assert bool(response.cookie) is sends_cookie


@pytest.mark.parametrize("given", ["", "unknown", "forged", "unsigned", "empty id"])
@pytest.mark.parametrize(
    ("act", "save_uninitialized", "calls", "sends_cookie"),
    [
        (ignore, False, [], False),
        (read, False, [], False),
        (ignore, True, ["create"], True),
        (write, False, ["create"], True),
    ],
    ids=["ignored", "read", "saveUninitialized", "write"],
)
def test_a_visitor_without_a_session_gets_one_when_that_is_due(
    browse, store, given, act, save_uninitialized, calls, sends_cookie
):
    given = {
        "": "",
        "unknown": "s%3A" + sign("planted", SECRET),
        "forged": "s%3A" + sign("planted", OLDER),
        "unsigned": "planted",
        "empty id": "s%3A" + sign("", SECRET),
    }[given]
    browser = browse(handler(act), f"connect.sid={given}", save_uninitialized=save_uninitialized)
    response = browser.get()
    assert [call for call in store.calls if call != "get"] == calls
    assert bool(response.cookie) is sends_cookie
    assert "planted" not in list(store)
    if not given.startswith("s%3A" + sign("planted", SECRET)):
        assert "get" not in store.calls  # the signature guards the store


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda s: (write(s), s.save()), id="save"),
        pytest.param(lambda s: (write(s), s.save(), s.reload()), id="save, reload"),
        pytest.param(lambda s: (write(s), s.save(), s.reload(), read(s)), id="save, reload, read"),
        pytest.param(lambda s: s.atomic(write), id="atomic"),
        pytest.param(lambda s: (s.atomic(write), s.atomic(write)), id="atomic twice"),
        pytest.param(lambda s: (s.regenerate(), s.save(), s.atomic(read)), id="regenerate, atomic"),
        pytest.param(lambda s: (s.regenerate(keep_data=True), s.reload()), id="regenerate, reload"),
    ],
)
def test_whatever_a_handler_does_with_it_a_new_id_reaches_the_browser(browse, store, act):
    browser = browse(handler(act))
    assert browser.get().cookie
    assert id_in(browser.cookie) in list(store)


def test_a_read_renews_the_record_once_a_minute_and_no_more(browse, store, cookie, clock):
    browser = browse(handler(read), cookie)
    for _ in range(6):
        clock.advance(15)
        browser.get()
    assert store.calls.count("touch") == 1
    assert "replace" not in store.calls


def test_a_request_that_never_looks_decodes_nothing(browse, store, cookie):
    sessions = []
    browse(handler(sessions.append), cookie).get()
    assert sessions[0]._data is None


@pytest.mark.parametrize("save_uninitialized", [False, True])
def test_the_facts_that_a_quiet_request_leaves_out_change_no_decision(save_uninitialized):
    options = Options(save_uninitialized=save_uninitialized)
    left_out = ("has_expiry", "is_insecure", "had_cookie")
    for values in product((False, True), repeat=len(left_out)):
        facts = middleware._QUIET._replace(**dict(zip(left_out, values, strict=True)))
        assert decide(facts, options) == decide(middleware._QUIET, options)


# What the browser is told.


def test_a_dated_cookie_is_sent_again_when_the_session_changes(browse, clock):
    browser = browse(handler(write), cookie=CookieOptions(max_age=3600))
    assert "Expires=Tue, 02 Oct 2096 08:06:40 GMT" in browser.get().cookie
    clock.advance(60)
    assert "Expires=Tue, 02 Oct 2096 08:07:40 GMT" in browser.get().cookie


def test_remember_me_reaches_the_browser_at_once(browse, cookie):
    browser = browse(handler(lambda s: setattr(s.cookie, "max_age", 30 * 86_400)), cookie)
    assert "Expires=Thu, 01 Nov 2096 07:06:40 GMT" in browser.get().cookie


def test_the_cookie_is_cleared_at_logout_with_the_attributes_it_was_set_with(browse):
    options = CookieOptions(path="/app", domain="example.com", max_age=60)

    def act(session):
        return session.destroy() if "n" in session else write(session)

    browser = browse(handler(act), cookie=options)
    browser.get("/app")
    assert browser.get("/app").cookie == (
        "connect.sid=; Domain=example.com; Path=/app; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        "; HttpOnly; SameSite=Lax"
    )


def test_attributes_live_with_the_session_and_not_with_the_options_of_today(browse):
    old = CookieOptions(domain="old.example", same_site="strict", max_age=60)
    browser = browse(handler(write), cookie=old)
    browser.get()
    log_out = browse(handler(lambda session: session.destroy()), browser.cookie)
    assert "Domain=old.example" in log_out.get().cookie


@pytest.mark.parametrize("options", [{"rolling": True}, {"secret": [OLDER, SECRET]}], ids=str)
def test_a_cookie_that_is_sent_again_unlooked_at_has_the_attributes_of_its_session(browse, options):
    browser = browse(handler(write), cookie=CookieOptions(same_site="strict", max_age=60))
    browser.get()
    text = browse(handler(ignore), browser.cookie, **options).get().cookie
    assert "SameSite=Strict" in text
    assert "Expires=" in text


def test_an_absolute_limit_begins_for_a_session_that_is_older_than_the_option(
    browse, store, cookie, clock
):
    browser = browse(handler(ignore), cookie, absolute_timeout=3600)
    browser.get()
    for _ in range(59):
        clock.advance(60)
        browser.get()
    assert store.get(id_in(cookie)) is not None
    clock.advance(60)
    assert store.get(id_in(cookie)) is None


def test_a_stranger_leaves_nothing_under_an_absolute_limit_either(browse, store):
    assert browse(handler(read), absolute_timeout=3600).get().cookie is None
    assert len(store) == 0


def test_the_absolute_limit_survives_a_login_that_comes_first(browse, store, clock):
    options = {"absolute_timeout": 3600}
    browser = browse(handler(write), **options)
    browser.get()
    again = browse(handler(lambda s: s.regenerate(keep_data=True)), browser.cookie, **options)
    for _ in range(3):
        clock.advance(1000)
        again.get()
    clock.advance(600)
    assert browse(handler(lambda s: s.get("n")), again.cookie, **options).get().body == b"None"


def test_a_failure_late_in_a_login_does_not_log_out(browse, store, cookie):
    store.failing = {"destroy"}
    browser = browse(handler(lambda s: s.regenerate(keep_data=True)), cookie)
    assert browser.get().status == 200
    store.failing = set()
    assert browse(handler(read), browser.cookie).get().body == b"Ada"
    assert browse(handler(read), cookie).get().body == b"None"


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["user"].update(name="Grace"),
        lambda s: s.get("user").update(name="Grace"),
        lambda s: dict(s.items())["user"].update(name="Grace"),
        lambda s: next(iter(s.values())).update(name="Grace"),
        lambda s: s.setdefault("user", {}).update(name="Grace"),
        lambda s: s["user"]["tags"].append("new"),
    ],
)
def test_a_change_within_a_dict_is_kept_however_one_got_hold_of_it(browse, store, change):
    browser = browse(handler(lambda s: s.update(user={"name": "Ada", "tags": []})))
    browser.get()
    before = store.get(id_in(browser.cookie)).text
    browse(handler(change), browser.cookie).get()
    assert store.get(id_in(browser.cookie)).text != before


@pytest.mark.parametrize(
    "act",
    [
        lambda s, cart: (s.atomic(write), cart.append("jam")),
        lambda s, cart: (s.update(m=1), s.save(), cart.append("jam")),
        lambda s, cart: (cart.append("x"), s.atomic(write), cart.remove("x"), cart.append("jam")),
    ],
)
@pytest.mark.parametrize("is_raced", [True, False])
def test_a_list_in_hand_stays_the_sessions_own(browse, store, act, is_raced):
    browser = browse(handler(lambda s: s.update(cart=["tea"])))
    browser.get()

    def handle(session):
        cart = session["cart"]
        if is_raced:
            browse(handler(lambda s: s.update(other=1)), browser.cookie).get()
        act(session, cart)

    assert browse(handler(handle), browser.cookie).get().status == 200
    data = decode_record(store.get(id_in(browser.cookie)).text)[1]
    assert data["cart"] == ["tea", "jam"]
    assert ("other" in data) is is_raced


def test_a_cookie_in_hand_stays_the_sessions_own(browse, cookie):
    def handle(session):
        in_hand = session.cookie
        session.atomic(write)
        in_hand.max_age = 3600

    assert "Expires=" in browse(handler(handle), cookie).get().cookie


def test_atomic_refuses_the_keys_that_are_taken(browse, store, cookie):
    browser = browse(handler(lambda s: s.atomic(lambda data: data.update(cookie=1))), cookie)
    with pytest.raises(ValueError, match="cookie"):
        browser.get()
    assert browse(handler(read), cookie).get().body == b"Ada"


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
def test_after_a_refusal_nothing_else_is_told(browse, store, status):
    def app(environ, start_response):
        write(environ["sessionlab.session"])
        start_response("200 OK", [("Content-Type", "text/plain")])(b"part")
        try:
            raise ZeroDivisionError
        except ZeroDivisionError as error:
            info = (type(error), error, error.__traceback__)
            start_response(status, [("Content-Type", "text/plain")], info)
        return [b"rest"]

    store.failing = {"create"}
    assert Browser(browse.wrap(app)).get().status == 503


@pytest.mark.parametrize("method", ["regenerate", "destroy"])
def test_what_a_stream_does_too_late_for_the_cookie_is_warned_of(browse, cookie, caplog, method):
    def app(environ, start_response):
        session = environ["sessionlab.session"]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body(b"first ", lambda: getattr(session, method)() or b"second")

    browse(app, cookie).get()
    assert "after the first byte" in caplog.text


def test_a_cookie_that_cannot_be_sent_leaves_no_record(browse, store):
    def handle(session):
        session["n"] = 1
        session.cookie.path = "/app"

    options = {"name": "__Host-sid", "cookie": CookieOptions(secure=True)}
    with pytest.raises(ValueError, match="__Host-"):
        browse(handler(handle), **options).get(**{"wsgi.url_scheme": "https"})
    assert len(store) == 0


def test_logging_out_ends_a_record_that_cannot_be_read_too(browse, store, cookie, clock):
    store.replace(id_in(cookie), store.get(id_in(cookie)).text, "{}", clock() + 60)
    browse(handler(lambda s: s.destroy()), cookie).get()
    assert store.get(id_in(cookie)) is None


def test_a_logout_of_nobody_sends_no_cookie(browse):
    assert browse(handler(lambda session: session.destroy())).get().cookie is None


def test_login_changes_the_id_and_the_old_one_is_dead(browse, store, cookie):
    browser = browse(handler(lambda s: s.regenerate(keep_data=True) or read(s)), cookie)
    assert browser.get().body == b"Ada"
    assert id_in(browser.cookie) != id_in(cookie)
    assert browse(handler(read), cookie).get().body == b"None"
    assert browse(handler(read), browser.cookie).get().body == b"Ada"


@pytest.mark.parametrize(
    ("own", "vary"),
    [
        ([], ["Cookie"]),
        ([("Vary", "Accept")], ["Accept", "Cookie"]),
        ([("vary", "accept, cookie")], ["accept, cookie"]),
        ([("Vary", "*")], ["*"]),
        ([("Vary", "X-Cookie-Consent")], ["X-Cookie-Consent", "Cookie"]),
    ],
)
def test_every_response_varies_by_cookie(browse, own, vary):
    assert browse(handler(ignore, own)).get().all("Vary") == vary


@pytest.mark.parametrize(
    ("own", "control"),
    [
        ([], ["private"]),
        ([("cache-control", "max-age=60")], ["max-age=60", "private"]),
        ([("Cache-Control", "public, s-maxage=5")], ["public, s-maxage=5", "private"]),
        ([("Cache-Control", 'private="X-User"')], ['private="X-User"', "private"]),
        ([("Cache-Control", "max-age=60, Private")], ["max-age=60, Private"]),
        ([("Cache-Control", "no-store")], ["no-store"]),
    ],
)
def test_no_shared_cache_keeps_a_response_that_sends_the_cookie(browse, own, control):
    assert browse(handler(write, own)).get().all("Cache-Control") == control


def test_a_response_without_our_cookie_may_be_cached(browse, cookie):
    assert browse(handler(read), cookie).get().all("Cache-Control") == []


def test_a_cookie_that_was_verified_is_known_again_and_a_forged_one_never(
    browse, cookie, monkeypatch
):
    verified = []
    monkeypatch.setattr(
        middleware, "unsign", lambda signed, keys: verified.append(signed) or unsign(signed, keys)
    )
    browser = browse(handler(read), cookie)
    assert [browser.get().body for _ in range(3)] == [b"Ada"] * 3
    assert len(verified) == 1
    forged = cookie[:-1] + ("A" if cookie[-1] != "A" else "B")
    assert [browser.get(cookie=forged).body for _ in range(3)] == [b"None"] * 3
    assert len(set(verified)) == 2
    assert len(verified) == 1 + 3 * 2  # with the newest secret, and with the retired ones


def test_a_cookie_that_is_known_is_refused_once_its_secret_is_gone(browse, cookie):
    app = browse.wrap(handler(read))
    browser = Browser(app)
    assert browser.get(cookie=cookie).body == b"Ada"
    app.secrets = (OLDER,)
    assert browser.get(cookie=cookie).body == b"None"


def test_an_unknown_id_that_comes_twice_is_looked_up_once(browse, store):
    value = "connect.sid=s:" + sign("unknown", SECRET)
    browse(handler(ignore)).get(cookie=f"{value}; {value}")
    assert store.calls == ["get"]


def test_an_error_page_keeps_the_session_too(browse, store):
    response = browse(handler(write, status="404 Not Found")).get()
    assert response.status == 404
    assert response.cookie
    assert len(store) == 1


# Which cookie counts.


@pytest.mark.parametrize("before", [1, 7])
def test_forged_and_stale_cookies_of_our_name_do_not_hide_the_good_one(browse, cookie, before):
    forged = ["connect.sid=s%3A" + sign("planted", OLDER), "connect.sid=s%3A" + sign("x", SECRET)]
    many = "; ".join([*(forged * before)[:before], cookie])
    assert browse(handler(read), many).get().body == b"Ada"


def test_the_inner_of_two_middlewares_steps_aside(browse, store):
    inner_store = MemoryStore()
    inner = browse.wrap(handler(write), store=inner_store, secret=OLDER)
    response = browse(inner).get()
    assert id_in(response.cookie) in list(store)
    assert len(inner_store) == 0


@pytest.mark.parametrize(
    ("script", "path", "has_session"),
    [
        ("", "/app", True),
        ("", "/app/deep", True),
        ("/app", "", True),
        ("/app", "/deep", True),
        ("", "/application", False),
        ("", "/", False),
    ],
)
def test_a_session_is_there_where_its_cookies_path_is(browse, script, path, has_session):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str("sessionlab.session" in environ).encode()]

    browser = browse(app, cookie=CookieOptions(path="/app"))
    response = browser.get(path, SCRIPT_NAME=script)
    assert response.body == str(has_session).encode()


def test_the_cookies_options_may_depend_on_the_request(browse):
    def choose(environ):
        return CookieOptions(same_site="strict" if "admin" in environ["PATH_INFO"] else "lax")

    assert "SameSite=Strict" in browse(handler(write), cookie=choose).get("/admin").cookie
    assert "SameSite=Lax" in browse(handler(write), cookie=choose).get("/shop").cookie


# Secure and proxies.

HTTPS = {"wsgi.url_scheme": "https"}


@pytest.mark.parametrize(
    ("secure", "environ", "proxy", "sent"),
    [
        ("auto", {}, False, "plain"),
        ("auto", HTTPS, False, "Secure"),
        (True, {}, False, None),
        (True, HTTPS, False, "Secure"),
        (False, HTTPS, False, "plain"),
        ("auto", {"HTTP_X_FORWARDED_PROTO": "https"}, False, "plain"),
        ("auto", {"HTTP_X_FORWARDED_PROTO": "https"}, True, "Secure"),
        (True, {"HTTP_X_FORWARDED_PROTO": " HTTPS , http"}, True, "Secure"),
        (True, {"HTTP_X_FORWARDED_PROTO": "http, https"}, True, None),
        (True, {}, True, None),
    ],
)
def test_secure_follows_the_request_and_no_secure_cookie_goes_over_http(
    browse, store, secure, environ, proxy, sent
):
    browser = browse(handler(write), cookie=CookieOptions(secure=secure), proxy=proxy)
    cookie = browser.get(**environ).cookie
    assert (cookie and ("Secure" if "; Secure" in cookie else "plain")) == sent
    assert len(store) == 1  # the session is saved all the same


def test_a_session_born_on_http_becomes_secure_on_https(browse):
    browser = browse(handler(write), rolling=True)
    assert "Secure" not in browser.get().cookie
    assert "; Secure" in browser.get(**HTTPS).cookie
    assert browser.get().cookie is None  # and stays so: it never travels in the clear again


def test_same_site_auto_is_none_where_the_cookie_is_secure(browse):
    browser = browse(handler(write), cookie=CookieOptions(same_site="auto"))
    assert "SameSite=Lax" in browser.get().cookie
    browser.cookie = ""
    assert "SameSite=None" in browser.get(**HTTPS).cookie


# A store that fails, a session that ends.


def test_if_the_session_cannot_be_loaded_the_application_is_not_called(browse, store, cookie):
    called = []
    store.failing = {"get"}
    response = browse(handler(called.append), cookie).get()
    assert response.status == 503
    assert response.cookie is None
    assert not called
    store.failing = set()
    assert browse(handler(read), cookie).get().body == b"Ada"


@pytest.mark.parametrize(
    ("act", "failing"),
    [
        (write, "replace"),
        (lambda session: session.touch(), "touch"),
        (lambda session: session.regenerate(), "destroy"),
        (lambda session: session.regenerate(), "create"),
        (lambda session: session.regenerate(keep_data=True), "create"),
        (lambda session: session.regenerate(keep_data=True), "replace"),
        (lambda session: session.destroy(), "destroy"),
    ],
)
def test_no_success_is_told_and_no_cookie_sent_when_the_store_fails(
    browse, store, cookie, act, failing
):
    def app(environ, start_response):
        try:
            return handler(act)(environ, start_response)
        except StoreError:  # as Bottle would
            return handler(ignore, status="500 Internal Server Error")(environ, start_response)

    store.failing = {failing}
    response = browse(app, cookie, touch_after=0).get()
    assert response.status >= 500
    assert response.cookie is None


def test_who_only_reads_is_answered_though_the_session_cannot_be_renewed(
    browse, store, cookie, caplog
):
    store.failing = {"touch"}
    response = browse(handler(read), cookie, touch_after=0).get()
    assert (response.status, response.body, response.cookie) == (200, b"Ada", None)
    assert "not renewed" in caplog.text


def test_no_cookie_is_sent_that_outlasts_a_record_which_cannot_be_renewed(browse, store, cookie):
    store.failing = {"touch"}
    response = browse(handler(read), cookie, rolling=True).get()
    assert (response.status, response.cookie) == (503, None)


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda session: session.destroy(), 503),
        (lambda session: session.save(), 503),
        (lambda session: session.regenerate(), 503),
        (lambda session: (session._store.clear(), session.reload()), 409),
    ],
)
def test_what_the_application_lets_pass_of_it_is_told_likewise(browse, store, cookie, act, status):
    store.failing = {"destroy", "replace"}
    response = browse(handler(act), cookie).get()
    assert response.status == status
    assert response.cookie is None


def test_a_new_session_that_cannot_be_stored_gets_503_and_no_cookie(browse, store):
    store.failing = {"create"}
    response = browse(handler(write)).get()
    assert response.status == 503
    assert response.cookie is None
    assert b"out of order" not in response.body
    assert response.all("Cache-Control") == ["no-store"]


def test_the_answer_to_head_has_no_body_in_an_outage_either(browse, store):
    store.failing = {"create"}
    answers = [browse(handler(write)).get(method=method) for method in ("GET", "HEAD")]
    assert [(answer.status, bool(answer.body)) for answer in answers] == [(503, True), (503, False)]
    assert answers[0].headers == answers[1].headers  # RFC 9110 section 9.3.2


def log_out(store, cookie):
    store.destroy(id_in(cookie))


def test_a_change_to_a_session_that_was_logged_out_meanwhile_is_409(browse, store, cookie):
    browser = browse(handler(lambda s: (write(s), log_out(store, cookie))), cookie, rolling=True)
    response = browser.get()
    assert response.status == 409
    assert response.cookie is None
    assert len(store) == 0


@pytest.mark.parametrize("act", [read, ignore])
def test_a_read_of_a_session_that_was_logged_out_meanwhile_succeeds_without_a_cookie(
    browse, store, cookie, act
):
    browser = browse(handler(lambda s: (act(s), log_out(store, cookie))), cookie, rolling=True)
    response = browser.get()
    assert response.status == 200
    assert response.cookie is None


def test_what_json_cannot_hold_is_an_error_before_any_header_is_sent(browse, store):
    started = []
    app = browse.wrap(handler(lambda session: session.update(when=object())))
    environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET"}
    setup_testing_defaults(environ)
    with pytest.raises(TypeError, match=r"session\['when'\]"):
        app(environ, lambda *args: started.append(args))
    assert not started
    assert len(store) == 0


def test_a_session_that_is_too_large_is_refused_with_its_size_and_the_old_one_stays(
    browse, store, cookie
):
    before = store.get(id_in(cookie))
    with pytest.raises(ValueError, match=r"the session has 2\d{3} bytes, where max_bytes is 1000"):
        browse(handler(lambda s: s.update(much="é" * 1000)), cookie, max_bytes=1000).get()
    assert store.get(id_in(cookie)) == before


def test_a_cookie_over_4096_bytes_is_an_error_before_any_header_is_sent(browse):
    with pytest.raises(ValueError, match="4096"):
        browse(handler(write), genid=lambda: "x" * 4096).get()


# When the response begins. (The rows on it are in reliability/test_wsgi.py.)


class Body:
    """A body that comes in pieces, does something between them, and counts how it is closed."""

    def __init__(self, *pieces):
        self.pieces = iter(pieces)
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        piece = next(self.pieces)
        return piece if isinstance(piece, bytes) else piece()

    def close(self):
        self.closed += 1


def app_with(body, act=write):
    def app(environ, start_response):
        act(environ["sessionlab.session"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body

    return app


def test_head_commits_too(browse, store):
    response = browse(handler(write)).get(method="HEAD")
    assert response.cookie
    assert response.body == b""
    assert len(store) == 1


def test_a_change_after_the_first_byte_is_stored_and_warned_of(browse, store, cookie, caplog):
    def app(environ, start_response):
        session = environ["sessionlab.session"]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body(b"first ", lambda: session.update(n=1) or b"second ", b"third")

    browser = browse(app, cookie)
    assert browser.get().body == b"first second third"
    assert decode_record(store.get(id_in(cookie)).text)[1] == {"name": "Ada", "n": 1}
    assert "after the first byte" in caplog.text


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda session: session.save(), 503),
        (lambda session: (session._store.clear(), session.reload()), 409),
    ],
)
def test_a_body_that_fails_before_its_first_byte_is_refused_likewise(
    browse, store, cookie, act, status
):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield act(environ["sessionlab.session"]) or b"done"

    store.failing = {"replace"}
    response = browse(app, cookie).get()
    assert (response.status, response.cookie) == (status, None)


def test_a_response_that_is_begun_anew_before_a_byte_has_left_keeps_its_cookie(browse, store):
    def app(environ, start_response):
        environ["sessionlab.session"]["n"] = 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"the server holds this back"
        try:
            raise ZeroDivisionError
        except ZeroDivisionError as error:
            headers = [("Content-Type", "text/plain")]
            start_response("500 Internal Server Error", headers, (type(error), error, None))
        yield b"sorry"

    environ, heads = {"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, []
    setup_testing_defaults(environ)
    for _ in browse.wrap(app)(environ, lambda *args: heads.append(args)):
        pass  # such as one that compresses the whole of it
    (_, first), (status, second, _) = heads
    assert (status, second) == ("500 Internal Server Error", first)
    assert dict(first)["Set-Cookie"].startswith("connect.sid=")


class GoesAway:
    """A client that takes one piece of a body."""

    def __init__(self, app):
        self.app = app

    def get(self, cookie):
        environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET", "HTTP_COOKIE": cookie}
        setup_testing_defaults(environ)
        body = self.app(environ, lambda *args: None)
        next(iter(body))
        body.close()


def test_what_a_body_changed_before_its_client_went_away_is_stored(browse, store, cookie, caplog):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            yield b"first"
            yield b"second"
        finally:
            environ["sessionlab.session"]["seen"] = 1

    GoesAway(browse.wrap(app)).get(cookie)
    assert decode_record(store.get(id_in(cookie)).text)[1] == {"name": "Ada", "seen": 1}
    assert caplog.text.count("after the first byte") == 1


def test_a_stream_that_only_looks_at_a_new_id_is_not_warned_of(browse, store, caplog):
    def app(environ, start_response):
        session = environ["sessionlab.session"]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body(b"first ", lambda: session.id.encode())

    assert len(browse(app).get().body) == len(b"first ") + 32
    assert (len(store), caplog.text) == (0, "")


def test_a_stream_that_changes_nothing_more_is_stored_once(browse, store, cookie, caplog):
    browse(app_with(Body(b"a", b"b")), cookie).get()
    assert store.calls == ["get", "replace"]
    assert not caplog.records


def test_a_stream_flows_piece_by_piece(browse):
    seen = []
    body = Body(*(lambda n=n: seen.append(n) or b"%d" % n for n in range(3)))
    environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET"}
    setup_testing_defaults(environ)
    chunks = iter(browse.wrap(app_with(body))(environ, lambda *args: None))
    for n in range(3):
        assert next(chunks) == b"%d" % n
        assert seen == list(range(n + 1))


def test_an_application_that_never_starts_its_response_is_told_so(browse):
    app = browse.wrap(lambda environ, start_response: [b"body"])
    with pytest.raises(AssertionError, match="start_response"):
        Browser(app).get()


# What is said of it all.


def test_each_request_can_be_asked_why(browse, cookie):
    browser = browse(handler(write), cookie)
    browser.get()
    decision = browser.environ["sessionlab.decision"]
    assert decision.save
    assert decision.save.why == "it was changed"
    assert not decision.set_cookie
    assert decision.set_cookie.why == "the browser has it already"


def test_the_log_gives_reasons_and_neither_id_nor_secret(browse, store, cookie, caplog):
    caplog.set_level(logging.DEBUG, logger="sessionlab")
    browse(handler(write), cookie).get()
    store.failing = {"replace"}
    browse(handler(write), cookie).get()
    assert "save: yes, it was changed" in caplog.text
    assert "503" in caplog.text
    assert id_in(cookie) not in caplog.text
    assert SECRET not in caplog.text


def test_a_log_that_keeps_its_records_keeps_no_request(browse, store, cookie, caplog):
    for failing in ("get", "replace", "touch"):
        store.failing = {failing}
        browse(handler(write if failing == "replace" else read), cookie, touch_after=0).get()
    assert len(caplog.records) == 3
    kept = [kept for record in caplog.records for kept in (*record.args, record.exc_info)]
    assert not [each for each in kept if not isinstance(each, str | None)]  # no error, no frames


def test_nothing_is_printed_when_nobody_asked_for_a_log(browse, store, cookie, capfd):
    store.failing = {"get"}
    browse(handler(read), cookie).get()
    assert capfd.readouterr() == ("", "")


# Settings that can't work.


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"secret": ""}, ValueError, "token_hex"),
        ({"secret": []}, ValueError, "token_hex"),
        ({"secret": None}, ValueError, "token_hex"),
        ({"secret": [SECRET, ""]}, ValueError, "token_hex"),
        ({"secret": b"x" * 40}, TypeError, "text"),
        ({"secret": [SECRET, 7]}, TypeError, "text"),
        ({"secret": 7}, TypeError, "text"),
        ({"store": {}}, TypeError, "MemoryStore"),
        ({"name": ""}, ValueError, "letters"),
        ({"name": "a b"}, ValueError, "letters"),
        ({"name": "a;b"}, ValueError, "letters"),
        ({"name": "a\r\nSet-Cookie: x"}, ValueError, "letters"),
        ({"name": "x" * 4096}, ValueError, "4096"),
        ({"name": "__Host-sid"}, ValueError, "secure=True"),
        ({"name": "__Secure-sid"}, ValueError, "secure=True"),
        (
            {"name": "__Host-sid", "cookie": CookieOptions(secure=True, path="/app")},
            ValueError,
            "path='/'",
        ),
        ({"cookie": {"path": "/"}}, TypeError, "CookieOptions"),
        ({"cookie": None}, TypeError, "CookieOptions"),
        ({"cookie": CookieOptions}, TypeError, "CookieOptions"),
        ({"genid": "id"}, TypeError, "genid"),
        ({"now": 7}, TypeError, "now"),
        ({"resave": "no"}, TypeError, "True or False"),
        ({"rolling": 1}, TypeError, "True or False"),
        ({"save_uninitialized": None}, TypeError, "True or False"),
        ({"proxy": 1}, TypeError, "True or False"),
        ({"idle_timeout": 0}, ValueError, "idle_timeout"),
        ({"idle_timeout": None}, ValueError, "idle_timeout"),
        ({"idle_timeout": "1d"}, TypeError, "idle_timeout"),
        ({"idle_timeout": float("nan")}, ValueError, "idle_timeout"),
        ({"absolute_timeout": -1}, ValueError, "absolute_timeout"),
        ({"touch_after": -1}, ValueError, "touch_after"),
        ({"max_bytes": 10}, ValueError, "max_bytes"),
        ({"max_bytes": "1 MB"}, ValueError, "max_bytes"),
        ({"touch_after": True}, TypeError, "touch_after"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_advice(options, error, says):
    with pytest.raises(error, match=says):
        SessionMiddleware(handler(ignore), **{"secret": SECRET, **options})


def test_a_misspelt_option_is_refused():
    with pytest.raises(TypeError, match="save_uninitialised"):
        SessionMiddleware(handler(ignore), SECRET, save_uninitialised=True)


@pytest.mark.parametrize(
    "secret", ["my-secret", "x" * 31, ["short", SECRET], [SECRET, "short"], LISTED]
)
def test_a_secret_that_can_be_guessed_is_warned_of(secret):
    with pytest.warns(WeakSecretWarning, match="token_hex"):
        SessionMiddleware(handler(ignore), secret)


def test_an_empty_store_is_a_store():
    store = MemoryStore()
    assert SessionMiddleware(handler(ignore), SECRET, store=store).store is store


def test_a_host_cookie_is_possible():
    options = CookieOptions(secure=True)
    SessionMiddleware(handler(ignore), SECRET, name="__Host-sid", cookie=options)


def test_ids_are_long_enough_by_default(browse):
    browser = browse(handler(write))
    browser.get()
    assert len(id_in(browser.cookie)) == len(new_session_id()) == 32
