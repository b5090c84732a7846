"""Measure what a session adds to the cost of one request, here and in four other libraries.

    python tests/benchmarks/cost_of_a_request.py [--rounds N] [--requests N] [--draw FILE] [--check]

The rules of this file: each contestant stands in a real application of a framework that it is made
for, and is compared with the same application without sessions, called in the same way, in this
process, without sockets. All keep the same data and run the same handlers. Nothing is timed before
it was seen to work. The floor is what a signed session kept as JSON can't do without, and is timed
in the same rounds.
"""

import argparse
import gc
import hmac
import json
import platform
import sqlite3
import sys
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from operator import attrgetter, methodcaller
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

# This checkout, not an installed version; and the tests' own modules.
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

import beaker.middleware
import flask
import redis
import starlette.middleware.sessions
import starsessions
from benchmarks.applications import (
    DATA,
    NEIGHBOUR,
    SECRET,
    Answer,
    Application,
    bottle_app,
    call_asgi,
    call_wsgi,
    flask_app,
    make_views,
    starlette_app,
)
from benchmarks.drawing import bars

import sessionlab
from sessionlab.lab import NoValkey, Valkey, start_valkey

Costs = dict[tuple[str, str], float]  # by library and kind of request, in microseconds

KINDS = {  # the path that is asked for, and whether the cookie of a session comes along
    "read": ("/read", True),
    "write": ("/write", True),
    "new": ("/write", False),
    "untouched": ("/untouched", True),
}
OURS, ON_SQLITE, ON_REDIS = "sessionlab", "sessionlab, SQLite", "sessionlab, Redis"
FLOORS = {OURS: "floor", ON_SQLITE: "floor, SQLite", ON_REDIS: "floor, Redis"}  # of a read
DECODE = json.JSONDecoder().decode
ENCODE = json.JSONEncoder(separators=(",", ":")).encode

# The contestants.


class Contestant(NamedTuple):
    """A library in an application, and the same application without sessions."""

    name: str
    call: Callable[[Application, str, str], Answer]
    bare: Application
    app: Application


def our_stores(folder: str, valkey: Valkey | NoValkey) -> dict[str, Any]:
    """Return the stores of sessionlab, that on Redis where there is a server."""
    stores: dict[str, Any] = {
        OURS: sessionlab.MemoryStore(),
        ON_SQLITE: sessionlab.SQLiteStore(Path(folder) / "sessions.db"),
    }
    if isinstance(valkey, Valkey):
        stores[ON_REDIS] = sessionlab.RedisStore.from_url(valkey.url)
    return stores


def contestants(folder: str, stores: dict[str, Any]) -> list[Contestant]:
    """Return the contestants, each with its own defaults and, if it signs, the same secret.

    ``folder`` is for those that keep files, ``stores`` are ours.
    """
    plain = dict(DATA)
    bare = make_views(lambda request: plain)
    views = make_views(attrgetter("session"))
    beakers = make_views(lambda request: request.environ["beaker.session"], methodcaller("save"))
    flasks = make_views(lambda request: flask.session)

    ours = {
        name: sessionlab.SessionMiddleware(bottle_app(views), SECRET, store=store)
        for name, store in stores.items()
    }
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
        *(Contestant(name, call_wsgi, bottle_app(bare), app) for name, app in ours.items()),
        Contestant("Beaker", call_wsgi, bottle_app(bare), beaker_app),
        Contestant("Beaker, files", call_wsgi, bottle_app(bare), beaker_files),
        Contestant("Starlette", call_asgi, starlette_app(bare), signed),
        Contestant("starsessions", call_asgi, starlette_app(bare), starsession),
        Contestant("Flask", call_wsgi, flask_app(bare), flask_app(flasks, SECRET)),
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


# The floor.


def floor_with(session_id: str, look_up: Callable[[], str]) -> Callable[[], object]:
    """Return the least that a read of a signed session in JSON has to do.

    One HMAC, one base64, one look-up, one decode and one encode, each by the quickest call that the
    standard library has for it, and nothing around them.
    """
    key, message = SECRET.encode(), session_id.encode()

    def read() -> object:
        return b64encode(hmac.digest(key, message, "sha256")), ENCODE(DECODE(look_up()))

    return read


def floors(folder: str, valkey: Valkey | NoValkey) -> dict[str, Callable[[], object]]:
    """Return the floor of each store of ours; a look-up is in a dict, one SELECT, or one GET."""
    session_id = sessionlab.new_session_id()
    text = sessionlab.encode_record(json.loads(sessionlab.SessionCookie().to_json(False)), DATA)
    file = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("CREATE TABLE records (id TEXT PRIMARY KEY, text TEXT)")
    file.execute("INSERT INTO records VALUES (?, ?)", [session_id, text])
    select = partial(file.execute, "SELECT text FROM records WHERE id = ?", [session_id])
    look_ups: dict[str, Callable[[], Any]] = {
        OURS: partial({session_id: text}.__getitem__, session_id),
        ON_SQLITE: lambda: select().fetchone()[0],
    }
    if isinstance(valkey, Valkey):
        client = redis.Redis.from_url(valkey.url, decode_responses=True)
        client.set(session_id, text)
        look_ups[ON_REDIS] = partial(client.get, session_id)
    return {FLOORS[ours]: floor_with(session_id, look_up) for ours, look_up in look_ups.items()}


