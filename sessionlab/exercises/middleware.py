"""Exercises of chapter 6: a middleware, one that answers too early, a cookie that hides another.
Notebook: 06-middleware."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event, local
from typing import TYPE_CHECKING, Any

from bottle import Bottle, HTTPResponse, request, response
from requests import RequestException

from ..cookies import format_set_cookie, parse_cookies
from ..middleware import SessionMiddleware
from ..session import Session, SessionSettings
from ..signing import BadSignature, sign, unsign
from ..stores import MemoryStore, Store, StoreError
from .exercise import NOT_YET, Exercise, ServerError, Wrong
from .result import shown
from .serving import Browser, running

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Middleware = Callable[..., "WSGIApplication"]
FindId = Callable[[str, str, Store], str | None]

_SECRET = "the secret of this exercise, 32 bytes or more"
_OTHER = "the secret of somebody else, which is as long"
_TEXT = '{"cookie":{"originalMaxAge":null,"expires":null},"user":"Ada"}'
_FAR = 4e9  # Unix time, seconds; October 2096
_PATIENCE = 2  # seconds until the store no longer waits for the browser


def _shop() -> Bottle:
    """A real application, which knows nothing of how its sessions come about."""
    app = Bottle()

    def session() -> Any:
        return request.environ["sessionlab.session"]

    app.get("/", callback=lambda: f"Hello {session().get('user', 'nobody')}")
    app.get("/forget", callback=lambda: session().clear())
    app.get("/what", callback=lambda: type(request.environ.get("sessionlab.session")).__name__)

    @app.get("/login")  # type: ignore[untyped-decorator]
    def log_in() -> str:
        session()["user"] = "Ada"
        response.set_cookie("theme", "dark")
        response.set_cookie("language", "en")
        return "You are logged in"

    @app.get("/enter")  # type: ignore[untyped-decorator]
    def enter() -> HTTPResponse:
        session()["user"] = "Ada"
        return HTTPResponse("You are logged in; see /", 303, Location="/")

    return app


def _value(session_id: str, secret: str = _SECRET) -> str:
    return "s:" + sign(session_id, secret)


def _signed(session_id: str, secret: str = _SECRET) -> str:
    return "connect.sid=" + _value(session_id, secret)


def _text_of(browser: Browser, path: str, **more: Any) -> str:
    try:
        return browser.get(path, **more).text
    except RequestException:
        return "(no whole answer)"


def _at_once(app: "WSGIApplication") -> "WSGIApplication":
    """Return it with its answers held back until all is done, also what is done too late: when that
    is, only one rule asks."""

    def holding(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body = app(environ, start_response)
        try:
            return list(body)
        finally:
            if hasattr(body, "close"):
                body.close()

    return holding


def _expect_page(browser: Browser, path: str, text: str, went_in: str = "", **more: Any) -> None:
    said = _text_of(browser, path, **more)
    if said != text:
        raise Wrong(went_in or f"GET {path}", came_out=said, expected=text)


class SmallMiddleware:
    """Gives each request its session, and stores what became of it before a byte goes out."""

    def __init__(self, app: "WSGIApplication", secret: str, store: Store) -> None:
        self.app, self.secret, self.store = app, secret, store

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        session = environ["sessionlab.session"] = self._load(environ.get("HTTP_COOKIE", ""))
        answer: list[Any] = []
        chunks: list[bytes] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
            answer[:] = status, headers
            return chunks.append

        body = self.app(environ, start)
        chunks.extend(body)
        if hasattr(body, "close"):
            body.close()
        status, headers = answer
        if session.changes().is_modified:
            session.save()
            if session.is_new:
                value = "s:" + sign(session.id, self.secret)
                headers = [*headers, ("Set-Cookie", format_set_cookie("connect.sid", value))]
        start_response(status, headers)
        return chunks

    def _load(self, header: str) -> Session:
        for _, value in parse_cookies(header, only="connect.sid"):
            try:
                session_id = unsign(value.removeprefix("s:"), self.secret)
            except BadSignature:
                continue
            if (session := Session.load(self.store, session_id)) is not None:
                return session
        return Session(self.store)


SMALL_MIDDLEWARE = Exercise(
    "SmallMiddleware",
    kind="write the part",
    shape="class",
    task="Write SmallMiddleware(app, secret, store): it gives each request its session, stores it, "
    "and tells the browser.",
    starter=f'''
        class SmallMiddleware:
            """Gives each request its session; the cookie is connect.sid=s:<the signed id>."""

            def __init__(self, app, secret, store):
                """app is the application in front of which it stands."""
                {NOT_YET}

            def __call__(self, environ, start_response):
                """Ask self.app(environ, start), and return its body.

                The session goes into environ["sessionlab.session"]. The application calls
                start(status, headers, exc_info=None): hold both back until the session is stored.
                """
                {NOT_YET}
    ''',
    answer=SmallMiddleware,
    hints=[
        "Session(store) is a new session, Session.load(store, session_id) the one of an id, or "
        "None. An empty session is false, as an empty dict is: ask `is None`.",
        "The cookies are in environ.get('HTTP_COOKIE', ''): parse_cookies, then unsign what "
        "follows 's:', which may raise BadSignature.",
        "session.changes().is_modified says whether to save(), session.is_new whether the browser "
        "has to be told: format_set_cookie('connect.sid', 's:' + sign(session.id, secret)).",
        "Give the application a start() of your own that only notes status and headers. When the "
        "body is there, save, and then call start_response with them.",
    ],
)


@SMALL_MIDDLEWARE.rule(
    'the application finds a Session in environ["sessionlab.session"]',
    why="This is all that an application has of it; request.session is a short name for the same.",
    hint="The environ that you get is a dict, and it is the one that the application gets.",
)
def _in_environ(middleware: Middleware) -> None:
    with running(_at_once(middleware(_shop(), _SECRET, store=MemoryStore()))) as new_browser:
        went_in = "GET /what: which type has environ['sessionlab.session']?"
        _expect_page(new_browser(), "/what", "Session", went_in)


@SMALL_MIDDLEWARE.rule(
    "what is written is there in the next request, and what is deleted is not",
    why="That is what sessions are for.",
    hint="Three parts: save what was modified, tell the browser of a new id, and find it again by "
    "the cookie. An empty session, like an empty store, is false: look at your ifs.",
)
def _next_request(middleware: Middleware) -> None:
    store = MemoryStore()
    with running(_at_once(middleware(_shop(), _SECRET, store=store))) as new_browser:
        browser = new_browser()
        browser.get("/login")
        if len(store) != 1:
            came_out = f"{len(store)} records in the store"
            raise Wrong("GET /login", came_out=came_out, expected="1 record in the store")
        _expect_page(browser, "/", "Hello Ada", "GET /login, and then GET /")
        browser.get("/forget")
        went_in = "GET /login, GET /forget, which empties the session, and then GET /"
        _expect_page(browser, "/", "Hello nobody", went_in)
        store.create("bobs-session", _TEXT.replace("Ada", "Bob"), _FAR)
        headers = {"Cookie": "theme=dark; " + _signed("bobs-session")}
        went_in = f"GET / with Cookie: {headers['Cookie']}"
        _expect_page(new_browser(), "/", "Hello Bob", went_in, headers=headers)


@SMALL_MIDDLEWARE.rule(
    "the application's answer comes through whole, its own Set-Cookie included",
    why="Without theme and language, a login turns the page bright and foreign.",
    hint="Headers are a list of pairs, for there may be several of one name: add yours to it.",
)
def _whole(middleware: Middleware) -> None:
    with running(_at_once(middleware(_shop(), _SECRET, store=MemoryStore()))) as new_browser:
        _expect_redirect(new_browser())
        browser = new_browser()
        went_in = "GET /login, which sets theme and language"
        _expect_page(browser, "/login", "You are logged in", went_in)
        cookies = sorted(browser.cookies.keys())
        if cookies != ["connect.sid", "language", "theme"]:
            expected = "cookies named connect.sid, language, theme"
            raise Wrong(went_in, came_out=f"cookies named {', '.join(cookies)}", expected=expected)


def _expect_redirect(browser: Browser) -> None:
    went_in, text = "GET /enter, which redirects to /", "You are logged in; see /"
    _expect_page(browser, "/enter", text, went_in, allow_redirects=False)
    answer = browser.get("/enter", allow_redirects=False)
    came_out = f"{answer.status_code}, to {answer.headers.get('Location')}"
    if came_out != "303, to /":
        raise Wrong(went_in, came_out=came_out, expected="303, to /")


@SMALL_MIDDLEWARE.rule(
    "a stranger who writes nothing gets no cookie and leaves no record",
    why="Each robot would leave a record; and a page with a cookie is kept in no shared cache.",
    hint="What says that the session was written to?",
)
def _stranger(middleware: Middleware) -> None:
    store = MemoryStore()
    with running(_at_once(middleware(_shop(), _SECRET, store=store))) as new_browser:
        cookie = new_browser().get("/").headers.get("Set-Cookie", "no cookie")
    came_out = f"{cookie}; {len(store)} records"
    if came_out != "no cookie; 0 records":
        went_in = "GET / from somebody without a cookie"
        raise Wrong(went_in, came_out=came_out, expected="no cookie; 0 records")


@SMALL_MIDDLEWARE.rule(
    "a forged id opens nothing, and an unknown one is never adopted",
    why="Who may choose the id plants it in a victim's browser, and waits until she logs in.",
    hint="Only a signature opens; and where the store has no such record, the id is a new one.",
)
def _forged(middleware: Middleware) -> None:
    store = MemoryStore()
    store.create("adas-session", _TEXT, _FAR)
    signature = sign("x", _SECRET).removeprefix("x")
    forged = [_signed("adas-session", _OTHER), f"connect.sid=s:adas-session{signature}"]
    forged += ["connect.sid=s:adas-session", "connect.sid=adas-session", "connect.sid="]
    with running(_at_once(middleware(_shop(), _SECRET, store=store))) as new_browser:
        for header in forged:
            went_in = f"GET / with Cookie: {header}"
            headers = {"Cookie": header}
            _expect_page(new_browser(), "/", "Hello nobody", went_in, headers=headers)
        headers = {"Cookie": _signed("planted")}
        new_browser().get("/login", headers=headers)
    if store.get("planted") is not None:
        went_in = f"GET /login with Cookie: {headers['Cookie']}, which the store does not know"
        raise Wrong(went_in, came_out="a record under this id", expected="one under a new id")


class _Order:
    """A WSGI application in front of another: it notes when the first byte of an answer goes out,
    and that all is done."""

    def __init__(self) -> None:
        self._answer = local()  # a server answers each request in a thread of its own
        self.is_done = Event()

    @property
    def is_sent(self) -> bool:
        return getattr(self._answer, "is_sent", False)

    def around(self, app: "WSGIApplication") -> "WSGIApplication":
        def noting(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            self._answer.is_sent = False
            self.is_done.clear()
            body = app(environ, start_response)
            try:
                for chunk in body:
                    self._answer.is_sent = self.is_sent or bool(chunk)
                    yield chunk
            finally:
                if hasattr(body, "close"):
                    body.close()
                self.is_done.set()

        return noting


class _NotingStore(MemoryStore):
    """Notes whether it was too late when it was asked to store."""

    def __init__(self, order: _Order) -> None:
        super().__init__()
        self.order = order
        self.late: list[str] = []

    def create(self, session_id: str, text: str, expires_at: float) -> bool:
        self._note("create(…)")
        return super().create(session_id, text, expires_at)

    def replace(self, session_id: str, old: str, new: str, expires_at: float) -> bool:
        self._note("replace(…)")
        return super().replace(session_id, old, new, expires_at)

    def _note(self, step: str) -> None:
        if self.order.is_sent:
            self.late.append(step)


@SMALL_MIDDLEWARE.rule(
    "the session is stored before the first byte goes out",
    why="The browser follows a redirect at once; its next request finds nothing yet.",
    hint="What runs after a yield, or in close(), runs when the browser has its answer.",
)
def _stored_first(middleware: Middleware) -> None:
    order = _Order()
    store = _NotingStore(order)
    with running(order.around(middleware(_shop(), _SECRET, store=store))) as new_browser:
        browser = new_browser()
        for path in ("/login", "/forget"):
            browser.get(path)
            order.is_done.wait(_PATIENCE)
            if store.late:
                went_in = f"GET {path}, with a store that looks whether the answer has begun"
                came_out = f"the first byte, and then {store.late[0]}"
                expected = f"{store.late[0]}, and then the first byte"
                raise Wrong(went_in, came_out=came_out, expected=expected)


class _FailingStore(MemoryStore):
    """A store that is down for whoever wants to write."""

    def create(self, session_id: str, text: str, expires_at: float) -> bool:
        raise StoreError("the store is down")


def _log_in_without_store(new_browser: Callable[[], Browser], path: str) -> tuple[int, bool]:
    """Return the status of a login that can't be stored, and whether it comes with our cookie."""
    browser, status = new_browser(), 500
    with suppress(ServerError):
        status = browser.get(path, allow_redirects=False).status_code
    return status, "connect.sid" in browser.cookies


