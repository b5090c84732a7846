"""Measure what a session adds to the cost of one request, here and in four other libraries.

    python tests/benchmarks/cost_of_a_request.py [--rounds N] [--requests N] [--check]

The rules of this file: each contestant stands in a real application of a framework that it is made
for, and is compared with the same application without sessions, called in the same way, in this
process, without sockets. All keep the same data and run the same handlers. Nothing is timed before
it was seen to work.
"""

import argparse
import gc
import json
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from operator import attrgetter, methodcaller
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults

sys.path.insert(0, str(Path(__file__).parents[2]))  # this checkout, not an installed version

import beaker.middleware
import bottle
import flask
import starlette.middleware.sessions
import starsessions
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import sessionlab

Application = Callable[..., Any]
Views = dict[str, Callable[[Any], str]]
Answer = tuple[Any, list[tuple[Any, Any]], bytes]  # status, headers and body
Costs = dict[tuple[str, str], float]  # by library and kind of request, in microseconds

SECRET = "a secret of forty bytes, for this alone."
DATA = {"name": "John Doe", "email": "john@example.org", "views": 100_000, "cart": ["tea", "jam"]}
NUMBERS = count(100_001)  # each write has a value of its own, and all are equally long
NEIGHBOUR = "_ga=GA1.1.1234567890.1700000000"
KINDS = {  # the path that is asked for, and whether the cookie of a session comes along
    "read": ("/read", True),
    "write": ("/write", True),
    "new": ("/write", False),
    "untouched": ("/untouched", True),
}

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
    """Return a Flask application; without a secret it has no sessions."""
    app = flask.Flask(__name__)
    app.secret_key = secret
    for path, view in views.items():
        app.add_url_rule(path, path, partial(view, flask.request))
    return app


def starlette_app(
    views: Views, load: Callable[[Request], Awaitable[None]] | None = None
) -> Application:
    """Return a Starlette application; ``load`` is awaited before a view that needs a session."""

    def route(path: str, view: Callable[[Any], str]) -> Route:
        async def endpoint(request: Request) -> PlainTextResponse:
            if load is not None and path != "/untouched":
                await load(request)
            return PlainTextResponse(view(request))

        return Route(path, endpoint)

    return Starlette(routes=[route(path, view) for path, view in views.items()])


# One request, without a server.


def call_wsgi(app: Application, path: str, cookies: str) -> Answer:
    """Return the answer of a WSGI application."""
    head: list[Any] = []
    environ = {**ENVIRON, "PATH_INFO": path, "HTTP_COOKIE": cookies}
    body = app(environ, lambda *arguments: head.extend(arguments))
    return head[0], head[1], b"".join(body)


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

# The contestants.


class Contestant(NamedTuple):
    """A library in an application, and the same application without sessions."""

    name: str
    call: Callable[[Application, str, str], Answer]
    bare: Application
    app: Application


def contestants(folder: str) -> list[Contestant]:
    """Return the contestants, each with its own defaults and, if it signs, the same secret.

    ``folder`` is for those that keep files.
    """
    plain = dict(DATA)
    bare = make_views(lambda request: plain)
    views = make_views(attrgetter("session"))
    beakers = make_views(lambda request: request.environ["beaker.session"], methodcaller("save"))
    flasks = make_views(lambda request: flask.session)

    ours = sessionlab.SessionMiddleware(bottle_app(views), SECRET)
    file = sessionlab.SQLiteStore(Path(folder) / "sessions.db")
    on_sqlite = sessionlab.SessionMiddleware(bottle_app(views), SECRET, store=file)
    # Records in memory, the id signed. Each read saves the time of access: Beaker's default.
    beaker_app = beaker.middleware.SessionMiddleware(bottle_app(beakers), secret=SECRET)
    files = {"secret": SECRET, "type": "file", "data_dir": folder}
    beaker_files = beaker.middleware.SessionMiddleware(bottle_app(beakers), **files)
    # The data itself in a signed cookie; so it is with Flask.
    signed = starlette.middleware.sessions.SessionMiddleware(starlette_app(views), SECRET)
    # Records in memory, the id unsigned. To load where it is needed is cheaper than autoload.
    loaded = starlette_app(views, starsessions.load_session)
    starsession = starsessions.SessionMiddleware(loaded, starsessions.InMemoryStore())
    return [
        Contestant("sessionlab", call_wsgi, bottle_app(bare), ours),
        Contestant("Beaker", call_wsgi, bottle_app(bare), beaker_app),
        Contestant("Starlette", call_asgi, starlette_app(bare), signed),
        Contestant("starsessions", call_asgi, starlette_app(bare), starsession),
        Contestant("Flask", call_wsgi, flask_app(bare), flask_app(flasks, SECRET)),
        Contestant("on SQLite", call_wsgi, bottle_app(bare), on_sqlite),
        Contestant("Beaker's files", call_wsgi, bottle_app(bare), beaker_files),
    ]


