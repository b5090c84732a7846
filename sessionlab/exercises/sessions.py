"""Exercises of chapter 4: make an id, write a record, log in.  Notebook: 04-sessions."""

import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from bottle import Bottle, request

from ..middleware import SessionMiddleware
from ..session import Data, Session, encode_record, new_session_id
from ..signing import sign
from ..stores import MemoryStore
from .exercise import NOT_YET, Exercise, Wrong, called, expect, expect_error, names_used
from .result import shown
from .serving import Browser, running

_SECRET = "the secret of this exercise, 32 bytes or more"
_FAR = 4e9  # Unix time, seconds; October 2096
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_MANY = 300  # ids: in so many, each character of the alphabet occurs

NewId = Callable[[], str]
WriteRecord = Callable[[Data, Data], str]
LogIn = Callable[[Session, str], object]

NEW_ID = Exercise(
    "new_id",
    kind="write the part",
    task="Write new_id(): 24 random bytes in URL-safe base64, which is 32 characters.",
    starter=f'''
        def new_id():
            """Return an id that nobody can guess: 24 random bytes in URL-safe base64."""
            {NOT_YET}
    ''',
    answer=new_session_id,
    hints=[
        "24 bytes are 192 bits, and a character of base64 holds 6 of them: 32 characters, and no "
        "padding.",
        "Python has a module for chance that is worth a password; it is not random.",
        "The functions of the module secrets that begin with token_ take a number of bytes.",
    ],
)


@NEW_ID.rule(
    "an id is a text of 32 characters",
    why="Its length is its strength: a number, a time or a counter is found by trying.",
    hint="What type has yours, and how long is it? 36 would be a UUID, 48 hexadecimal.",
)
def _length(new_id: NewId) -> None:
    made = new_id()
    if not isinstance(made, str) or len(made) != 32:
        size = f" of {len(made)}" if isinstance(made, str | bytes) else ""
        came_out = f"{shown(made)}: a {type(made).__name__}{size}"
        raise Wrong(called(new_id), came_out=came_out, expected="a text of 32 characters")


@NEW_ID.rule(
    "no two ids are alike",
    why="Two visitors of one id are in one session: the second reads what the first has written.",
    hint="When is yours computed: with each call? And what may be the same in two calls?",
)
def _unlike(new_id: NewId) -> None:
    made = [new_id() for _ in range(_MANY)]
    if len(set(made)) < _MANY:
        again = next(each for each in made if made.count(each) > 1)
        came_out = f"{len(set(made))} different ones; {made.count(again)} times {shown(again)}"
        expected = f"{_MANY} different ones"
        raise Wrong(f"{called(new_id)}, {_MANY} times", came_out=came_out, expected=expected)
    _meet_visitors(new_id)


def _meet_visitors(new_id: NewId) -> None:
    app = SessionMiddleware(_hall(), _SECRET, store=MemoryStore(), genid=new_id)
    with running(app) as new_browser:
        visitors = {name: new_browser() for name in ("Ada", "Grace")}
        for name, browser in visitors.items():
            browser.post("/", data={"user": name})
        said = [browser.get("/").text for browser in visitors.values()]
    if said != ["Hello Ada", "Hello Grace"]:
        raise Wrong(
            "two visitors of a server", came_out=said, expected=["Hello Ada", "Hello Grace"]
        )


@NEW_ID.rule(
    "all 64 characters of URL-safe base64 occur, and no others",
    why="32 hexadecimal digits are no more than 128 bits; '+' and '/' mean something in a URL.",
    hint="Base64 has two alphabets, which differ in two characters; hexadecimal has but 16.",
)
def _alphabet(new_id: NewId) -> None:
    occur = {char for _ in range(_MANY) for char in new_id()}
    if occur != set(_ALPHABET):
        expected = f"{len(_ALPHABET)} characters: {_ALPHABET}"
        came_out = f"{len(occur)} characters: {''.join(sorted(occur))}"
        raise Wrong(f"{called(new_id)}, {_MANY} times", came_out=came_out, expected=expected)


