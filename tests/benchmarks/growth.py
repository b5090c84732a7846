"""Measure how the cost of a request grows: with the session, with the store, with the clients.

    python tests/benchmarks/growth.py [--quick] [--rounds N] [--most N] [--draw FOLDER]

The rules of this file: a cost is what a session adds to the same Bottle application without one, in
microseconds of processor time of this process, as in ``cost_of_a_request.py``; all points take
turns in each round, and the median of the rounds counts. Only with the clients is it time on the
clock: they are threads of this process, each with a session of its own.
"""

import argparse
import gc
import json
import platform
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count, cycle, islice
from operator import attrgetter
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' own modules
sys.path.insert(0, str(Path(__file__).parents[2]))  # this checkout, not an installed version

import bottle
from benchmarks.applications import DATA, SECRET, Application, bottle_app, call_wsgi, make_views
from benchmarks.cost_of_a_request import floor_with, time_requests

import sessionlab
from sessionlab.lab import NoValkey, Valkey, load, plot, start_valkey

Curves = dict[str, dict[float, float]]  # by name, from x to y
Timings = dict[tuple[str, int], list[float]]  # by name and x, of each round

SIZES = (100, 1_000, 4_000, 16_000, 64_000)  # bytes
SESSIONS = (100, 1_000, 10_000, 100_000, 1_000_000)
CLIENTS = (1, 2, 4, 8, 16, 32, 64)
ASKED = 100  # of the sessions of a store, so that not all of what is asked for is at hand
NUMBERS = count(100_001)
COOKIE = json.loads(sessionlab.SessionCookie().to_json(False))
BARE = bottle_app(make_views(lambda request, plain=dict(DATA): plain))


def stores(folder: str, valkey: Valkey | NoValkey) -> dict[str, Any]:
    """Return an empty store of each kind; that on Redis where there is a server."""
    path = Path(folder) / f"{next(NUMBERS)}.db"
    found = {"memory": sessionlab.MemoryStore(), "SQLite": sessionlab.SQLiteStore(path)}
    if isinstance(valkey, Valkey):
        prefix = f"{next(NUMBERS)}:"
        found["Redis"] = sessionlab.RedisStore.from_url(valkey.url, prefix=prefix)
    return found


def middleware(store: Any) -> Application:
    """Return the application of the benchmarks, with sessions."""
    app = bottle_app(make_views(attrgetter("session")))
    return sessionlab.SessionMiddleware(app, SECRET, store=store)


def cookie_of(session_id: str) -> str:
    """Return the ``Cookie`` header of a session."""
    pair = sessionlab.format_set_cookie("connect.sid", "s:" + sessionlab.sign(session_id, SECRET))
    return pair.partition(";")[0]


def time_path(app: Application, path: str, cookies: Iterable[str], requests: int) -> float:
    """Return the microseconds that sessions add to a request; the cookies are sent in turn."""
    turn = cycle(cookies)
    bare = time_requests(lambda: call_wsgi(BARE, path, next(turn)), requests)
    return time_requests(lambda: call_wsgi(app, path, next(turn)), requests) - bare


def medians(timings: Timings) -> Curves:
    """Return the curve of each name."""
    curves: Curves = defaultdict(dict)
    for (name, x), times in timings.items():
        curves[name][x] = median(times)
    return curves


# With the size of the session.