@SMALL_MIDDLEWARE.rule(
    "a store that fails is no success",
    why="A login, an order: the visitor is told that it worked, and nothing of it was kept.",
    hint="What became of the exception? A server makes a 500 of one that is left alone.",
)
def _failing(middleware: Middleware) -> None:
    with running(middleware(_shop(), _SECRET, store=_FailingStore())) as new_browser:
        status, has_cookie = _log_in_without_store(new_browser, "/login")
    _expect_failure("GET /login, while the store is down", status, has_cookie)


def _expect_failure(went_in: str, status: int, has_cookie: bool) -> None:
    if status < 500:
        came_out = f"{status}{', with a cookie' if has_cookie else ''}"
        raise Wrong(went_in, came_out=came_out, expected="500, or another status of failure")


class AnswersFirst(SessionMiddleware):
    """Gives each request its session, and stores what was changed before the answer begins."""

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        session, _ = self.load(environ, self.settings)
        environ["sessionlab.session"] = session

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            if session.changes().is_modified:
                session.save()
                if session.is_new:
                    value = "s:" + sign(session.id, self.secrets[0])
                    headers = [*headers, ("Set-Cookie", format_set_cookie(self.name, value))]
            return start_response(status, headers, exc_info)

        return self.app(environ, start)


ANSWERS_FIRST = Exercise(
    "AnswersFirst",
    kind="find the bug",
    shape="class",
    task="Mend AnswersFirst: who logs in is nobody on the page that follows, and when the store is "
    "down, every login is told to have worked.",
    starter='''
        class AnswersFirst(SessionMiddleware):
            """Gives each request its session, and stores what was changed."""

            def __call__(self, environ, start_response):
                session, _ = self.load(environ, self.settings)
                environ["sessionlab.session"] = session

                def start(status, headers, exc_info=None):
                    if session.is_new and session.changes().is_modified:
                        value = "s:" + sign(session.id, self.secrets[0])
                        headers = [*headers, ("Set-Cookie", format_set_cookie(self.name, value))]
                    return start_response(status, headers, exc_info)

                yield from self.app(environ, start)
                if session.changes().is_modified:
                    session.save()
    ''',
    answer=AnswersFirst,
    hints=[
        "Follow one login, line by line: when does the browser have its answer?",
        "By the time the application calls start(), its handler is done.",
        "To move two lines is enough: what is to be done before start_response is called?",
        "A function with yield in it runs only when somebody asks for the next piece. Without the "
        "yield, return the body.",
    ],
)


