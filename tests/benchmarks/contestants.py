"""One small application, the same behind each session library, for ``peers.py``.

The rules of this file: a library is imported when its class is made, so that nobody needs them all;
each has its defaults, but for a store of its own kind that can really fail; and an adapter says how
the library is spoken to, never what it is expected to do.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from wsgiref.util import setup_testing_defaults

from benchmarks.applications import SECRET, find_node_with_express

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
NAIVE = WHEN.replace(tzinfo=None)
_LONGEST_WAIT = 10  # seconds, for a library that lets a session's requests wait for each other

Headers = list[tuple[str, str]]


class Request(NamedTuple):
    """What the server gets."""

    path: str
    cookies: str
    scheme: str = "http"


class Answer(NamedTuple):
    """What the client gets; an application that raises is a 500, as under any server."""

    status: int
    headers: Headers
    body: bytes


OnFirstByte = Callable[[Headers], None] | None
Send = Callable[[Request, OnFirstByte], Answer]


class Peer:
    """A library with the application; subclasses say how it is spoken to."""

    name: ClassVar[str]
    package: ClassVar[str]
    store: ClassVar[str]
    best_way: ClassVar[str] = "it has no call for it"
    """What it has for a counter that several requests raise."""
    otherwise: ClassVar[dict[str, dict[str, Any]]] = {}
    """Settings with which some answers are others: how to say it, and arguments for the class."""
    app: Any

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meanwhile: Callable[[], object] | None = None  # what happens amid the next request
        self.trouble: Exception | None = None

    @classmethod
    def version(cls) -> str:
        return version(cls.package)

    # What a library does, each in its own words.

    def session(self, request: Any) -> Any:
        raise NotImplementedError

    def keep(self, request: Any) -> None:
        """Say that the session was changed, where one has to."""

    def logout(self, request: Any) -> None:
        self.session(request).clear()

    login: Callable[[Any], None] | None = None
    """Give the session a new id; None where the library has no such call."""

    def increment(self, request: Any) -> None:
        session = self.session(request)
        count = session.get("count", 0)
        self.pause()
        session["count"] = count + 1
        self.keep(request)

    def cookie_only(self) -> "Peer":
        """Return this library as it works without a store, if it can."""
        return self

    def asgi(self) -> Any:
        """Return what is to be tried as an ASGI application."""
        return self.app

    # The store's failure, and the end.

    has_store = True

    def break_store(self) -> None:
        """Let the store fail from now on."""

    def mend_store(self) -> None:
        """Let it work again, with what it held."""

    def close(self) -> None:
        """Give back what was opened."""

    # The application.

    def send(self, request: Request, on_first_byte: OnFirstByte) -> Answer:
        raise NotImplementedError

    def serve(self, path: str, request: Any) -> bytes:
        return json.dumps(getattr(self, "do_" + path.strip("/"))(request)).encode()

    def do_fill(self, request: Any) -> None:
        session = self.session(request)
        session["name"], session["cart"] = "Ada", {"tea": 1}
        self.keep(request)

    def do_read(self, request: Any) -> dict[str, Any]:
        session = self.session(request)
        keys = ("name", "cart", "slow", "fast", "count")
        found = {key: session[key] for key in keys if key in session}
        return found | {"is_date": "when" in session and session["when"] in (WHEN, NAIVE)}

    def do_fast(self, request: Any) -> None:
        self.session(request)["fast"] = 1
        self.keep(request)

    def do_slow(self, request: Any) -> None:
        session = self.session(request)
        session.get("name")
        self.pause()
        session["slow"] = 1
        self.keep(request)

    def do_linger(self, request: Any) -> None:
        self.session(request).get("name")
        self.pause()

    def do_count(self, request: Any) -> None:
        self.increment(request)

    def do_nest(self, request: Any) -> None:
        self.session(request)["cart"]["tea"] = 2

    def do_date(self, request: Any) -> None:
        self.session(request)["when"] = WHEN
        self.keep(request)

    def do_naive_date(self, request: Any) -> None:
        self.session(request)["when"] = NAIVE
        self.keep(request)

    def do_logout(self, request: Any) -> None:
        self.logout(request)

    def do_login(self, request: Any) -> None:
        assert self.login is not None
        self.login(request)
        self.session(request)["name"] = "Ada"
        self.keep(request)

    def pause(self) -> None:
        """Let happen what is to happen amid this request, once."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            self.aside(meanwhile)

    def aside(self, act: Callable[[], object]) -> None:
        """Act in another thread, as another request does; the row learns of what it raises."""
        executor = ThreadPoolExecutor(1)
        try:
            executor.submit(act).result(_LONGEST_WAIT)
        except TimeoutError:
            self.trouble = TimeoutError("requests of one session wait for each other")
        except Exception as error:
            self.trouble = error
        finally:
            executor.shutdown(wait=False)