# The measurement.


def measure(rounds: int, requests: int, folder: str) -> Costs:
    """Return what a session adds to a request, and the floors.

    In each round all take turns, and each is compared with its bare application of that moment. The
    median of the rounds counts, and not the least: a machine that changes its pace between the two
    spoils a round in either direction.
    """
    valkey = start_valkey()
    stores = our_stores(folder, valkey)
    field = [(contestant, prove(contestant)) for contestant in contestants(folder, stores)]
    ground = floors(folder, valkey)
    extra: dict[tuple[str, str], list[float]] = defaultdict(list)
    gc.disable()  # or one pays for the garbage of another
    for _ in range(rounds):
        gc.collect()
        for name, least in ground.items():
            extra[name, "read"].append(time_requests(least, requests))
        for kind, (path, has_session) in KINDS.items():
            for contestant, cookies in field:
                sent = (path, cookies if has_session else NEIGHBOUR)
                bare = time_requests(partial(contestant.call, contestant.bare, *sent), requests)
                full = time_requests(partial(contestant.call, contestant.app, *sent), requests)
                extra[contestant.name, kind].append(full - bare)
    gc.enable()
    return {key: median(differences) for key, differences in extra.items()}


def time_requests(request: Callable[[], object], requests: int) -> float:
    """Return the microseconds of processor time for one request; other processes do not count."""
    for _ in range(requests // 4):
        request()  # not timed: after a collection, or after somebody else, the first ones are slow
    start = time.process_time()
    for _ in range(requests):
        request()
    return (time.process_time() - start) / requests * 1e6


def print_table(costs: Costs) -> None:
    """Print the costs, and those of sessionlab as parts of the others' and of the floors."""
    names = list(dict.fromkeys(name for name, _ in costs))
    print("µs above bare".ljust(30), *(kind.rjust(10) for kind in KINDS))
    for name in names:
        print(name.ljust(30), *(_cell(costs.get((name, kind)), 1) for kind in KINDS))
    print("\nratios".ljust(31), *(kind.rjust(10) for kind in KINDS))
    others = [name for name in names if name not in {*FLOORS, *FLOORS.values()}]
    pairs = [(ours, FLOORS[ours]) for ours in FLOORS if ours in names]
    pairs += [(ours, ours) for ours in FLOORS if ours in names]
    pairs += [(OURS, other) for other in others]
    for ours, other in pairs:
        # A floor is that of a read, and whatever we do is measured by it; as it is by our own read.
        is_read = other in {*FLOORS, *FLOORS.values()}
        parts = (costs[ours, kind] / costs[other, "read" if is_read else kind] for kind in KINDS)
        name = "its read" if other == ours else "its floor" if is_read else other
        print(f"{ours} : {name}".ljust(30), *(_cell(part, 2) for part in parts))


def _cell(number: float | None, digits: int) -> str:
    return (f"{number:.{digits}f}" if number is not None else "").rjust(10)


def check_goals(costs: Costs) -> bool:
    """Print of each goal whether it is held, and return whether all are."""
    read, on_sqlite = costs[OURS, "read"], costs[ON_SQLITE, "read"]
    goals = {
        "read <= 1.5 of the floor": read <= 1.5 * costs[FLOORS[OURS], "read"],
        "read <= Starlette's read": read <= costs["Starlette", "read"],
        "read <= 0.4 of Beaker's read": read <= 0.4 * costs["Beaker", "read"],
        "untouched < 0.5 of our read": costs[OURS, "untouched"] < 0.5 * read,
        "on SQLite, read <= 40 µs": on_sqlite <= 40,
        "and <= 0.25 of Beaker's files": on_sqlite <= 0.25 * costs["Beaker, files", "read"],
    }
    for goal, is_held in goals.items():
        print(goal.ljust(30), ("held" if is_held else "missed").rjust(10))
    return all(goals.values())


def draw(costs: Costs) -> str:
    """Return a picture of what is in memory, or in the cookie, as SVG."""
    names = [OURS, "Beaker", "Starlette", "starsessions", "Flask"]
    groups = {kind: {name: costs[name, kind] for name in names} for kind in KINDS}
    title = "What a session adds to a request, in µs of processor time"
    return bars(title, groups, OURS, ("the floor of a read", costs[FLOORS[OURS], "read"]))


def main() -> int:
    """Return the exit status: 1 if ``--check`` is given and a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--requests", type=int, default=200, help="of each kind in each round")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="write the picture, an SVG")
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
    if options.draw is not None:
        options.draw.write_text(draw(costs), encoding="utf-8")
    return 1 if options.check and not are_held else 0


if __name__ == "__main__":
    sys.exit(main())