def prove(contestant: Contestant) -> str:
    """Return the ``Cookie`` header of a session that holds ``DATA``, after all was seen to work."""

    def ask(path: str, cookies: str, app: Application = contestant.app) -> tuple[str, str]:
        # The body, and the cookies with which the browser comes next.
        status, headers, body = contestant.call(app, path, cookies)
        assert str(status).startswith("200"), (contestant.name, path, status)
        for header in headers:
            name, value = (text if isinstance(text, str) else text.decode() for text in header)
            if name.lower() == "set-cookie":
                cookies = f"{NEIGHBOUR}; {value.split(';')[0]}"
        return body.decode(), cookies

    def look(cookies: str) -> Any:
        return json.loads(ask("/look", cookies)[0])

    _, cookies = ask("/fill", NEIGHBOUR)
    forged = cookies[:-10] + ("x" if cookies[-10] != "x" else "y") + cookies[-9:]
    assert look(cookies) == DATA
    assert look(NEIGHBOUR) == look(forged) == {}
    assert ask("/read", cookies)[0] == DATA["name"]
    views, later = ask("/write", cookies)
    assert look(later) == DATA | {"views": int(views)}
    views, newcomer = ask("/write", NEIGHBOUR)
    assert newcomer not in (NEIGHBOUR, cookies)
    assert look(newcomer) == {"views": int(views)}
    assert ask("/untouched", cookies) == ("Hello", cookies)
    assert ask("/read", NEIGHBOUR, contestant.bare) == (DATA["name"], NEIGHBOUR)
    assert ask("/untouched", NEIGHBOUR, contestant.bare) == ("Hello", NEIGHBOUR)
    return cookies


# The measurement.


def measure(rounds: int, requests: int, folder: str) -> Costs:
    """Return what a session adds to a request.

    In each round all take turns, and each is compared with its bare application of that moment. The
    median of the rounds counts, and not the least: a machine that changes its pace between the two
    spoils a round in either direction.
    """
    field = [(contestant, prove(contestant)) for contestant in contestants(folder)]
    extra: dict[tuple[str, str], list[float]] = defaultdict(list)
    gc.disable()  # or one pays for the garbage of another
    for _ in range(rounds):
        gc.collect()
        for kind, (path, has_session) in KINDS.items():
            for contestant, cookies in field:
                sent = (path, cookies if has_session else NEIGHBOUR)
                bare = time_requests(partial(contestant.call, contestant.bare, *sent), requests)
                full = time_requests(partial(contestant.call, contestant.app, *sent), requests)
                extra[contestant.name, kind].append(full - bare)
    gc.enable()
    return {key: median(differences) for key, differences in extra.items()}


def time_requests(request: Callable[[], Answer], requests: int) -> float:
    """Return the microseconds of processor time for one request; other processes do not count."""
    for _ in range(requests // 4):
        request()  # not timed: after a collection, or after somebody else, the first ones are slow
    start = time.process_time()
    for _ in range(requests):
        request()
    return (time.process_time() - start) / requests * 1e6


def print_table(costs: Costs) -> None:
    """Print the costs, and those of sessionlab as parts of the others'."""
    ours, *peers = dict.fromkeys(name for name, _ in costs)
    print("µs above bare".ljust(30), *(kind.rjust(10) for kind in KINDS))
    for name in (ours, *peers):
        print(name.ljust(30), *(f"{costs[name, kind]:10.1f}" for kind in KINDS))
    print()
    for peer in peers:
        ratios = (costs[ours, kind] / costs[peer, kind] for kind in KINDS)
        print(f"{ours} : {peer}".ljust(30), *(f"{ratio:10.2f}" for ratio in ratios))


def check_goals(costs: Costs) -> bool:
    """Print of each goal whether it is held, and return whether all are."""
    read, on_sqlite = costs["sessionlab", "read"], costs["on SQLite", "read"]
    goals = {
        "read <= Starlette's read": read <= costs["Starlette", "read"],
        "read <= 0.4 of Beaker's read": read <= 0.4 * costs["Beaker", "read"],
        "untouched < 0.5 of our read": costs["sessionlab", "untouched"] < 0.5 * read,
        "on SQLite, read <= 40 µs": on_sqlite <= 40,
        "and <= 0.25 of Beaker's files": on_sqlite <= 0.25 * costs["Beaker's files", "read"],
    }
    for goal, is_held in goals.items():
        print(goal.ljust(30), ("held" if is_held else "missed").rjust(10))
    return all(goals.values())


def main() -> int:
    """Return the exit status: 1 if ``--check`` is given and a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--requests", type=int, default=200, help="of each kind in each round")
    parser.add_argument("--check", action="store_true", help="fail if a goal is missed")
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}; processor time, median of {options.rounds} rounds,"
        f" each of {options.requests} requests\n"
    )
    with TemporaryDirectory() as folder:
        costs = measure(options.rounds, options.requests, folder)
    print_table(costs)
    print()
    are_held = check_goals(costs)
    return 1 if options.check and not are_held else 0


if __name__ == "__main__":
    sys.exit(main())
