"""Measure how the cost of a request grows: with the session, with the store, with the clients.

    python tests/benchmarks/growth.py [--quick] [--write] [--draw FOLDER]

The rules of this file: a cost is what a session adds to the same Bottle application without one, as
in ``cost_of_a_request.py``: processor time of this process and, where it waits for a disk or a
server, the time on the clock. All points take turns in each round. In a store of many sessions each
request is for one that was not asked for yet, as far as there are so many. The clients are those of
``throughput.py``, over loopback, and share more sessions than they are.
"""

import argparse
import gc
import json
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count, cycle, islice
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' own modules
sys.path.insert(0, str(Path(__file__).parents[2]))  # this checkout, not an installed version

from benchmarks import throughput
from benchmarks.applications import DATA, SECRET, Application, bottle_app, call_wsgi, make_views
from benchmarks.cost_of_a_request import Times, floor_with, time_requests
from benchmarks.drawing import lines
from benchmarks.report import FIGURES, Spread, about, as_markdown, as_text, write_part

import sessionlab
from sessionlab.lab import NoValkey, Valkey, start_valkey

Curves = dict[str, dict[float, Spread]]  # by name, from x to y
Samples = dict[tuple[str, int], list[float]]  # by name and x, of each round

SIZES = (100, 1_000, 4_000, 16_000, 64_000)  # bytes
SESSIONS = (100, 1_000, 10_000, 100_000, 1_000_000)
CLIENTS = (1, 2, 4, 8, 16, 32, 64)
REQUESTS = 200  # of a point in a store of many sessions, in each round
CLOCK = ", by the clock"
NUMBERS = count(1)
COOKIE = json.loads(sessionlab.SessionCookie().to_json(False))
BARE = bottle_app(make_views(lambda request, plain=dict(DATA): plain))


def stores(folder: str, valkey: Valkey | NoValkey) -> Iterator[tuple[str, Any]]:
    """Yield an empty store of each kind; that on Redis where there is a server."""
    yield "memory", sessionlab.MemoryStore()
    yield "SQLite", sessionlab.SQLiteStore(Path(folder) / f"{next(NUMBERS)}.db")
    if isinstance(valkey, Valkey):
        yield "Redis", sessionlab.RedisStore.from_url(valkey.url, prefix=f"{next(NUMBERS)}:")


def middleware(store: Any) -> Application:
    """Return the application of the benchmarks, with sessions."""
    app = bottle_app(make_views(attrgetter("session")))
    # A read that renews its record is a write, and to fill the stores takes longer than a minute.
    return sessionlab.SessionMiddleware(app, SECRET, store=store, touch_after=3_600)


def cookie_of(session_id: str) -> str:
    """Return the ``Cookie`` header of a session."""
    pair = sessionlab.format_set_cookie("connect.sid", "s:" + sessionlab.sign(session_id, SECRET))
    return pair.partition(";")[0]


def time_path(app: Application, path: str, cookies: Iterator[str], requests: int) -> Times:
    """Return what sessions add to a request; the cookies are sent in turn."""
    bare = time_requests(lambda: call_wsgi(BARE, path, "_ga=GA1.1"), requests)
    full = time_requests(lambda: call_wsgi(app, path, next(cookies)), requests)
    return Times(full.processor - bare.processor, full.clock - bare.clock)


def note(samples: Samples, store: str, kind: str, x: int, times: Times) -> None:
    samples[f"{store}, {kind}", x].append(times.processor)
    if store != "memory":
        samples[f"{store}, {kind}{CLOCK}", x].append(times.clock)


def curves_of(samples: Samples) -> Curves:
    """Return the curve of each name."""
    curves: Curves = defaultdict(dict)
    for (name, x), found in samples.items():
        curves[name][x] = Spread.of(found)
    return curves


# With the size of the session.