# Stores that fail.


class Folder(Peer):
    """Keeps its records in a folder, which fails by becoming a file."""

    @property
    def records(self) -> Path:
        return self.folder / "records"

    def break_store(self) -> None:
        if self.records.exists():
            self.records.rename(self.folder / "away")
        self.records.touch()

    def mend_store(self) -> None:
        self.records.unlink()
        if (self.folder / "away").exists():
            (self.folder / "away").rename(self.records)


class Database(Peer):
    """Keeps its records in a table of SQLite, which fails by losing its name."""

    table: ClassVar[str]

    @property
    def file(self) -> Path:
        return self.folder / "sessions.db"

    def break_store(self) -> None:
        self._rename(self.table, "away")

    def mend_store(self) -> None:
        self._rename("away", self.table)

    def _rename(self, old: str, new: str) -> None:
        with closing(sqlite3.connect(self.file)) as connection:
            connection.execute(f"ALTER TABLE {old} RENAME TO {new}")


# The two ways to call an application, without sockets.


def send_wsgi(app: Any, request: Request, on_first_byte: OnFirstByte) -> Answer:
    """Return the answer; ``on_first_byte`` gets the headers when the first byte may leave."""
    head: list[Any] = []
    parts: list[bytes] = []
    environ = {"PATH_INFO": request.path, "wsgi.url_scheme": request.scheme}
    setup_testing_defaults(environ)
    if request.cookies:
        environ["HTTP_COOKIE"] = request.cookies

    def write(chunk: bytes) -> None:
        if chunk and not parts and on_first_byte:
            on_first_byte(head[1])
        parts.append(chunk)

    def start_response(status: str, headers: Headers, exc_info: Any = None) -> Any:
        head[:] = status, headers
        return write

    try:
        _write_all(app(environ, start_response), write)
    except Exception as error:
        return Answer(500, [], repr(error).encode())
    return Answer(int(head[0][:3]), head[1], b"".join(parts))


def _write_all(body: Any, write: Callable[[bytes], None]) -> None:
    try:
        for chunk in body:
            write(chunk)
    finally:
        if hasattr(body, "close"):
            body.close()


def send_asgi(app: Any, request: Request, on_first_byte: OnFirstByte) -> Answer:
    """Return the answer; ``on_first_byte`` gets the headers when the first byte leaves.

    Raises: ``TypeError`` for what is no ASGI application.
    """
    sent: list[Any] = []
    told = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return told.pop() if told else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        is_first = message.get("body") and not any(part.get("body") for part in sent)
        if is_first and on_first_byte:
            on_first_byte(_headers(sent))
        sent.append(message)

    call = app(_scope(request), receive, send)
    try:
        asyncio.run(call)
    except Exception as error:
        if not sent:
            return Answer(500, [], repr(error).encode())
    body = b"".join(part.get("body", b"") for part in sent)
    return Answer(sent[0]["status"], _headers(sent), body)


def _scope(request: Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"cookie", request.cookies.encode())],
        "server": ("localhost", 80),
    }


def _headers(sent: list[Any]) -> Headers:
    return [(name.decode(), value.decode("latin-1")) for name, value in sent[0]["headers"]]


class WSGIPeer(Peer):
    """A library for WSGI; its application need be no framework's."""

    def send(self, request: Request, on_first_byte: OnFirstByte) -> Answer:
        return send_wsgi(self.app, request, on_first_byte)

    def wsgi(self, environ: Any, start_response: Any) -> list[bytes]:
        body = self.serve(environ["PATH_INFO"], environ)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [body]


