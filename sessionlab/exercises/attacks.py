"""Exercises of chapter 7: fix a session, toss a cookie, end a session.  Notebook: 07-attacks.

The rules of this file: each attack runs against a real server on this machine. A bank asks for a
password, and its account page shows a number that is nowhere else, so that a page can't be made up.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.cookiejar import CookieJar
from typing import Any, NamedTuple
from urllib.request import Request

import requests
from bottle import Bottle, request, response

from ..cookies import parse_cookies
from ..lab import fixed_ids
from ..middleware import SessionMiddleware
from ..session import Session
from ..stores import MemoryStore
from .exercise import NOT_YET, Exercise, Wrong, called
from .result import shown
from .serving import Browser, running

_NAME = "connect.sid"
_SECRET = "the secret of this exercise, 32 bytes or more"
_PASSWORD = "ada's own"
_ADAS_PAGE = "Account of ada, balance 27182"


class _Ada:
    """Ada, at her browser. She logs in of her own accord, with a password that nobody else has."""

    def __init__(self, browser: Browser, steps: list[str]) -> None:
        self.browser = browser
        self.planted: str | None = None
        self.was_planted_first = self.is_logged_in = False
        self._steps = steps

    def plant(self, name: str, value: str) -> None:
        """Put a cookie into her browser, as a page on a sibling host can."""
        self._steps.append(f"planted {name}={value}")
        self.browser.cookies.set(name, str(value), domain="127.0.0.1", path="/")
        if name == _NAME:
            self.planted = str(value)
            self.was_planted_first = not self.is_logged_in

    def log_in(self) -> None:
        """Let her log in."""
        self.browser.post("/login", data={"password": _PASSWORD})
        self.is_logged_in = True
        self._steps.append("Ada logged in")


class _Attack(NamedTuple):
    """What came of an attack: whom it befell, what was returned, and the steps that it took."""

    ada: _Ada
    page: object
    steps: str


def _bank(is_renewed: bool) -> Bottle:
    def log_in() -> None:
        if request.forms.password == _PASSWORD:
            if is_renewed:
                request.session.regenerate()
            request.session["user"] = "ada"

    def account() -> str:
        return _ADAS_PAGE if "user" in request.session else "Account of nobody"

    app = Bottle()
    app.get("/", callback=lambda: request.session.update(visits=1))
    app.post("/login", callback=log_in)
    app.get("/account", callback=account)
    return app


def _attack(attempt: Callable[[Any, Any], object], is_renewed: bool = False) -> _Attack:
    """Let an attempt loose on a bank that forgets, or does not forget, to renew ids at login."""
    steps: list[str] = []

    def note(answer: requests.Response, **options: object) -> None:
        steps.append(f"Mallory: {answer.request.method} {answer.request.path_url}")

    app = SessionMiddleware(_bank(is_renewed), _SECRET, genid=fixed_ids("fixation"))
    with running(app) as new_browser:
        ada, mallory = _Ada(new_browser(), steps), new_browser()
        mallory.hooks["response"].append(note)
        page = attempt(ada, mallory)
    return _Attack(ada, page, "; ".join(steps) or "no step at all")


def fix_session(ada: Any, mallory: Any) -> str:
    mallory.get("/")
    ada.plant("connect.sid", mallory.cookies["connect.sid"])
    ada.log_in()
    page: str = mallory.get("/account").text
    return page


FIX_SESSION = Exercise(
    "fix_session",
    kind="break it",
    task="Write fix_session(ada, mallory): get Mallory into Ada's account at a bank that keeps the "
    "id at login, and return the account page that Mallory sees.",
    starter=f'''
        def fix_session(ada, mallory):
            """Get Mallory into Ada's account; return the text of the account page that she sees.

            ada.plant(name, value) puts a cookie into Ada's browser; ada.log_in() lets Ada log in.
            mallory is a browser of its own: mallory.get("/").text, mallory.get("/account").text
            and mallory.cookies[name]. The bank's cookie is named connect.sid.
            """
            {NOT_YET}
    ''',
    answer=fix_session,
    hints=[
        "Mallory need not learn Ada's id, if Ada takes hers.",
        "An invented id is ignored: the bank signs its ids. Who gets a good one just by visiting?",
        "Four steps: Mallory visits /, plants what she got, Ada logs in, Mallory looks at "
        "/account.",
    ],
)

Fix = Callable[[Any, Any], object]


@FIX_SESSION.rule(
    "a cookie named connect.sid is planted in Ada's browser",
    why="A cookie of another name is not looked at; and without Ada's password there is no other "
    "way in.",
    hint="What can be put into Ada's browser, and under which name does the bank look for it?",
)
def _planted(fix: Fix) -> None:
    attack = _attack(fix)
    if attack.ada.planted is None:
        raise Wrong(attack.steps, came_out="no connect.sid", expected="plant('connect.sid', …)")


@FIX_SESSION.rule(
    "Ada logs in, and does so after that",
    why="Before it nobody is logged in, and a cookie that comes too late replaces a good one.",
    hint="In which session should the bank note that this is Ada?",
)
def _logs_in(fix: Fix) -> None:
    attack = _attack(fix)
    if not (attack.ada.is_logged_in and attack.ada.was_planted_first):
        when = "before the planting" if attack.ada.is_logged_in else "never"
        raise Wrong(attack.steps, came_out=f"she logs in: {when}", expected="first plant, then her")


@FIX_SESSION.rule(
    "what was planted is a session that the bank itself has opened",
    why="An id that the server did not sign, or does not know, is not taken over: Ada gets a new "
    "one, of which only her browser is told.",
    hint="How does anybody come by a cookie that this bank has signed?",
)
def _known(fix: Fix) -> None:
    attack = _attack(fix)
    if attack.ada.browser.cookies.get(_NAME) != attack.ada.planted:
        came_out = "the bank passed over the planted cookie, and gave Ada another"
        raise Wrong(attack.steps, came_out=came_out, expected="Ada logged in with it")


@FIX_SESSION.rule(
    "Mallory sees Ada's account",
    why="Ada did all that she should: her own password, on the bank's own page.",
    hint="Which cookie does Mallory come with, when does she come, and what is returned?",
)
def _sees(fix: Fix) -> None:
    attack = _attack(fix)
    if attack.page != _ADAS_PAGE:
        raise Wrong(attack.steps, came_out=shown(attack.page), expected=shown(_ADAS_PAGE))


@FIX_SESSION.rule(
    "a bank that calls regenerate at each login is not open to it",
    why="What works there as well is no fixation: it is theft, or Ada's own look at her account. "
    "Against fixation a server can do something, in one line.",
    hint="Look with Mallory's browser, and let her come with no cookie but her own.",
)
def _refused(fix: Fix) -> None:
    attack = _attack(fix, is_renewed=True)
    if attack.page == _ADAS_PAGE:
        went_in = f"{attack.steps} (at a bank that renews the id)"
        raise Wrong(went_in, came_out=_ADAS_PAGE, expected="Account of nobody")


_BLOG, _PAGE = "https://blog.bank.example/", "https://bank.example/account"
_ADAS = f"{_NAME}=adas-session"
_NO_PATH = re.compile(r";\s*path\s*=(?!\s*/)[^;]*", re.IGNORECASE)


def toss_cookie(mallorys: str) -> str:
    return f"connect.sid={mallorys}; Domain=bank.example; Path=/account"


TOSS_COOKIE = Exercise(
    "toss_cookie",
    kind="break it",
    task="Write toss_cookie(mallorys): the Set-Cookie header with which blog.bank.example gets Ada "
    "into Mallory's account at bank.example/account.",
    starter=f'''
        def toss_cookie(mallorys):
            """Return the text of a Set-Cookie header, "name=value; ...", that the blog sends.

            mallorys is the value of Mallory's own cookie at the bank, which is named connect.sid.
            """
            {NOT_YET}
    ''',
    answer=toss_cookie,
    hints=[
        "Two attributes of Set-Cookie say where a cookie goes.",
        "Without a Domain it goes back to the blog alone; a host may name the one above it.",
        "Of two cookies of one name the browser sends the one with the longer Path first.",
    ],
)

Toss = Callable[[str], str]


def _browse(header: object, url: str) -> str:
    """Return what Ada's browser sends to ``url``, once the blog has answered with this header.

    It is the jar that ``requests`` uses, too. Ada has logged in before, so that hers is older. A
    Path that does not begin with a slash counts as none (RFC 6265 section 5.2.4).
    """
    jar = CookieJar()
    for origin, text in ((_PAGE, _ADAS + "; Path=/"), (_BLOG, header)):
        answer = Message()
        answer["Set-Cookie"] = _NO_PATH.sub("", str(text))
        jar.extract_cookies(_Answer(answer), Request(origin))  # type: ignore[arg-type]  # noqa: S310
    visit = Request(url)  # noqa: S310  (nothing is sent)
    jar.add_cookie_header(visit)
    return visit.get_header("Cookie") or ""


class _Answer(NamedTuple):
    headers: Message

    def info(self) -> Message:
        return self.headers


def _values(header: str) -> list[str]:
    return [value for _, value in parse_cookies(header, only=_NAME)]


def _names_first(toss: Toss, value: str) -> str:
    header = toss(value)
    if not isinstance(header, str) or header.partition("=")[0].strip() != _NAME:
        raise Wrong(called(toss, value), came_out=shown(header), expected="'connect.sid=…; …'")
    return header


@TOSS_COOKIE.rule(
    "it sets a cookie named connect.sid",
    why="The bank looks for its cookie by the name, and by nothing else.",
    hint="It begins with name=value, without the words 'Set-Cookie:'.",
)
def _named(toss: Toss) -> None:
    _names_first(toss, "mallorys-session")


@TOSS_COOKIE.rule(
    "the bank gets it, which is another host than the blog",
    why="By itself a cookie goes back to the host that set it. A host may also set one for all "
    "hosts below a name above its own, and that name's host.",
    hint="Which attribute names a host? Whose name do blog.bank.example and bank.example share?",
)
def _crosses(toss: Toss) -> None:
    header = _names_first(toss, "mallorys-session")
    anywhere = "https://bank.example" + (_path_of(header) or "/")
    if len(_values(_browse(header, anywhere))) < 2:
        came_out = f"GET {anywhere} with Cookie: {_browse(header, anywhere)}"
        raise Wrong(f"Set-Cookie: {header}", came_out=came_out, expected="two cookies of this name")


def _path_of(header: str) -> str:
    attributes = [part.partition("=") for part in header.split(";")[1:]]
    paths = [value.strip() for name, _, value in attributes if name.strip().lower() == "path"]
    return paths[-1] if paths and paths[-1].startswith("/") else ""


def _cookies_at_the_account(toss: Toss, value: str) -> tuple[str, str]:
    header = _names_first(toss, value)
    return header, _browse(header, _PAGE)


@TOSS_COOKIE.rule(
    "it is sent to /account",
    why="A cookie goes to its Path and to what lies below it. Path=/account/ is not for /account "
    "itself (RFC 6265 section 5.1.4).",
    hint="Which paths match /account?",
)
def _reaches(toss: Toss) -> None:
    header, sent = _cookies_at_the_account(toss, "mallorys-session")
    if len(_values(sent)) < 2:
        came_out = f"GET /account with Cookie: {sent}"
        raise Wrong(f"Set-Cookie: {header}", came_out=came_out, expected="two cookies of this name")


@TOSS_COOKIE.rule(
    "it stands before Ada's own",
    why="This bank takes the first cookie of its name. The browser sends the longer Path first "
    "and, of two that are equally long, the older (RFC 6265 section 5.4).",
    hint="Ada's has Path=/, and she had it first. Which Path is longer, and still matches?",
)
def _in_front(toss: Toss) -> None:
    header, sent = _cookies_at_the_account(toss, "mallorys-session")
    if sent.startswith(_ADAS):
        came_out = f"GET /account with Cookie: {sent}"
        raise Wrong(f"Set-Cookie: {header}", came_out=came_out, expected="Ada's cookie behind it")


@TOSS_COOKIE.rule(
    "Ada is in Mallory's account, and does not know",
    why="What Ada types there, Mallory can read: a card, an address. Only the name is a way out: a "
    "browser takes a cookie called __Host-… from no other host.",
    hint="Some other value logs her out; which one shows her an account?",
)
def _in_mallorys(toss: Toss) -> None:
    users = {"adas-session": "ada"}

    def account() -> str:
        first = next(iter(_values(request.get_header("Cookie", ""))), "")
        return f"Account of {users.get(first, 'nobody')}"

    app = Bottle()
    app.get("/account", callback=account)
    with running(app) as new_browser:
        for value in ("mallorys-session", "her-session-of-tomorrow"):
            users = {"adas-session": "ada", value: "mallory"}
            header, sent = _cookies_at_the_account(toss, value)
            said = new_browser().get("/account", headers={"Cookie": sent}).text
            if said != "Account of mallory":
                went_in = f"{called(toss, value)} gives Set-Cookie: {header}"
                raise Wrong(went_in, came_out=f"Ada sees: {said}", expected="Account of mallory")


def log_out(session: Session, response: Any) -> str:
    session.destroy()
    return "Goodbye"


LOG_OUT = Exercise(
    "log_out",
    kind="find the bug",
    task="Mend log_out(session, response): after a logout, a copy of the cookie still opens the "
    "account.",
    starter='''
        def log_out(session, response):
            """Log the visitor out: what a Bottle application does at POST /logout."""
            response.delete_cookie("connect.sid", path="/")
            return "Goodbye"
    ''',
    answer=log_out,
    hints=[
        "The cookie is a key. Whom does this function tell that the key is void?",
        "The session lives in the store, under its id; whoever comes with the id is let in.",
        "A session has a method that ends it: dir(Session) of sessionlab lists them.",
    ],
)

LogOut = Callable[[Any, Any], object]


class _Logout(NamedTuple):
    """What there is after a logout: Ada's browser, a browser with a copy, the store, the answer."""

    ada: Browser
    copy: Browser
    store: MemoryStore
    old_id: str
    status: int


