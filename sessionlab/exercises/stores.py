"""Exercises of chapter 3: a store over a dict, one in SQLite, one that logs readers out.  Notebook:
03-stores."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from bottle import Bottle, request

from ..cookies import CookieOptions
from ..lab import contract
from ..middleware import SessionMiddleware
from ..stores import MemoryStore, Record, Store, StoreError
from ..testing import Clock
from .exercise import NOT_YET, Exercise, Wrong, called
from .result import shown
from .serving import race, running

Now = Callable[[], float]
Make = Callable[[Now], Store]
MakeOnDisk = Callable[[str, Now], Store]

_SECRET = "the secret of this exercise, 32 bytes or more"
_TEXT = '{"cookie":{},"user":"Ada"}'
_WRITTEN = '{"cookie":{},"user":"Ada","cart":["tea"]}'
_HOUR = 3600.0
_PATIENCE = 2  # seconds until a request no longer waits for another
_SQL_ERRORS = (sqlite3.Error, StoreError)
_A_MOMENT = 0.5  # seconds in which somebody comes between, unless a lock keeps him out


def _ask(
    method: Callable[..., Any],
    *arguments: Any,
    gives: object,
    when: str = "",
    errors: tuple[type[Exception], ...] = (),
) -> None:
    """Ask a store, and raise ``Wrong`` unless it returns this; of yes and no, the truth counts."""
    went_in = called(method, *arguments) + when
    try:
        came_out = method(*arguments)
    except errors as error:
        said = f"{type(error).__name__}: {error}"
        raise Wrong(went_in, came_out=said, expected=shown(gives)) from None
    is_right = bool(came_out) is gives if isinstance(gives, bool) else came_out == gives
    if not is_right or (isinstance(gives, Record) and not isinstance(came_out, Record)):
        raise Wrong(went_in, came_out=shown(came_out), expected=shown(gives))


def _ask_what_was_created(make: Make) -> None:
    clock = Clock()
    store, later = make(clock), clock() + _HOUR + 0.5
    _ask(store.create, "ada", _TEXT, later, gives=True)
    _ask(store.get, "ada", gives=Record(_TEXT, later))
    _ask(store.get, "nobody", gives=None)


def _ask_at_the_end(make: Make) -> None:
    clock = Clock()
    store, end = make(clock), clock() + 60
    store.create("ada", _TEXT, end)
    clock.advance(59)
    _ask(store.get, "ada", gives=Record(_TEXT, end), when=", a second before its end")
    clock.advance(1)
    _ask(store.get, "ada", gives=None, when=", at its expires_at")
    clock.advance(1)
    later, when = clock() + _HOUR, ", after its end"
    _ask(store.touch, "ada", later, gives=False, when=when)
    _ask(store.replace, "ada", _TEXT, _WRITTEN, later, gives=False, when=when)
    _ask(store.get, "ada", gives=None, when=when)
    _ask(store.create, "ada", _TEXT, later, gives=True, when=when)


def _ask_after_logout(make: Make) -> None:
    for path, what in (("/read", "only reads"), ("/write", "writes to it")):
        said = _log_out_during(path, make)
        if said != "Hello nobody":
            went_in = f"a slow request {what}; she logs out meanwhile; GET / with her old cookie"
            raise Wrong(went_in, came_out=said, expected="Hello nobody")


def _log_out_during(path: str, make: Make) -> str:
    has_loaded, is_out, clock = Event(), Event(), Clock()
    app = Bottle()
    app.get("/login", callback=lambda: request.session.update(user="Ada"))
    app.get("/logout", callback=lambda: request.session.destroy())
    app.get("/", callback=lambda: f"Hello {request.session.get('user', 'nobody')}")

    @app.get("/read")  # type: ignore[untyped-decorator]
    @app.get("/write")  # type: ignore[untyped-decorator]
    def slow() -> None:
        request.session.get("user")
        has_loaded.set()
        is_out.wait(_PATIENCE)
        if path == "/write":
            request.session["cart"] = ["tea"]

    application = SessionMiddleware(app, _SECRET, store=make(clock), now=clock, touch_after=0)
    with running(application) as new_browser:
        ada, page, thief = new_browser(), new_browser(), new_browser()
        ada.get("/login")
        for other in (page, thief):
            other.cookies.update(ada.cookies)
        said = ada.get("/").text
        if said != "Hello Ada":
            raise Wrong("GET /login, and then GET /", came_out=said, expected="Hello Ada")

        def log_out() -> None:
            has_loaded.wait(_PATIENCE)
            try:
                ada.get("/logout")
            finally:
                is_out.set()

        race(lambda: page.get(path), log_out)
        return thief.get("/").text


def _nothing() -> None:
    pass


class _Watched(str):
    """A text that says so when it is compared, or when it is handed to SQLite."""

    when_compared: Callable[[], None] = staticmethod(_nothing)
    when_bound: Callable[[], None] = staticmethod(_nothing)

    def __eq__(self, other: object) -> bool:
        self.when_compared()
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __conform__(self, protocol: object) -> str:
        self.when_bound()
        return str(self)


def _ask_two_at_once(make: Make) -> None:
    # Not left to luck: after one has compared, and before it writes, the other has its turn, and
    # all of it. In Python that is where the old text is compared; in SQL, the new one bound.
    clock = Clock()
    store, later = make(clock), clock() + _HOUR
    store.create("ada", "base", later)
    answers: dict[str, object] = {}

    def their_turn() -> None:
        try:
            answers["theirs"] = store.replace("ada", "base", "theirs", later)
        except Exception as error:
            answers["theirs"] = error

    other = Thread(target=their_turn, daemon=True)

    def come_between() -> None:
        if other.ident is None:
            other.start()
            other.join(_A_MOMENT)

    old, new = _Watched("base"), _Watched("mine")
    old.when_compared = new.when_bound = come_between
    answers["mine"] = store.replace("ada", old, new, later)
    come_between()
    other.join(_PATIENCE)
    for answer in answers.values():
        if isinstance(answer, Exception):
            raise answer
    wins = [name for name, answer in sorted(answers.items()) if answer]
    record = store.get("ada")
    text = None if record is None else str(record.text)
    if wins != [text]:
        raise Wrong(
            "replace('ada', 'base', 'mine', …), and before it is done, in another thread, "
            "replace('ada', 'base', 'theirs', …)",
            came_out=f"True for {' and '.join(wins) or 'neither'}; the store holds {text!r}",
            expected="True for one, whose text the store holds",
        )


def _ask_contract(make: Make) -> None:
    for words, problem in contract(make).broken.items():
        raise Wrong(f"the promise: {words}", came_out=problem, expected="the promise, kept")


_METHODS = f'''
            def get(self, session_id):
                """Return Record(text, expires_at); None for an id that is unknown or has ended."""
                {NOT_YET}

            def create(self, session_id, text, expires_at):
                """Keep a new record, and return True; False if the id is taken."""
                {NOT_YET}

            def replace(self, session_id, old, new, expires_at):
                """Put new in the place of old, and return True; False if it isn't old, or gone."""
                {NOT_YET}

            def touch(self, session_id, expires_at):
                """Move the end of a record, and return True; False if it is gone."""
                {NOT_YET}

            def destroy(self, session_id):
                """Forget the record; gone already is fine."""
                {NOT_YET}