class StarlettePeer(Peer):
    """A library for Starlette."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from starlette.applications import Starlette
        from starlette.routing import Route

        self.bare = Starlette(routes=[Route("/{path:path}", self.endpoint)])

    def send(self, request: Request, on_first_byte: OnFirstByte) -> Answer:
        return send_asgi(self.app, request, on_first_byte)

    async def endpoint(self, request: Any) -> Any:
        from starlette.responses import Response

        await self.load(request)
        return Response(self.serve(request.url.path, request))

    async def load(self, request: Any) -> None:
        """Load the session, where one has to."""

    def session(self, request: Any) -> Any:
        return request.session


# The contestants.


class Sessionlab(WSGIPeer, Database):
    """This library, with records in SQLite."""

    name = package = "sessionlab"
    store = "SQLiteStore"
    best_way = "with session.atomic()"
    table = "sessions"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import sessionlab

        self.records = sessionlab.SQLiteStore(self.file)
        self.app = sessionlab.SessionMiddleware(self.wsgi, SECRET, store=self.records)

    def session(self, request: Any) -> Any:
        return request["sessionlab.session"]

    def logout(self, request: Any) -> None:
        self.session(request).destroy()

    def login(self, request: Any) -> None:
        self.session(request).regenerate(keep_data=True)

    def increment(self, request: Any) -> None:
        def add_one(data: dict[str, Any]) -> None:
            count = data.get("count", 0)
            self.pause()
            data["count"] = count + 1

        self.session(request).atomic(add_one)

    def close(self) -> None:
        self.records.close()


class Beaker(WSGIPeer, Folder):
    """Beaker, with records in files."""

    name = package = "Beaker"
    store = "files"
    best_way = "with lock(), under which its load() raises LockError"
    otherwise: ClassVar = {"with save_accessed_time=False": {"save_accessed_time": False}}

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder)
        from beaker.middleware import SessionMiddleware

        files = {"type": "file", "data_dir": str(self.records), "secret": SECRET}
        self.app = SessionMiddleware(self.wsgi, **(files | options))

    def session(self, request: Any) -> Any:
        return request["beaker.session"]

    def keep(self, request: Any) -> None:
        self.session(request).save()

    def logout(self, request: Any) -> None:
        self.session(request).delete()

    def login(self, request: Any) -> None:
        self.session(request).regenerate_id()

    def increment(self, request: Any) -> None:
        from beaker.exceptions import LockError

        session = self.session(request)
        self.pause()
        session.lock()
        try:
            with suppress(LockError):
                session.load()
            session["count"] = session.get("count", 0) + 1
            session.save()
        finally:
            session.unlock()

    def cookie_only(self) -> Peer:
        return Beaker(self.folder, type="cookie", validate_key=SECRET)


class FlaskPeer(WSGIPeer):
    """Flask-Session; its two stores differ in more than speed."""

    package = "Flask-Session"
    otherwise: ClassVar = {
        "with SESSION_REFRESH_EACH_REQUEST=False": {"SESSION_REFRESH_EACH_REQUEST": False}
    }

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder)
        import flask
        import flask_session

        self.app = flask.Flask(__name__)
        self.configure(self.app)
        self.app.config.update(options)
        flask_session.Session(self.app)
        self.app.add_url_rule("/<path>", "page", lambda path: self.serve(path, flask.request))

    def configure(self, app: Any) -> None:
        raise NotImplementedError

    def session(self, request: Any) -> Any:
        import flask

        return flask.session

    def login(self, request: Any) -> None:
        self.app.session_interface.regenerate(self.session(request))


class FlaskDatabase(FlaskPeer, Database):
    """Flask-Session, with records in SQLite."""

    name = "Flask-Session, SQL"
    store = "SQLAlchemy (SQLite)"
    table = "sessions"

    def configure(self, app: Any) -> None:
        from flask_sqlalchemy import SQLAlchemy

        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{self.file}"
        self.database = SQLAlchemy(app)
        app.config.update(SESSION_TYPE="sqlalchemy", SESSION_SQLALCHEMY=self.database)

    def close(self) -> None:
        with self.app.app_context():
            self.database.engine.dispose()


class FlaskFiles(FlaskPeer, Folder):
    """Flask-Session, with records in files."""

    name = "Flask-Session, files"
    store = "cachelib's FileSystemCache"

    def configure(self, app: Any) -> None:
        from cachelib.file import FileSystemCache

        files = FileSystemCache(str(self.records))
        app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=files)


class Django(WSGIPeer, Database):
    """Django, with records in its database."""

    name = package = "Django"
    store = "db (SQLite)"
    table = "django_session"
    otherwise: ClassVar = {"with SESSION_SAVE_EVERY_REQUEST=True": {"saves_always": True}}

    def __init__(self, folder: Path, engine: str = "db", saves_always: bool = False) -> None:
        super().__init__(folder)
        settings = _configure_django(engine, self.file)
        settings.SESSION_SAVE_EVERY_REQUEST = saves_always
        from django.contrib.sessions.models import Session
        from django.core.handlers.wsgi import WSGIHandler
        from django.db import connection
        from django.http import HttpResponse
        from django.urls import re_path

        def page(request: Any) -> Any:
            return HttpResponse(self.serve(request.path, request))

        settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [re_path("", page)]})
        if not self.file.exists():
            with connection.schema_editor() as editor:
                editor.create_model(Session)
            connection.close()
        self.app = WSGIHandler()

    def session(self, request: Any) -> Any:
        return request.session

    def logout(self, request: Any) -> None:
        request.session.flush()

    def login(self, request: Any) -> None:
        request.session.cycle_key()

    def cookie_only(self) -> Peer:
        return Django(self.folder, engine="signed_cookies")

    def asgi(self) -> Any:
        from django.core.handlers.asgi import ASGIHandler

        return ASGIHandler()


def _configure_django(engine: str, file: Path) -> Any:
    # Its settings are the process's, so each peer takes over those of the one before.
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            SECRET_KEY=SECRET,
            ALLOWED_HOSTS=["*"],
            INSTALLED_APPS=["django.contrib.sessions"],
            MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3"}},
            LOGGING_CONFIG=None,
        )
        django.setup()
    from django.db import connections

    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    connections.databases["default"]["NAME"] = str(file)
    return settings


class StarletteCookies(StarlettePeer):
    """Starlette's own middleware: the data in a signed cookie."""

    name, package = "Starlette", "starlette"
    store = "the cookie alone"
    has_store = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from starlette.middleware.sessions import SessionMiddleware

        self.app = SessionMiddleware(self.bare, SECRET)