@contextmanager
def _after(log_out: LogOut) -> Iterator[_Logout]:
    """Let Ada log in, copy her cookie, and let her log out."""
    app = Bottle()
    app.post("/login", callback=lambda: request.session.update(user="ada", basket=["tea"]))
    app.post("/logout", callback=lambda: log_out(request.session, response))
    app.get("/session", callback=lambda: dict(request.session))
    store = MemoryStore()
    genid = fixed_ids("logout")
    with running(SessionMiddleware(app, _SECRET, store=store, genid=genid)) as new_browser:
        ada, copy = new_browser(), new_browser()
        ada.post("/login")
        copy.cookies.update(ada.cookies)
        [old_id] = store
        status = ada.post("/logout").status_code
        yield _Logout(ada, copy, store, old_id, status)


_STORY = "Ada logs in, a copy of her cookie is made, Ada logs out; "


@LOG_OUT.rule(
    "a copy of the cookie does not open the account any more",
    why="delete_cookie is a request to one browser. A copy, on another machine or in a log, never "
    "hears of it.",
    hint="What does the server still know when the browser has forgotten?",
)
def _account_closed(log_out: LogOut) -> None:
    with _after(log_out) as after:
        found = after.copy.get("/session").json()
    if "user" in found:
        went_in = _STORY + "the copy comes to GET /session"
        raise Wrong(went_in, came_out=found, expected={})