'''

EXPIRING_STORE = Exercise(
    "ExpiringStore",
    kind="write the part",
    shape="class",
    task="Write ExpiringStore: the five methods of a store, over a dict.",
    starter=f'''
        class ExpiringStore:
            """Keeps records in a dict, each until its expires_at: the first instant without it."""

            def __init__(self, now):
                """now() returns the time: Unix time in seconds, as expires_at is."""
                {NOT_YET}
        {_METHODS}
    ''',
    answer=MemoryStore,
    hints=[
        "One dict from ids to Records, one lock, and now, all kept by __init__.",
        "If get() says None for what has ended, the other methods can ask get() first.",
        "In which of the methods do you look, and then act upon what you saw? Those take the lock.",
        "threading.Lock lets a thread in once: a method that holds it can't call one that takes it "
        "again. get() needs none.",
    ],
)


@EXPIRING_STORE.rule(
    "what was created comes back as a Record, and an unknown id is None",
    why="An id of which nobody knows is an everyday thing: a visitor who was away for long.",
    hint="Record(text, expires_at) of sessionlab; and what does dict.get do?",
)
def _created(make: Make) -> None:
    _ask_what_was_created(make)


@EXPIRING_STORE.rule(
    "create never writes over a record that is alive",
    why="Two visitors under one id: the second would be logged in as the first, or log him out.",
    hint="Look before you write, and say False.",
)
def _taken(make: Make) -> None:
    clock = Clock()
    store, later = make(clock), clock() + _HOUR
    store.create("ada", _TEXT, later)
    _ask(store.create, "ada", '{"cookie":{}}', later, gives=False, when=", which is taken")
    _ask(store.get, "ada", gives=Record(_TEXT, later))


@EXPIRING_STORE.rule(
    "at its expires_at a record is gone, for all of the methods",
    why="A touch that comes too late must not bring back who has been logged out by the clock.",
    hint="expires_at is the first instant without it: < or <=? And which clock do you ask?",
)
def _ends(make: Make) -> None:
    _ask_at_the_end(make)


@EXPIRING_STORE.rule(
    "replace refuses when the text is no longer the old one",
    why="Somebody wrote in between; to write over it unseen is to lose it.",
    hint="What is the argument old good for?",
)
def _compares(make: Make) -> None:
    clock = Clock()
    store, later = make(clock), clock() + _HOUR
    store.create("ada", _TEXT, later)
    _ask(store.replace, "ada", "{}", _WRITTEN, later, gives=False, when=", where old is not there")
    _ask(store.get, "ada", gives=Record(_TEXT, later))
    _ask(store.replace, "ada", _TEXT, _WRITTEN, later + 5, gives=True)
    _ask(store.get, "ada", gives=Record(_WRITTEN, later + 5))


@EXPIRING_STORE.rule(
    "a logout is final, also for a request that was under way",
    why="She logs out and leaves the library; a slow page of hers must not log her in again.",
    hint="What do touch and replace do with an id that is not there? And a second destroy?",
)
def _logout(make: Make) -> None:
    _ask_after_logout(make)


@EXPIRING_STORE.rule(
    "of two that replace the same text at once, one wins",
    why="Between a look and a write another thread has its turn; both are told that they won.",
    hint="To compare and to write has to be one step: with a lock around both.",
)
def _one_wins(make: Make) -> None:
    _ask_two_at_once(make)


@EXPIRING_STORE.rule(
    "it keeps every promise of StoreContract",
    why="Whoever uses a store relies on all of them, and on nothing else.",
    hint="contract(ExpiringStore) of sessionlab.lab shows all seventeen, and which are kept.",
)
def _promises(make: Make) -> None:
    _ask_contract(make)


class SQLStore:
    """Keeps records in a table of one SQLite file. Each method is one statement."""

    def __init__(self, path: str, now: Now) -> None:
        self._path, self._now = path, now
        self._run(
            "CREATE TABLE IF NOT EXISTS sessions (sid TEXT PRIMARY KEY, sess TEXT, expires_at REAL)"
        )

    def _run(self, statement: str, *values: object) -> tuple[int, list[tuple[str, float]]]:
        # A connection belongs to one thread; this one is there for one statement, and commits it.
        try:
            with closing(sqlite3.connect(self._path)) as connection, connection:
                cursor = connection.execute(statement, values)
                return cursor.rowcount, cursor.fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"SQLite: {error}") from error

    def get(self, session_id: str) -> Record | None:
        select = "SELECT sess, expires_at FROM sessions WHERE sid = ? AND expires_at > ?"
        rows = self._run(select, session_id, self._now())[1]
        return Record(*rows[0]) if rows else None

    def create(self, session_id: str, text: str, expires_at: float) -> bool:
        insert = """
            INSERT INTO sessions VALUES (?, ?, ?) ON CONFLICT (sid) DO UPDATE
            SET sess = excluded.sess, expires_at = excluded.expires_at
            WHERE sessions.expires_at <= ?"""
        return self._run(insert, session_id, text, expires_at, self._now())[0] == 1

    def replace(self, session_id: str, old: str, new: str, expires_at: float) -> bool:
        update = """
            UPDATE sessions SET sess = ?, expires_at = ?
            WHERE sid = ? AND sess = ? AND expires_at > ?"""
        return self._run(update, new, expires_at, session_id, old, self._now())[0] == 1

    def touch(self, session_id: str, expires_at: float) -> bool:
        update = "UPDATE sessions SET expires_at = ? WHERE sid = ? AND expires_at > ?"
        return self._run(update, expires_at, session_id, self._now())[0] == 1

    def destroy(self, session_id: str) -> None:
        self._run("DELETE FROM sessions WHERE sid = ?", session_id)


SQL_STORE = Exercise(
    "SQLStore",
    kind="write the part",
    shape="class",
    task="Write SQLStore: the five methods of a store, in a file, with sqlite3.",
    starter=f'''
        class SQLStore:
            """Keeps records in one SQLite file, which outlives the program."""

            def __init__(self, path, now):
                """Make the table, unless the file has it; now() returns Unix time in seconds."""
                {NOT_YET}
        {_METHODS}
    ''',
    answer=SQLStore,
    hints=[
        "One table: id, text, expires_at. CREATE TABLE IF NOT EXISTS leaves one that is there.",
        "A connection belongs to the thread that opened it. To open one in each method is slow and "
        "right; `with closing(sqlite3.connect(path)) as connection, connection:` commits, too.",
        "A ? in the statement stands for a value of the tuple that follows it.",
        "UPDATE … WHERE sid = ? AND sess = ? compares and writes in one step; its cursor's "
        "rowcount says whether it did.",
        "INSERT … ON CONFLICT (sid) DO UPDATE SET … WHERE sessions.expires_at <= ? takes the place "
        "of a record that has ended, and of no other.",
    ],
)


@contextmanager
def _files(make_on_disk: MakeOnDisk) -> Iterator[Make]:
    """A function that makes stores, each in a file of its own."""
    numbers = count(1)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield lambda now: make_on_disk(os.path.join(folder, f"{next(numbers)}.db"), now)


@SQL_STORE.rule(
    "what was created comes back as a Record, and an unknown id is None",
    why="The middleware asks record.text and record.expires_at; a row of SQLite has no names.",
    hint="fetchone() returns a tuple, or None: Record(*row) of sessionlab, but not of None.",
)
def _created_on_disk(make_on_disk: MakeOnDisk) -> None:
    with _files(make_on_disk) as make:
        _ask_what_was_created(make)


@SQL_STORE.rule(
    "it is there when the file is opened again",
    why="Else each restart of the server logs everybody out: a dict can do that, too.",
    hint="Who commits? And what does __init__ do to a file that has the table?",
)
def _opened_again(make_on_disk: MakeOnDisk) -> None:
    clock = Clock()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path, later = os.path.join(folder, "sessions.db"), clock() + _HOUR
        first = make_on_disk(path, clock)
        first.create("ada", _TEXT, later)
        first.create("bob", _TEXT, later)
        first.destroy("bob")
        again, when = make_on_disk(path, clock), ", from a second SQLStore with the same path"
        _ask(again.get, "ada", gives=Record(_TEXT, later), when=when)
        _ask(again.get, "bob", gives=None, when=when)


@SQL_STORE.rule(
    "a real server can use it, in each of its threads, and a logout is final",
    why="A server answers each request in a thread of its own, several at once.",
    hint="In which thread was the connection opened? And INSERT OR REPLACE: what if it was gone?",
)
def _in_a_server(make_on_disk: MakeOnDisk) -> None:
    with _files(make_on_disk) as make:
        clock = Clock()
        store, later = make(clock), clock() + _HOUR
        when = ", in another thread than __init__"

        def in_another_thread() -> None:
            _ask(store.create, "ada", _TEXT, later, gives=True, when=when, errors=_SQL_ERRORS)

        race(in_another_thread)
        _ask_after_logout(make)


@SQL_STORE.rule(
    "at its expires_at a record is gone, for all of the methods",
    why="A touch that comes too late must not bring back who has been logged out by the clock.",
    hint="expires_at is the first instant without it; which of the statements look at it?",
)
def _ends_on_disk(make_on_disk: MakeOnDisk) -> None:
    with _files(make_on_disk) as make:
        _ask_at_the_end(make)


@SQL_STORE.rule(
    "ids and texts are parameters: nothing that a visitor writes becomes SQL",
    why="One quote in it, and a visitor reads, or deletes, the sessions of all the others.",
    hint="execute() takes the values apart from the statement; what stands for them in it?",
)
def _parameters(make_on_disk: MakeOnDisk) -> None:
    with _files(make_on_disk) as make:
        clock = Clock()
        store, later = make(clock), clock() + _HOUR
        store.create("ada", _TEXT, later)
        for quote in "'\"":
            nobody = f"x{quote} OR {quote}a{quote}={quote}a"
            _ask(store.get, nobody, gives=None, errors=_SQL_ERRORS)
            _ask(store.touch, nobody, later, gives=False, errors=_SQL_ERRORS)
            _ask(store.destroy, nobody, gives=None, errors=_SQL_ERRORS)
            _ask(store.get, "ada", gives=Record(_TEXT, later), errors=_SQL_ERRORS)
        text = '{"cookie":{},"user":"O\'Hara"}'
        _ask(store.create, "o'hara", text, later, gives=True, errors=_SQL_ERRORS)
        _ask(store.replace, "o'hara", text, text + " ", later, gives=True, errors=_SQL_ERRORS)
        _ask(store.get, "o'hara", gives=Record(text + " ", later), errors=_SQL_ERRORS)


@SQL_STORE.rule(
    "of two that replace the same text at once, one wins",
    why="Between a SELECT and an UPDATE another process has its turn; both are told they won.",
    hint="What an UPDATE changes, its WHERE can compare; then it is one step.",
)
def _one_wins_on_disk(make_on_disk: MakeOnDisk) -> None:
    with _files(make_on_disk) as make:
        _ask_two_at_once(make)


@SQL_STORE.rule(
    "it keeps every promise of StoreContract",
    why="Whoever uses a store relies on all of them, and on nothing else.",
    hint="Which words of SQL overwrite, and which take a and A for the same?",
)
def _promises_on_disk(make_on_disk: MakeOnDisk) -> None:
    with _files(make_on_disk) as make:
        _ask_contract(make)


class ReadersStore(MemoryStore):
    """Nothing is left to do: ``expires_at`` says when a record ends; no store reads its text."""


READERS_STORE = Exercise(
    "ReadersStore",
    kind="find the bug",
    shape="class",
    task="Mend ReadersStore: who reads for half an hour is logged out; who writes now and then is "
    "not.",
    starter='''
        class ReadersStore(MemoryStore):
            """A MemoryStore that also knows when the cookie of a session has ended."""

            def __init__(self, now):
                super().__init__(now)
                self.now = now

            def get(self, session_id):
                """Return the record; None for an id that is unknown or has ended."""
                record = super().get(session_id)
                if record is None:
                    return None
                cookie, data = decode_record(record.text)
                if cookie.get("expires"):
                    ends = datetime.fromisoformat(cookie["expires"])
                    if ends.timestamp() <= self.now():
                        return None
                return record
    ''',
    answer=ReadersStore,
    hints=[
        "What does the server ask the store to do for a visitor who only reads?",
        "A record's end stands in two places. Which of the two does touch() move?",
        "The text belongs to the application. A store that doesn't read it can't be misled by it.",
    ],
)


@READERS_STORE.rule(
    "who reads stays logged in",
    why="touch() moves expires_at alone: Express's Redis store leaves the text as it was, too.",
    hint="Compare record.expires_at with the expires in record.text, after an hour of reading.",
)
def _reads(make: Make) -> None:
    clock = Clock()
    cookie = CookieOptions(max_age=1800)
    app = Bottle()
    app.get("/login", callback=lambda: request.session.update(user="Ada"))
    app.get("/", callback=lambda: f"Hello {request.session.get('user', 'nobody')}")
    application = SessionMiddleware(app, _SECRET, store=make(clock), cookie=cookie, now=clock)
    with running(application) as new_browser:
        ada = new_browser()
        ada.get("/login")
        for minutes in range(10, 130, 10):
            clock.advance(600)
            said = ada.get("/").text
            if said != "Hello Ada":
                went_in = f"GET /login; GET / every 10 minutes, {minutes} minutes long"
                raise Wrong(went_in, came_out=said, expected="Hello Ada")


def _dated(end: str) -> str:
    return f'{{"cookie":{{"originalMaxAge":60000,"expires":"{end}"}},"user":"Ada"}}'


_IN_A_MINUTE = _dated("2096-10-02T07:07:40.000Z")


@READERS_STORE.rule(
    "who does nothing is logged out at the end of the time",
    why="A session that never ends is there for whoever finds the cookie.",
    hint="MemoryStore's own get() has looked at the clock already.",
)
def _idle(make: Make) -> None:
    clock = Clock()
    store, end = make(clock), clock() + 60
    store.create("ada", _IN_A_MINUTE, end)
    clock.advance(59)
    _ask(store.get, "ada", gives=Record(_IN_A_MINUTE, end), when=", a second before its end")
    clock.advance(1)
    _ask(store.get, "ada", gives=None, when=", at its expires_at")


@READERS_STORE.rule(
    "touch leaves the text as it is",
    why="A request under way names the text that it has read; were it another one now, its change "
    "would be refused.",
    hint="Two places can disagree. Rather than write both, which one is not needed?",
)
def _text_stays(make: Make) -> None:
    clock = Clock()
    store, later = make(clock), clock() + _HOUR
    store.create("ada", _IN_A_MINUTE, clock() + 60)
    _ask(store.touch, "ada", later, gives=True)
    _ask(store.get, "ada", gives=Record(_IN_A_MINUTE, later), when=f", after touch to {later}")


@READERS_STORE.rule(
    "it keeps every promise of StoreContract, whatever the text is",
    why="A text that is no session must be kept, too: to move a session to another id, the library "
    "writes 'null' in its old place.",
    hint="What did the store want with the text?",
)
def _any_text(make: Make) -> None:
    clock = Clock()
    store, later = make(clock), clock() + _HOUR
    store.create("ada", "null", later)
    _ask(store.get, "ada", gives=Record("null", later), errors=(Exception,))
    _ask_contract(make)


EXERCISES = [EXPIRING_STORE, SQL_STORE, READERS_STORE]