@ANSWERS_FIRST.rule(
    "the answer comes through whole",
    why="A body may be read once; and the browser follows a 303, not a 200.",
    hint="What your function got from the application, status, headers and body, goes on.",
)
def _still_whole(middleware: Middleware) -> None:
    _whole(middleware)


class _SlowStore(_NotingStore):
    """A store that, if it was asked too late, takes until the browser has asked for more."""

    def __init__(self, order: _Order) -> None:
        super().__init__(order)
        self.has_asked = Event()

    def _note(self, step: str) -> None:
        if self.order.is_sent:
            self.has_asked.wait(_PATIENCE)


@ANSWERS_FIRST.rule(
    "the page after the login knows who came, however slow the store is",
    why="express-session answers first: with a store 300 ms slow, the browser has its redirect "
    "after 8 ms, follows it, and sees no login.",
    hint="The redirect is an answer, too. What has to be done before it goes out?",
)
def _page_after(middleware: Middleware) -> None:
    order = _Order()
    store = _SlowStore(order)
    with running(order.around(middleware(_shop(), _SECRET, store=store))) as new_browser:
        browser = new_browser()
        browser.get("/enter", allow_redirects=False)
        said = browser.get("/").text
        store.has_asked.set()
    if said != "Hello Ada":
        went_in = "GET /enter, which logs Ada in and redirects to /; and at once GET /"
        raise Wrong(went_in, came_out=said, expected="Hello Ada")