@LOG_OUT.rule(
    "nor does it show anything else of the session",
    why="A basket, an address, a half-written letter: what is in the session is Ada's, too.",
    hint="'user' is one key of several.",
)
def _nothing_left(log_out: LogOut) -> None:
    with _after(log_out) as after:
        found = after.copy.get("/session").json()
    if found:
        went_in = _STORY + "the copy comes to GET /session"
        raise Wrong(went_in, came_out=found, expected={})


@LOG_OUT.rule(
    "the store has no record under the old id",
    why="An empty session is still a session: its id lives on, and whatever is put into it next, "
    "the copy opens.",
    hint="To empty a box is not to throw it away.",
)
def _record_gone(log_out: LogOut) -> None:
    with _after(log_out) as after:
        record = after.store.get(after.old_id)
    if record is not None:
        went_in = _STORY + "the store is asked for the old id"
        raise Wrong(went_in, came_out=record.text, expected=None)


@LOG_OUT.rule(
    "Ada's browser is left without a session cookie",
    why="Whoever has logged out wants no session: a new id is one more record in the store, and "
    "with the data kept she is not logged out at all.",
    hint="Which sessions are there now, and who has asked for them?",
)
def _cookie_gone(log_out: LogOut) -> None:
    with _after(log_out) as after:
        cookie, found = after.ada.cookies.get(_NAME), after.ada.get("/session").json()
    if cookie is not None:
        came_out = f"a cookie of a session that holds {shown(found)}"
        raise Wrong(_STORY + "her browser is looked at", came_out=came_out, expected="no cookie")


@LOG_OUT.rule(
    "a second click on logout is answered as the first was",
    why="People click twice, and come back to old pages; to be logged out already is no error.",
    hint="What does the second request find in its session?",
)
def _twice(log_out: LogOut) -> None:
    with _after(log_out) as after:
        statuses = after.status, after.ada.post("/logout").status_code
    if statuses != (200, 200):
        raise Wrong("POST /logout, twice", came_out=statuses, expected=(200, 200))


EXERCISES = [FIX_SESSION, TOSS_COOKIE, LOG_OUT]