def by_size(rounds: int, folder: str, valkey: Valkey | NoValkey) -> Curves:
    """Return what a session costs that holds so many bytes, and the floor of a read of it."""
    timings: Timings = defaultdict(list)
    points = []
    for size in SIZES:
        data = session_of(size)
        for name, store in stores(folder, valkey).items():
            session_id, text = sessionlab.new_session_id(), sessionlab.encode_record(COOKIE, data)
            store.create(session_id, text, time.time() + 86_400)
            points.append((name, size, middleware(store), cookie_of(session_id)))
        ground = floor_with(session_id, partial({session_id: text}.__getitem__, session_id))
        points.append(("floor", size, ground, ""))
    for _ in range(rounds):
        for name, size, app, cookie in points:
            gc.collect()
            requests = max(10, 400_000 // (size + 4_000))
            if name == "floor":
                timings["floor", size].append(time_requests(app, requests))
                continue
            for kind in ("read", "write", "untouched"):
                taken = time_path(app, f"/{kind}", [cookie], requests)
                timings[f"{name}, {kind}", size].append(taken)
    return medians(timings)


def session_of(size: int) -> dict[str, Any]:
    """Return data of ``size`` bytes as JSON: a cart, filled up with a note."""
    data: dict[str, Any] = {**DATA, "cart": [], "note": ""}
    while (missing := size - len(sessionlab.session.encode_data(data))) > 60:
        item = {"id": len(data["cart"]), "name": "tea", "price": 4.5, "is_gift": False}
        data["cart"].append(item)
    data["note"] = "x" * missing
    return data


# With the number of sessions in the store.


def by_sessions(rounds: int, most: int, folder: str, valkey: Valkey | NoValkey) -> Curves:
    """Return what a session costs in a store that holds so many."""
    timings: Timings = defaultdict(list)
    numbers = [number for number in SESSIONS if number <= most]
    points = []
    for number in numbers:
        for name, store in stores(folder, valkey).items():
            asked = fill(store, number)
            points.append((name, number, middleware(store), [cookie_of(one) for one in asked]))
    gc.freeze()  # a million records would be looked through at each collection
    for _ in range(rounds):
        for name, number, app, cookies in points:
            for kind, path, sent in (("read", "/read", cookies), ("new", "/write", [""])):
                timings[f"{name}, {kind}", number].append(time_path(app, path, sent, 2 * ASKED))
    return medians(timings)


def fill(store: Any, number: int) -> list[str]:
    """Put so many sessions into an empty store; return the ids of some, which lie far apart."""
    text, end = sessionlab.encode_record(COOKIE, DATA), time.time() + 86_400
    ids = (sessionlab.new_session_id() for _ in range(number))
    asked = []
    step = max(1, number // ASKED)
    if isinstance(store, sessionlab.SQLiteStore):  # in one transaction: each create is one, too
        with sqlite3.connect(store._path) as file:
            for position, session_id in enumerate(ids):
                file.execute("INSERT INTO sessions VALUES (?, ?, ?)", [session_id, text, end])
                if position % step == 0:
                    asked.append(session_id)
        file.close()
    elif isinstance(store, sessionlab.RedisStore):  # a thousand in one round trip
        position = 0
        while batch := list(islice(ids, 1000)):
            pipeline = store._client.pipeline(transaction=False)
            for session_id in batch:
                pipeline.set(store._prefix + session_id, text, px=86_400_000)
                if position % step == 0:
                    asked.append(session_id)
                position += 1
            pipeline.execute()
    else:
        for position, session_id in enumerate(ids):
            store.create(session_id, text, end)
            if position % step == 0:
                asked.append(session_id)
    assert len(store) == number
    return asked


# With the number of clients.


def by_clients(rounds: int, seconds: float, folder: str, valkey: Valkey | NoValkey) -> Curves:
    """Return the requests a second that so many clients are answered, all of which write."""
    timings: Timings = defaultdict(list)
    plain = dict(DATA)
    apps = {"no session": counting(lambda: plain)}
    for name, store in stores(folder, valkey).items():
        app = counting(lambda: bottle.request.session)
        apps[name] = sessionlab.SessionMiddleware(app, SECRET, store=store)
    for _ in range(rounds):
        for clients in CLIENTS:
            for name, app in apps.items():
                measured = load(app, clients, seconds)
                assert measured.refused == 0, (name, clients, measured)
                timings[name, clients].append(measured.per_second)
    return medians(timings)


def counting(session_of: Callable[[], Any]) -> Application:
    """Return an application that counts in the session at ``/``."""
    app = bottle.Bottle()

    @app.route("/")
    def write() -> str:
        session = session_of()
        session["views"] = session.get("views", 0) + 1
        return str(session["views"])

    return app


# What is shown.


def show(title: str, x: str, y: str, curves: Curves) -> None:
    """Print a table of curves, with how much larger the last value is than the first."""
    xs = sorted({x for points in curves.values() for x in points})
    print(f"{title}: {y}")
    print(x.ljust(24), *(f"{x:>9,.0f}" for x in xs), "last : first".rjust(14))
    for name, points in curves.items():
        ratio = points[xs[-1]] / points[xs[0]]
        print(name.ljust(24), *(f"{points[x]:9.1f}" for x in xs), f"{ratio:14.2f}")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--most", type=int, default=1_000_000, help="sessions in a store")
    parser.add_argument(
        "--quick", action="store_true", help="see that it runs; figures mean little"
    )
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="write three pictures, SVG")
    options = parser.parse_args()
    rounds, most = (1, 1_000) if options.quick else (options.rounds, options.most)
    seconds = 0.02 if options.quick else 0.5
    valkey = start_valkey()
    print(f"Python {platform.python_version()}; median of {rounds} rounds\n")
    cost = "µs above bare"
    with TemporaryDirectory() as folder:
        sizes = by_size(rounds, folder, valkey)
        show("The size of a session", "bytes of data", cost, sizes)
        clients = by_clients(rounds, seconds, folder, valkey)
        show("Clients at once", "clients", "requests a second", clients)
        sessions = by_sessions(rounds, most, folder, valkey)
        show("Sessions in the store", "sessions", cost, sessions)
    if options.draw is not None:
        parts = ("floor", "memory, untouched", "memory, read", "memory, write")
        pictures = {
            "size": plot({p: sizes[p] for p in parts}, x="bytes of data", y=cost, log="xy"),
            "sessions": plot(
                {name: points for name, points in sessions.items() if "read" in name},
                x="sessions in the store",
                y=f"a read, {cost}",
                log="x",
            ),
            "clients": plot(clients, x="clients at once", y="requests a second", log="x"),
        }
        for name, picture in pictures.items():
            (options.draw / f"growth-{name}.svg").write_text(picture.svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