@ANSWERS_FIRST.rule(
    "a login that can't be stored is told as a failure",
    why="express-session gives a 200 for it, and a cookie of a session that does not exist.",
    hint="Let the exception go where it wants to, as long as nothing was sent.",
)
def _login_fails(middleware: Middleware) -> None:
    with running(middleware(_shop(), _SECRET, store=_FailingStore())) as new_browser:
        for path in ("/login", "/enter"):
            status, has_cookie = _log_in_without_store(new_browser, path)
            _expect_failure(f"GET {path}, while the store is down", status, has_cookie)


@ANSWERS_FIRST.rule(
    "and it comes without a cookie",
    why="The id in it is nobody's; in some browsers it would take the place of a good one.",
    hint="Before or after the save: when are the headers made?",
)
def _no_cookie(middleware: Middleware) -> None:
    with running(middleware(_shop(), _SECRET, store=_FailingStore())) as new_browser:
        status, has_cookie = _log_in_without_store(new_browser, "/login")
    if has_cookie:
        went_in = "GET /login, while the store is down"
        raise Wrong(went_in, came_out=f"{status}, with a cookie", expected=f"{status}, without")


@ANSWERS_FIRST.rule(
    "who only reads costs the store nothing, and a stranger gets no cookie, as before",
    why="A write for each page is slow, and each robot would leave a record.",
    hint="Which of the two conditions was not in the way?",
)
def _still_sparing(middleware: Middleware) -> None:
    _stranger(middleware)
    store = _CountingStore()
    with running(_at_once(middleware(_shop(), _SECRET, store=store))) as new_browser:
        browser = new_browser()
        browser.get("/login")
        browser.get("/")
    if store.writes != 1:
        went_in = "GET /login, and then GET /, which only reads"
        raise Wrong(went_in, came_out=f"{store.writes} writes", expected="1 write")