@NEW_ID.rule(
    "a seed does not decide what comes",
    why="Who finds the seed, often the time of the start, computes everybody's next id.",
    hint="The module random is made for games, where the same game can be played twice.",
)
def _no_seed(new_id: NewId) -> None:
    state, made = random.getstate(), []
    try:
        for _ in range(2):
            random.seed(1815)
            made.append(new_id())
    finally:
        random.setstate(state)
    if made[0] == made[1]:
        went_in = f"random.seed(1815); {called(new_id)}, twice"
        raise Wrong(went_in, came_out=f"{shown(made[0])}, twice", expected="two different ids")


@NEW_ID.rule(
    "each id takes 24 bytes of chance from the operating system",
    why="It alone collects real chance. What is computed from a time or a counter looks as odd "
    "and can be computed again.",
    hint="os.urandom gives it, and so do all functions of secrets. Ask for 24 bytes, each time.",
)
def _real_chance(new_id: NewId) -> None:
    with _counted_chance() as asked:
        for _ in range(_MANY):
            new_id()
    # ``from os import urandom`` can't be counted; its name can be seen.
    if sum(asked) < 24 * _MANY and "urandom" not in names_used(new_id):
        came_out = f"os.urandom and secrets were asked for {sum(asked)} bytes"
        expected = f"{24 * _MANY} bytes, 24 for each"
        raise Wrong(f"{called(new_id)}, {_MANY} times", came_out=came_out, expected=expected)


@contextmanager
def _counted_chance() -> Iterator[list[int]]:
    asked, real, places = [], os.urandom, ((os, "urandom"), (random, "_urandom"))

    def urandom(size: int) -> bytes:
        asked.append(size)
        return real(size)

    for module, name in places:
        setattr(module, name, urandom)
    try:
        yield asked
    finally:
        for module, name in places:
            setattr(module, name, real)


def write_record(cookie: Data, data: Data) -> str:
    _require_free(data)
    return encode_record(cookie, data)


def _require_free(data: Data) -> None:
    if "cookie" in data:
        raise ValueError("the record has another use for the key 'cookie'")
    _require_text_keys(data)


def _require_text_keys(value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"keys are text; write {str(key)!r}")
            _require_text_keys(item)
    elif isinstance(value, list):
        for item in value:
            _require_text_keys(item)


WRITE_RECORD = Exercise(
    "write_record",
    kind="write the part",
    task="Write write_record(cookie, data): the text of a session that Express and we both read.",
    starter=f'''
        def write_record(cookie, data):
            """Return compact JSON, as Express writes it: {{"cookie":{{...}},"user":"Ada"}}.

            cookie and data are dicts: first the cookie, then each key of the data. Raise ValueError
            for NaN, for an infinite number and for a key "cookie" in the data; TypeError for a key
            that is no text.
            """
            {NOT_YET}
    ''',
    answer=write_record,
    shown_with=[_require_free, _require_text_keys],
    hints=[
        "One dict for both, the cookie first: a dict keeps its order.",
        "json.dumps has parameters for all of it: separators, ensure_ascii, allow_nan. Only what "
        "happens to keys you have to look after yourself.",
        "For the keys, a function that calls itself: for each item of a dict, and of a list.",
    ],
)

_COOKIE = {"originalMaxAge": None, "expires": None, "httpOnly": True, "path": "/"}
_COOKIE_TEXT = '"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}'


@WRITE_RECORD.rule(
    "a server finds the data, beside the cookie",
    why="This is all that the next request knows of the visitor.",
    hint="One object in JSON: 'cookie' is one of its keys, 'user' another.",
)
def _is_found(write_record: WriteRecord) -> None:
    came_out = write_record(_COOKIE, {"user": "Ada"})
    if not isinstance(came_out, str):
        raise Wrong(
            called(write_record, _COOKIE, {"user": "Ada"}), came_out=came_out, expected="a text"
        )
    store = MemoryStore()
    store.create("an-id", came_out, _FAR)
    with running(SessionMiddleware(_hall(), _SECRET, store=store)) as new_browser:
        cookie = f"connect.sid={quote('s:' + sign('an-id', _SECRET))}"
        said = new_browser().get("/", headers={"Cookie": cookie}).text
    if said != "Hello Ada":
        went_in = f"GET / of a visitor whose record is {came_out}"
        raise Wrong(went_in, came_out=said, expected="Hello Ada")


def _expect_record(write_record: WriteRecord, data: Data, gives: str) -> None:
    expect(write_record, _COOKIE, data, gives=f"{{{_COOKIE_TEXT}{gives}}}")