class Starsessions(StarlettePeer):
    """starsessions, with records in memory, which fail when they are told to."""

    name = package = "starsessions"
    store = "InMemoryStore"

    def __init__(self, folder: Path, in_cookies: bool = False) -> None:
        super().__init__(folder)
        import starsessions
        from starsessions.stores.cookie import CookieStore

        peer, self.is_down = self, False

        class Memory(starsessions.InMemoryStore):
            async def read(self, *args: Any, **kwargs: Any) -> bytes:
                peer.require_store()
                return await super().read(*args, **kwargs)

            async def write(self, *args: Any, **kwargs: Any) -> str:
                peer.require_store()
                return await super().write(*args, **kwargs)

        store = CookieStore(SECRET) if in_cookies else Memory()
        self.app = starsessions.SessionMiddleware(self.bare, store)

    def require_store(self) -> None:
        if self.is_down:
            raise OSError("the store is down")

    async def load(self, request: Any) -> None:
        import starsessions

        await starsessions.load_session(request)

    def login(self, request: Any) -> None:
        import starsessions

        starsessions.regenerate_session_id(request)

    def cookie_only(self) -> Peer:
        return Starsessions(self.folder, in_cookies=True)

    def break_store(self) -> None:
        self.is_down = True

    def mend_store(self) -> None:
        self.is_down = False


class Express(Peer):
    """express-session, under Node, with its MemoryStore; ``peers.js`` is its application."""

    name = package = "express-session"
    store = "MemoryStore"
    best_way = "with reload() beforehand"
    otherwise: ClassVar = {
        "with a store that stores at once, as its MemoryStore": {"delay": "no"},
        "with resave: true, which is its default, and advised against": {"resave": "yes"},
    }
    pausing = ("/slow", "/linger", "/count")

    def __init__(self, folder: Path, delay: str = "yes", resave: str = "no") -> None:
        super().__init__(folder)
        find_node_with_express()
        from node import Node

        self.node = Node("peers.js", delay, resave)
        self.port = self.node.receive()["port"]

    @classmethod
    def version(cls) -> str:
        from node import FOLDER

        about = FOLDER / "node_modules" / cls.package / "package.json"
        return json.loads(about.read_text())["version"]

    def login(self, request: Any) -> None:
        """Nothing: the other application does it."""

    def asgi(self) -> None:
        """Python's interface."""

    def send(self, request: Request, on_first_byte: OnFirstByte) -> Answer:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            if on_first_byte:
                self.node.ask("hold")
            headers = {"Cookie": request.cookies, "X-Forwarded-Proto": request.scheme}
            connection.request("GET", request.path, headers=headers)
            if request.path in self.pausing:
                assert "paused" in self.node.receive()
                self.pause()
                self.node.ask("go")
            # A save is held until the head, if it was sent, has arrived here.
            is_early = bool(on_first_byte) and self.node.receive()["saving"] == "head sent"
            if on_first_byte and not is_early:
                self.node.ask("go")
            response = connection.getresponse()
            if on_first_byte:
                on_first_byte(response.getheaders())
            if is_early:
                self.node.ask("go")
            return Answer(response.status, response.getheaders(), response.read())

    def break_store(self) -> None:
        self.node.ask("down")

    def mend_store(self) -> None:
        self.node.ask("up")

    def close(self) -> None:
        self.node.__exit__()


CONTESTANTS = (
    Sessionlab,
    Beaker,
    FlaskDatabase,
    FlaskFiles,
    Django,
    StarletteCookies,
    Starsessions,
    Express,
)