class _CountingStore(MemoryStore):
    writes = 0

    def create(self, session_id: str, text: str, expires_at: float) -> bool:
        self.writes += 1
        return super().create(session_id, text, expires_at)

    def replace(self, session_id: str, old: str, new: str, expires_at: float) -> bool:
        self.writes += 1
        return super().replace(session_id, old, new, expires_at)


def find_session_id(header: str, secret: str, store: Store) -> str | None:
    """Return the id of the first cookie connect.sid that we signed and the store knows, or None."""
    for _, value in parse_cookies(header, only="connect.sid"):
        if not value.startswith("s:"):
            continue
        try:
            session_id = unsign(value[2:], secret)
        except BadSignature:
            continue
        if store.get(session_id) is not None:
            return session_id
    return None


FIND_SESSION_ID = Exercise(
    "find_session_id",
    kind="find the bug",
    task="Mend find_session_id(header, secret, store): some visitors log in, and are nobody on the "
    "next page, until they delete all their cookies.",
    starter='''
        def find_session_id(header, secret, store):
            """Return the id of the session that a Cookie header brings; None if there is none."""
            values = {}
            for name, value in parse_cookies(header):
                values.setdefault(name, value)
            value = values.get("connect.sid", "")
            if not value.startswith("s:"):
                return None
            try:
                session_id = unsign(value[2:], secret)
            except BadSignature:
                return None
            return session_id if store.get(session_id) is not None else None
    ''',
    answer=find_session_id,
    hints=[
        "The same name may come more than once: once for each path that the cookie was set for.",
        "Print the pairs that parse_cookies returns for 'connect.sid=old; connect.sid=new'.",
        "Ask for each of them what is now asked for one; when may you return?",
    ],
)