@WRITE_RECORD.rule(
    "the cookie comes first, and the keys stay in their order",
    why="Express writes so. A session is looked through for changes as text: the same data in "
    "another order would be a change.",
    hint="Which key did you put in first, and was anything sorted?",
)
def _in_order(write_record: WriteRecord) -> None:
    data = {"user": "Ada", "cart": ["tea"], "a": 1}
    came_out = write_record(_COOKIE, data)
    keys, expected = list(json.loads(came_out)), ["cookie", *data]
    if keys != expected:
        raise Wrong(called(write_record, _COOKIE, data), came_out=keys, expected=expected)


@WRITE_RECORD.rule(
    "it is compact, to the last character what Express writes",
    why="Two writers that write the same, to the letter, can see that nothing has changed.",
    hint="Look for spaces. And what stands before the last '}' if there is no data?",
)
def _is_compact(write_record: WriteRecord) -> None:
    _expect_record(write_record, {"views": 1}, ',"views":1')
    _expect_record(write_record, {"cart": [{"tea": 2}, None]}, ',"cart":[{"tea":2},null]')
    _expect_record(write_record, {}, "")


@WRITE_RECORD.rule(
    "text beyond ASCII stands there as it is",
    why="Express writes it so, and a letter of Greek or Chinese takes two or three bytes, not six.",
    hint="json.dumps writes ASCII alone, unless told otherwise.",
)
def _beyond_ascii(write_record: WriteRecord) -> None:
    _expect_record(write_record, {"user": "Zoë ☕"}, ',"user":"Zoë ☕"')


@WRITE_RECORD.rule(
    "a number that JSON does not have is refused with ValueError",
    why="Python writes NaN all the same, and every JSON.parse in JavaScript fails over it: the "
    "visitor is lost with the next request, and nobody sees why.",
    hint="json.dumps has a parameter for this, and looks everywhere, in lists as well.",
)
def _no_nan(write_record: WriteRecord) -> None:
    nan, infinite = float("nan"), float("inf")
    for data in ({"price": nan}, {"prices": [1.5, {"tea": infinite}]}, {"debt": -infinite}):
        expect_error(write_record, _COOKIE, data, error=ValueError)


@WRITE_RECORD.rule(
    "a key that is no text is refused with TypeError, however deep it is",
    why="JSON makes '7' of the key 7, so that the next request asks for seats[7] in vain.",
    hint="Not every dict is at the top: one may be in a list, or in another dict.",
)
def _text_keys(write_record: WriteRecord) -> None:
    expect_error(write_record, _COOKIE, {7: "Ada"}, error=TypeError)
    expect_error(write_record, _COOKIE, {"seats": {7: "Ada"}}, error=TypeError)
    expect_error(write_record, _COOKIE, {"rows": [[{None: "Ada"}]]}, error=TypeError)
    data = {"seats": {"7": "Ada"}, "rows": [{"8": [None, True]}]}
    _expect_record(write_record, data, ',"seats":{"7":"Ada"},"rows":[{"8":[null,true]}]')


@WRITE_RECORD.rule(
    'a key "cookie" in the data is refused with ValueError',
    why="Where a form decides on the keys, a visitor would write a cookie that never ends.",
    hint="What does {'cookie': 1, **{'cookie': 2}} give?",
)
def _no_second_cookie(write_record: WriteRecord) -> None:
    expect_error(write_record, _COOKIE, {"cookie": {"originalMaxAge": 1}}, error=ValueError)


def log_in(session: Session, user: str) -> None:
    session.regenerate(keep_data=True)
    session["user"] = user
    session["log_ins"] = session.get("log_ins", 0) + 1


LOG_IN = Exercise(
    "log_in",
    kind="find the bug",
    task="Mend log_in(session, user): whoever knew Ada's cookie before she logged in is in her "
    "account after it.",
    starter='''
        def log_in(session, user):
            """Make the visitor of this session the user; what is in the cart stays there."""
            if session.is_new:
                session.regenerate(keep_data=True)
            session["user"] = user
            session["log_ins"] = session.get("log_ins", 0) + 1
    ''',
    answer=log_in,
    hints=[
        "Look at session.id before and after, once for a visitor who has a cart already.",
        "Which visitors get another id here, and which would need one?",
        "Only an id that was there before the log-in can be known to somebody else.",
    ],
)


