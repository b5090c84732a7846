"""The applications that the benchmarks call: the same handlers in four frameworks, and one call.

The rules of this file: it knows no session library. Whoever wants one puts it around an
application, or says how a handler finds its session.
"""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any
from wsgiref.util import setup_testing_defaults

import bottle

Application = Callable[..., Any]
Views = dict[str, Callable[[Any], str]]
Answer = tuple[Any, list[tuple[Any, Any]], bytes]  # status, headers and body

SECRET = "a secret of forty bytes, for this alone."
DATA = {"name": "John Doe", "email": "john@example.org", "views": 100_000, "cart": ["tea", "jam"]}
NUMBERS = count(100_001)  # each write has a value of its own, and all are equally long
NEIGHBOUR = "_ga=GA1.1.1234567890.1700000000"

# The handlers, and the frameworks they run in.


def make_views(
    session_of: Callable[[Any], Any], keep: Callable[[Any], object] = lambda session: None
) -> Views:
    """Return the handlers; ``session_of`` finds the session, ``keep`` is called after a change."""

    def read(request: Any) -> str:
        return str(session_of(request)["name"])

    def write(request: Any) -> str:
        session = session_of(request)
        session["views"] = views = next(NUMBERS)
        keep(session)
        return str(views)

    def untouched(request: Any) -> str:
        return "Hello"

    def fill(request: Any) -> str:
        session = session_of(request)
        session.update(DATA)
        keep(session)
        return "filled"

    def look(request: Any) -> str:
        session = session_of(request)
        return json.dumps({key: session[key] for key in DATA if key in session})

    return {f"/{view.__name__}": view for view in (read, write, untouched, fill, look)}


def bottle_app(views: Views) -> Application:
    """Return a Bottle application; its sessions, if any, are a middleware's."""
    app = bottle.Bottle()
    for path, view in views.items():
        app.route(path, callback=partial(view, bottle.request))
    return app


def flask_app(views: Views, secret: str | None = None) -> Application:
    """Return a Flask application; without a secret it has no sessions of its own."""
    import flask

    app = flask.Flask(__name__)
    app.secret_key = secret
    for path, view in views.items():
        app.add_url_rule(path, path, partial(view, flask.request))
    return app


def django_apps(views: Views) -> tuple[Application, Application]:
    """Return a Django application without sessions, and one with those in its cache in memory.

    Its settings are the process's, so that both have the same views.
    """
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.urls import path

    def page(view: Callable[[Any], str]) -> Callable[[Any], Any]:
        return lambda request: HttpResponse(view(request))

    pages = [path(name.strip("/"), page(view)) for name, view in views.items()]
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=type("urls", (), {"urlpatterns": pages}),
        CACHES={"default": {**memory, "OPTIONS": {"MAX_ENTRIES": 1_000_000}}},
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        LOGGING_CONFIG=None,
    )
    django.setup()
    bare = WSGIHandler()
    settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
    return bare, WSGIHandler()


def starlette_app(
    views: Views, load: Callable[[Any], Awaitable[None]] | None = None
) -> Application:
    """Return a Starlette application; ``load`` is awaited before a view that needs a session."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    def route(path: str, view: Callable[[Any], str]) -> Route:
        async def endpoint(request: Any) -> PlainTextResponse:
            if load is not None and path != "/untouched":
                await load(request)
            return PlainTextResponse(view(request))

        return Route(path, endpoint)

    return Starlette(routes=[route(path, view) for path, view in views.items()])


def find_node_with_express() -> str:
    """Return the path of Node, Express installed for it.

    Raises: ``OSError`` or ``ImportError`` that says what is missing.
    """
    import pytest
    from node import find_node

    try:
        return find_node()
    except pytest.skip.Exception as reason:
        raise OSError(reason) from None


# One request, without a server.


def call_wsgi(app: Application, path: str, cookies: str) -> Answer:
    """Return the answer of a WSGI application."""
    head: list[Any] = []
    environ = {**ENVIRON, "PATH_INFO": path, "HTTP_COOKIE": cookies}
    body = app(environ, lambda *arguments: head.extend(arguments))
    content = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return head[0], head[1], content


def call_asgi(app: Application, path: str, cookies: str) -> Answer:
    """Return the answer of an ASGI application, which needs no event loop as it never waits."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {**SCOPE, "path": path, "headers": [*HEADERS, (b"cookie", cookies.encode())]}
    try:
        app(scope, None, send).send(None)
    except StopIteration:
        start, *parts = messages
        return start["status"], start["headers"], b"".join(part["body"] for part in parts)
    raise AssertionError("the application waits for something")


BROWSER = {
    "host": "localhost",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en-US,en;q=0.5",
}
HEADERS = [(name.encode(), value.encode()) for name, value in BROWSER.items()]
SCOPE = {"type": "http", "method": "GET", "scheme": "http", "root_path": "", "query_string": b""}
ENVIRON = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in BROWSER.items()}
setup_testing_defaults(ENVIRON)