def by_size(rounds: int, folder: str, valkey: Valkey | NoValkey) -> Curves:
    """Return what a session costs that holds so many bytes, and the floor of a read of it."""
    samples: Samples = defaultdict(list)
    points, grounds = [], []
    for size in SIZES:
        data = session_of(size)
        for name, store in stores(folder, valkey):
            session_id, text = sessionlab.new_session_id(), sessionlab.encode_record(COOKIE, data)
            store.create(session_id, text, time.time() + 86_400)
            points.append((name, size, middleware(store), cycle([cookie_of(session_id)])))
        look_up = partial({session_id: text}.__getitem__, session_id)
        grounds.append(("floor", size, floor_with(session_id, look_up)))
        least = floor_with(session_id, look_up, is_encoded=False)
        grounds.append(("floor, nothing encoded", size, least))
    for _ in range(rounds):
        for name, size, ground in grounds:
            samples[name, size].append(time_requests(ground, requests_of(size)).processor)
        for name, size, app, cookies in points:
            gc.collect()
            for kind in ("read", "write", "untouched"):
                taken = time_path(app, f"/{kind}", cookies, requests_of(size))
                note(samples, name, kind, size, taken)
    return curves_of(samples)


def requests_of(size: int) -> int:
    return max(10, 400_000 // (size + 4_000))


def session_of(size: int) -> dict[str, Any]:
    """Return data of ``size`` bytes as JSON: a cart, filled up with a note."""
    data: dict[str, Any] = {**DATA, "cart": [], "note": ""}
    while (missing := size - len(sessionlab.session.encode_data(data))) > 60:
        item = {"id": len(data["cart"]), "name": "tea", "price": 4.5, "is_gift": False}
        data["cart"].append(item)
    data["note"] = "x" * missing
    return data


# With the number of sessions in the store.


def by_sessions(
    rounds: int, most: int, folder: str, valkey: Valkey | NoValkey
) -> tuple[Curves, Curves]:
    """Return what a session costs in a store that holds so many; and the milliseconds for which
    Python's collector stops the process, when it looks through all that there is."""
    samples: Samples = defaultdict(list)
    pauses: Samples = {}
    points = []
    for number in (number for number in SESSIONS if number <= most):
        for name, store in stores(folder, valkey):
            gc.collect()
            gc.freeze()  # what was there before is not looked through
            asked = fill(store, number, rounds * 2 * REQUESTS)
            pauses[name, number] = [time_collection() for _ in range(5)]
            points.append((name, number, middleware(store), cycle(map(cookie_of, asked))))
    gc.freeze()
    for _ in range(rounds):
        for name, number, app, cookies in points:
            note(samples, name, "read", number, time_path(app, "/read", cookies, REQUESTS))
            new = time_path(app, "/write", cycle([""]), REQUESTS)
            note(samples, name, "new", number, new)
    return curves_of(samples), curves_of(pauses)


def time_collection() -> float:
    """Return the milliseconds of a full collection."""
    started = time.perf_counter()
    gc.collect()
    return (time.perf_counter() - started) * 1000


def fill(store: Any, number: int, wanted: int) -> list[str]:
    """Put so many sessions into an empty store; return the ids of some, which lie far apart."""
    text, end = sessionlab.encode_record(COOKIE, DATA), time.time() + 86_400
    ids = (sessionlab.new_session_id() for _ in range(number))
    asked, step = [], max(1, number // wanted)
    while many := list(islice(ids, 1000)):
        asked += many[::step]
        if isinstance(store, sessionlab.SQLiteStore):  # in one transaction: each create is one, too
            with sqlite3.connect(store._path) as file:
                rows = [(session_id, text, end) for session_id in many]
                file.executemany("INSERT INTO sessions VALUES (?, ?, ?)", rows)
            file.close()
        elif isinstance(store, sessionlab.RedisStore):  # in one round trip
            pipeline = store._client.pipeline(transaction=False)
            for session_id in many:
                pipeline.set(store._prefix + session_id, text, px=86_400_000)
            pipeline.execute()
        else:
            for session_id in many:
                store.create(session_id, text, end)
    assert len(store) == number
    return asked


# With the number of clients.


def by_clients(
    load: throughput.Load, rounds: int, seconds: float, folder: str, valkey: Valkey | NoValkey
) -> Curves:
    """Return the requests a second that so many clients are answered, all of which write."""
    samples: Samples = defaultdict(list)
    kept = {"memory": "", "SQLite": str(Path(folder) / "clients.db")}
    if isinstance(valkey, Valkey):
        kept["Redis"] = valkey.url
    with ExitStack() as stack:
        ports = {"no session": stack.enter_context(throughput.running(throughput.BARE))}
        for name, store in kept.items():
            ports[name] = stack.enter_context(throughput.running(throughput.OURS, store))
        field = {
            name: throughput.prove(throughput.OURS if name in kept else throughput.BARE, port)
            for name, port in ports.items()
        }
        for _ in range(rounds):
            for clients in CLIENTS:
                for name, cookies in field.items():
                    url = f"http://127.0.0.1:{ports[name]}/write"
                    samples[name, clients].append(load(url, cookies, clients, seconds))
    return curves_of(samples)


# What is shown.


def show(title: str, x: str, y: str, curves: Curves, digits: int = 1) -> list[str]:
    """Print a table of curves, with how much larger the last value is than the first.

    Returns it for a page.
    """
    xs = sorted({x for points in curves.values() for x in points})
    print(f"\n{title}: {y}\n")
    found = [[x, *(f"{x:,.0f}" for x in xs), "last : first"]]
    for name, points in curves.items():
        ratio = points[xs[-1]].middle / points[xs[0]].middle
        found.append([name, *(points[x].text(digits) for x in xs), f"{ratio:.2f}"])
    print(as_text(found), flush=True)
    return [f"**{title}**: {y}", as_markdown(found)]


def draw(folder: Path, sizes: Curves, clients: Curves, sessions: Curves, tool: str) -> None:
    """Write the three pictures."""
    parts = ("floor", "floor, nothing encoded", "memory, untouched", "memory, read")
    parts += ("memory, write", f"SQLite, write{CLOCK}", f"Redis, write{CLOCK}")
    sizes = {part: sizes[part] for part in parts if part in sizes}
    reads = ("memory, read", f"SQLite, read{CLOCK}", f"Redis, read{CLOCK}")
    reads += ("memory, new", f"SQLite, new{CLOCK}", f"Redis, new{CLOCK}")
    sessions = {part: sessions[part] for part in reads if part in sessions}
    pictures = {
        "size": lines(
            "What a session adds to a request", "bytes of data", "µs above bare", sizes, log="xy"
        ),
        "sessions": lines(
            "Each request for another session",
            "sessions in the store",
            "µs above bare",
            sessions,
            log="xy",
        ),
        "clients": lines(f"Writes: {tool}", "clients", "requests a second", clients, log="x"),
    }
    for name, picture in pictures.items():
        (folder / f"growth-{name}.svg").write_text(picture, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--most", type=int, default=1_000_000, help="sessions in a store")
    throughput.add_client_options(parser)
    parser.add_argument("--write", action="store_true", help="put the tables into figures.md")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="write three pictures, SVG")
    options = parser.parse_args()
    rounds, most = (1, 1_000) if options.quick else (options.rounds, options.most)
    seconds = 0.02 if options.quick else 1
    tool, load = throughput.find_client(options)
    valkey = start_valkey()
    if isinstance(valkey, NoValkey):
        print(f"Redis is left out: {valkey}\n")
    page = [f"Median of {rounds} rounds, in brackets the quartiles. {about()}."]
    print(*page)
    with TemporaryDirectory() as folder:
        sizes = by_size(rounds, folder, valkey)
        page += show("The size of a session", "bytes of data", "µs above bare", sizes)
        clients = by_clients(load, rounds, seconds, folder, valkey)
        tool = f"{tool}, waitress with {throughput.THREADS} threads, {throughput.COOKIES} sessions"
        page += show(f"Writes: {tool}", "clients", "requests a second", clients, digits=0)
        sessions, pauses = by_sessions(rounds, most, folder, valkey)
        page += show("Sessions in the store", "sessions", "µs above bare", sessions)
        title, y = "The pause of a full garbage collection", "ms that the store adds"
        page += show(title, "sessions", y, pauses, digits=2)
    if options.write:
        write_part(FIGURES, "growth", page)
    if options.draw is not None:
        draw(options.draw, sizes, clients, sessions, tool)


if __name__ == "__main__":
    main()