@LOG_IN.rule(
    "after the log-in the user is in",
    why="This is what the function is for.",
    hint="What does regenerate() leave of what you wrote before it? And destroy() of a session?",
)
def _is_in(log_in: LogIn) -> None:
    with _open_shop(log_in) as new_browser:
        ada = _with_a_cart(new_browser())
        _log_in_as(ada, "ada")
        _expect_page(ada, "Ada's page after POST /login", "user", "ada")


@LOG_IN.rule(
    "the cookie of before the log-in is dead",
    why="Mallory may have planted it, or read it from a computer that both have used.",
    hint="regenerate gives the session another id, and ends the old one. Is it called here?",
)
def _is_dead(log_in: LogIn) -> None:
    with _open_shop(log_in) as new_browser:
        _expect_old_cookie_dead(_with_a_cart(new_browser()), new_browser(), "ada")


@LOG_IN.rule(
    "the cart is kept",
    why="Visitors fill the cart first and log in to pay.",
    hint="What does regenerate() do with the data, unless it is told otherwise?",
)
def _cart_stays(log_in: LogIn) -> None:
    with _open_shop(log_in) as new_browser:
        ada = _with_a_cart(new_browser())
        _log_in_as(ada, "ada")
        _expect_page(
            ada, "Ada's page; she put tea into the cart, then came POST /login", "cart", ["tea"]
        )


@LOG_IN.rule(
    "whatever else there was is kept, and nothing need be there",
    why="What is carried over by name is forgotten with the next key that somebody adds.",
    hint="regenerate has a parameter for this.",
)
def _all_stays(log_in: LogIn) -> None:
    with _open_shop(log_in) as new_browser:
        ada = _with_a_cart(new_browser())
        _log_in_as(ada, "ada")
        _expect_page(
            ada, "Ada's page; she chose a dark theme, then came POST /login", "theme", "dark"
        )
        grace = new_browser()
        _log_in_as(grace, "grace")
        _expect_page(grace, "the page of Grace, who begins with POST /login", "user", "grace")


@LOG_IN.rule(
    "a log-in on top of another one kills the cookie, too",
    why="A guest who becomes an admin gains as much as a stranger who becomes a user; so does "
    "whoever knows the cookie.",
    hint="Does it depend on something whether the id is changed? Need it?",
)
def _again(log_in: LogIn) -> None:
    with _open_shop(log_in) as new_browser:
        ada = _with_a_cart(new_browser())
        _log_in_as(ada, "guest")
        _expect_old_cookie_dead(ada, new_browser(), "admin")


def _hall() -> Bottle:
    app = Bottle()

    @app.get("/")  # type: ignore[untyped-decorator]
    def greet() -> str:
        return f"Hello {request.session.get('user', 'stranger')}"

    @app.post("/")  # type: ignore[untyped-decorator]
    def name() -> None:
        request.session["user"] = request.forms.user

    return app


@contextmanager
def _open_shop(log_in: LogIn) -> Iterator[Callable[[], Browser]]:
    app = Bottle()
    app.get("/", callback=lambda: dict(request.session))
    app.post("/cart", callback=lambda: request.session.update(cart=["tea"], theme="dark"))

    @app.post("/login")  # type: ignore[untyped-decorator]
    def post_login() -> None:
        log_in(request.session, request.forms.user)

    with running(SessionMiddleware(app, _SECRET, store=MemoryStore())) as new_browser:
        yield new_browser


def _with_a_cart(browser: Browser) -> Browser:
    browser.post("/cart")
    return browser


def _log_in_as(browser: Browser, user: str) -> None:
    browser.post("/login", data={"user": user})


def _expect_page(browser: Browser, whose: str, key: str, value: Any) -> None:
    page = browser.get("/").json()
    if page.get(key) != value:
        raise Wrong(whose, came_out=page, expected=f"{key!r}: {value!r} in it")


def _expect_old_cookie_dead(visitor: Browser, mallory: Browser, user: str) -> None:
    mallory.cookies.update(visitor.cookies)
    _log_in_as(visitor, user)
    page = mallory.get("/").json()
    if page:
        went_in = f"GET / by Mallory, with the cookie of before POST /login of {user!r}"
        raise Wrong(went_in, came_out=page, expected="{}, as for any stranger")


EXERCISES = [NEW_ID, WRITE_RECORD, LOG_IN]