@FIND_SESSION_ID.rule(
    "a cookie whose session has ended does not hide the good one behind it",
    why="The shop once lived at /shop. A browser sends the cookie of the longer path first.",
    hint="How many cookies are named connect.sid, and which do you look at?",
)
def _stale_first(find: FindId) -> None:
    _expect_id(find, _signed("adas-session"), gives="adas-session")
    app = Bottle()
    app.get(
        "/old", callback=lambda: response.set_cookie("connect.sid", _value("old"), path="/shop")
    )
    app.get("/shop", callback=lambda: f"Hello {request.session.get('user', 'nobody')}")
    app.get("/login", callback=lambda: request.session.update(user="Ada"))
    with running(_Finding(app, find, MemoryStore())) as new_browser:
        browser = new_browser()
        browser.get("/old")
        browser.get("/login")
        said = browser.get("/shop").text
    if said != "Hello Ada":
        went_in = "GET /login, and then GET /shop, for which the browser has an old cookie, too"
        raise Wrong(went_in, came_out=said, expected="Hello Ada")


class _Finding(SessionMiddleware):
    """The library's middleware, in which the learner's function finds the session."""

    def __init__(self, app: "WSGIApplication", find: FindId, store: Store) -> None:
        super().__init__(app, _SECRET, store=store)
        self._find = find

    def load(self, environ: "WSGIEnvironment", settings: SessionSettings) -> tuple[Session, bool]:
        session_id = self._find(environ.get("HTTP_COOKIE", ""), _SECRET, self.store)
        session = Session.load(self.store, session_id, settings) if session_id else None
        return (Session(self.store, settings) if session is None else session), False


def _store_of(*ids: str) -> MemoryStore:
    store = MemoryStore()
    for session_id in ids:
        store.create(session_id, _TEXT, _FAR)
    return store


def _expect_id(find: FindId, *cookies: str, gives: str | None) -> None:
    header = "; ".join(cookies)
    try:
        came_out = shown(find(header, _SECRET, _store_of("adas-session")))
    except BadSignature as error:
        came_out = f"BadSignature: {error}"
    if came_out != shown(gives):
        went_in = f"Cookie: {header}, where the store knows adas-session"
        raise Wrong(went_in, came_out=came_out, expected=shown(gives))


@FIND_SESSION_ID.rule(
    "a forged cookie does not hide the good one, either",
    why="Any page of a neighbouring host can set one for yours, and so log out whom it likes.",
    hint="After a bad signature, is there no other cookie to look at?",
)
def _forged_first(find: FindId) -> None:
    good = _signed("adas-session")
    for bad in ("connect.sid=junk", "connect.sid=s:junk", _signed("adas-session", _OTHER)):
        _expect_id(find, bad, good, gives="adas-session")


@FIND_SESSION_ID.rule(
    "nor does one that comes behind it",
    why="The order is the browser's; an attacker can make a path that is shorter, too.",
    hint="The last one is as good, or bad, as the first one.",
)
def _stale_last(find: FindId) -> None:
    good = _signed("adas-session")
    for bad in (_signed("ended"), _signed("adas-session", _OTHER), "connect.sid=junk"):
        _expect_id(find, good, bad, gives="adas-session")
        _expect_id(find, bad, good, bad, gives="adas-session")


@FIND_SESSION_ID.rule(
    "an id that the store does not know is not taken",
    why="Whoever plants an id of his own in a browser is in, once its owner has logged in.",
    hint="What is returned when none of them was good?",
)
def _unknown(find: FindId) -> None:
    for cookies in (["theme=dark"], [_signed("ended")], [_signed("old"), _signed("ended")]):
        _expect_id(find, *cookies, gives=None)


@FIND_SESSION_ID.rule(
    "only what bears our name, our mark s: and our signature counts",
    why="What was signed for another purpose, an address to be confirmed, say, is no session.",
    hint="Compare your conditions with those of the function that you were given.",
)
def _ours_alone(find: FindId) -> None:
    value = _value("adas-session")
    for cookie in (f"other.sid={value}", f"connect.sid={value[2:]}", f"CONNECT.SID={value}"):
        _expect_id(find, cookie, gives=None)
    _expect_id(find, "connect.sid=s:adas-session", gives=None)


EXERCISES = [SMALL_MIDDLEWARE, ANSWERS_FIRST, FIND_SESSION_ID]
