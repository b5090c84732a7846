"""Measure what a session adds to the cost of one request, here and in six other libraries.

    python tests/benchmarks/cost_of_a_request.py [--rounds N] [--write] [--draw FILE]

What is told is the time of a request less that of the same request to the same application, in the
same framework, without sessions ("above bare"). It is processor time of this process; where one
waits, for a disk or another process, the time on the clock stands beside it.

The rules of this file: each contestant stands in a real application of a framework that it is made
for, called in this process, without sockets. (express-session can't: it is in ``throughput.py``.)
All keep the same data and run the same handlers. Nothing is timed before it was seen to work. The
floor is what a signed session kept as JSON does at the least, and is timed in the same rounds.
"""

import argparse
import gc
import hmac
import json
import sqlite3
import sys
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from itertools import cycle
from operator import attrgetter, methodcaller
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

# This checkout, not an installed version; and the tests' own modules.
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

import beaker.middleware
import flask
import flask_session
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
    django_apps,
    flask_app,
    make_views,
    starlette_app,
)
from benchmarks.drawing import bars
from benchmarks.report import (
    FIGURES,
    README,
    Lines,
    Spread,
    about,
    as_markdown,
    as_text,
    write_part,
)
from cachelib.simple import SimpleCache

import sessionlab
from sessionlab.lab import NoValkey, Valkey, start_valkey

Samples = dict[tuple[str, str], list[float]]  # by name and kind of request, µs in each round
Costs = dict[tuple[str, str], Spread]


class Times(NamedTuple):
    """The microseconds of one request: of this process's processor time, and on the clock."""

    processor: float
    clock: float


KINDS = {  # the path that is asked for, and with which cookies
    "read": ("/read", "one"),
    "first read": ("/read", "many"),
    "write": ("/write", "one"),
    "new": ("/write", "none"),
    "untouched": ("/untouched", "one"),
}
SESSIONS = 1_500  # of a first read: more than the cookies that sessionlab knows again, 1,024
OURS, ON_SQLITE, ON_REDIS = "sessionlab", "sessionlab, SQLite", "sessionlab, Redis"
RENEWING = "sessionlab, touch_after=0"
FLOORS = {OURS: "floor", ON_SQLITE: "floor, SQLite", ON_REDIS: "floor, Redis"}  # of a read
NOTHING_ENCODED = "floor, nothing encoded"
BEAKER, BEAKER_FILES, STARLETTE = "Beaker", "Beaker, files", "Starlette's cookie"
PEERS = (BEAKER, "Beaker, no access time", "Flask-Session", "Django", "starsessions")
PEERS += (STARLETTE, "Flask's cookie")
CLOCK = ", by the clock"
WAITING = ("SQLite", "Redis", "files")  # names end with what is waited for
PACKAGES = ("bottle", "beaker", "flask", "flask-session", "cachelib", "django")
PACKAGES += ("starsessions", "starlette", "redis")
NOTHING = Times(0, 0)
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
    djangos = make_views(lambda request: getattr(request, "session", plain))

    # A read renews its record once a minute: never in this run, which is longer, or always.
    wrap = partial(sessionlab.SessionMiddleware, bottle_app(views), SECRET)
    ours = {name: wrap(store=store, touch_after=3_600) for name, store in stores.items()}
    ours[RENEWING] = wrap(touch_after=0)
    # Records in memory, the id signed. Each read saves the time of access: Beaker's default.
    settings = {
        BEAKER: {},
        "Beaker, no access time": {"save_accessed_time": False},
        BEAKER_FILES: {"type": "file", "data_dir": folder},
    }
    beaker_apps = {
        name: beaker.middleware.SessionMiddleware(bottle_app(beakers), secret=SECRET, **options)
        for name, options in settings.items()
    }
    # The data itself in a signed cookie; so it is with Flask.
    signed = starlette.middleware.sessions.SessionMiddleware(starlette_app(views), SECRET)
    # Records in memory, the id unsigned. To load where it is needed is cheaper than autoload.
    loaded = starlette_app(views, starsessions.load_session)
    starsession = starsessions.SessionMiddleware(loaded, starsessions.InMemoryStore())
    # The same. Each request saves the session: Flask-Session's default.
    flask_sessions = flask_app(flasks)
    memory = SimpleCache(threshold=1_000_000)
    flask_sessions.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=memory)
    flask_session.Session(flask_sessions)
    return [
        *(Contestant(name, call_wsgi, bottle_app(bare), app) for name, app in ours.items()),
        *(Contestant(name, call_wsgi, bottle_app(bare), app) for name, app in beaker_apps.items()),
        Contestant("Flask-Session", call_wsgi, flask_app(bare), flask_sessions),
        Contestant("Django", call_wsgi, *django_apps(djangos)),
        Contestant("starsessions", call_asgi, starlette_app(bare), starsession),
        Contestant(STARLETTE, call_asgi, starlette_app(bare), signed),
        Contestant("Flask's cookie", call_wsgi, flask_app(bare), flask_app(flasks, SECRET)),
    ]


def prove(contestant: Contestant) -> dict[str, list[str]]:
    """Return the ``Cookie`` headers of sessions that hold ``DATA``, after all was seen to work."""

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

    many = [ask("/fill", NEIGHBOUR)[1] for _ in range(SESSIONS)]
    cookies = many[0]
    forged = cookies[:-10] + ("x" if cookies[-10] != "x" else "y") + cookies[-9:]
    assert look(cookies) == look(many[-1]) == DATA
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
    return {"one": [cookies], "many": many, "none": [NEIGHBOUR]}


# The floor.


def floor_with(
    session_id: str, look_up: Callable[[], str], is_encoded: bool = True
) -> Callable[[], object]:
    """Return the least that a signed session in JSON has to do, whatever a request does with it.

    One HMAC, one base64, one look-up, one decode and one encode, each by the quickest call that the
    standard library has for it, and nothing around them. A read of plain values can leave out the
    encode, and one whose cookie is known again the HMAC with its base64.
    """
    key, message = SECRET.encode(), session_id.encode()

    def read() -> object:
        return b64encode(hmac.digest(key, message, "sha256")), ENCODE(DECODE(look_up()))

    def read_only() -> object:
        return b64encode(hmac.digest(key, message, "sha256")), DECODE(look_up())

    return read if is_encoded else read_only


def floors(folder: str, valkey: Valkey | NoValkey) -> dict[str, Callable[[], object]]:
    """Return the floor of each store of ours; a look-up is in a dict, one SELECT, or one GET."""
    session_id = sessionlab.new_session_id()
    text = sessionlab.encode_record(json.loads(sessionlab.SessionCookie().to_json(False)), DATA)
    file = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("CREATE TABLE records (id TEXT PRIMARY KEY, text TEXT)")
    file.execute("INSERT INTO records VALUES (?, ?)", [session_id, text])
    select = partial(file.execute, "SELECT text FROM records WHERE id = ?", [session_id])
    in_dict = partial({session_id: text}.__getitem__, session_id)
    look_ups: dict[str, Callable[[], Any]] = {
        OURS: in_dict,
        ON_SQLITE: lambda: select().fetchone()[0],
    }
    if isinstance(valkey, Valkey):
        client = redis.Redis.from_url(valkey.url, decode_responses=True)
        client.set(session_id, text)
        look_ups[ON_REDIS] = partial(client.get, session_id)
    found = {FLOORS[ours]: floor_with(session_id, look_up) for ours, look_up in look_ups.items()}
    return {**found, NOTHING_ENCODED: floor_with(session_id, in_dict, is_encoded=False)}


# The measurement.


def measure(rounds: int, requests: int, folder: str, valkey: Valkey | NoValkey) -> Samples:
    """Return what a session adds to a request, what a bare request costs, and the floors.

    In each round all take turns, and each is compared with its bare application of that moment.
    """
    field = []
    for contestant in contestants(folder, our_stores(folder, valkey)):
        sent = {which: (cycle(texts), cycle(texts)) for which, texts in prove(contestant).items()}
        field.append((contestant, sent))
    ground = floors(folder, valkey)
    samples: Samples = defaultdict(list)

    def note(name: str, kind: str, times: Times, less: Times = NOTHING) -> None:
        samples[name, kind].append(times.processor - less.processor)
        if name.endswith(WAITING):
            samples[name + CLOCK, kind].append(times.clock - less.clock)

    gc.disable()  # or one pays for the garbage of another
    for _ in range(rounds):
        gc.collect()
        for name, least in ground.items():
            note(name, "read", time_requests(least, requests))
        for kind, (path, which) in KINDS.items():
            for (name, call, bare, app), sent in field:
                # Each its own, or the application would meet only half of the cookies.
                ours, others = sent[which]
                without = time_requests(lambda: call(bare, path, next(others)), requests)  # noqa: B023
                found = time_requests(lambda: call(app, path, next(ours)), requests)  # noqa: B023
                note(name, kind, found, without)
                if kind == "read":
                    note(name, "(bare)", without)
    gc.enable()
    return samples


def time_requests(request: Callable[[], object], requests: int) -> Times:
    """Return what one request took, on the average."""
    for _ in range(requests // 4):
        request()  # not timed: after a collection, or after somebody else, the first ones are slow
    processor, clock = time.process_time(), time.perf_counter()
    for _ in range(requests):
        request()
    taken = time.process_time() - processor, time.perf_counter() - clock
    return Times(*(seconds / requests * 1e6 for seconds in taken))


# What is shown.


def tables(costs: Costs) -> list[Lines]:
    """Return the costs, and which part of the floors' and the others' those of sessionlab are."""
    names = list(dict.fromkeys(name for name, _ in costs))
    found = [["µs above bare", "(bare)", *KINDS]]
    found += [[name, *(_text(costs.get((name, kind))) for kind in found[0][1:])] for name in names]
    parts = [["ratio", *KINDS]]
    for ours, other in _pairs(names):
        # A floor is that of a read, and whatever we do is measured by it; as it is by our own read.
        by_read = other == ours or other.startswith("floor")
        others = (costs[other, "read" if by_read else kind].middle for kind in KINDS)
        ratios = [costs[ours, kind].middle / part for kind, part in zip(KINDS, others, strict=True)]
        name = "its own read" if other == ours else other
        parts.append([f"{ours} : {name}", *(f"{ratio:.2f}" for ratio in ratios)])
    return [found, parts]


def _pairs(names: list[str]) -> list[tuple[str, str]]:
    pairs = [(OURS, FLOORS[OURS]), (OURS, NOTHING_ENCODED)]
    for ours in (ON_SQLITE, ON_REDIS):
        pairs += [(ours, FLOORS[ours]), (ours + CLOCK, FLOORS[ours] + CLOCK)]
    pairs += [(ours, ours) for ours in FLOORS]
    pairs += [(OURS, peer) for peer in PEERS]
    pairs += [(ON_SQLITE, BEAKER_FILES), (ON_SQLITE + CLOCK, BEAKER_FILES + CLOCK)]
    return [pair for pair in pairs if pair[0] in names]


def in_short(costs: Costs) -> Lines:
    """Return the medians, and in brackets the cost of sessionlab as a part of each."""

    def cell(name: str, kind: str) -> str:
        if (name, kind) not in costs:
            return ""
        cost, ours = costs[name, kind].middle, costs[OURS, kind].middle
        return f"{cost:.1f}" if name.startswith(OURS) else f"{cost:.1f} ({ours / cost:.2f})"

    names = [FLOORS[OURS], OURS, ON_SQLITE + CLOCK, ON_REDIS + CLOCK, *PEERS]
    lines = [[name, *(cell(name, kind) for kind in KINDS)] for name in names]
    return [["µs above bare", *KINDS], *lines]


def _text(cost: Spread | None) -> str:
    return "" if cost is None else cost.text()


def losses(costs: Costs) -> str:
    """Return in a sentence where a peer is cheaper, and by how much."""
    rivals = [(OURS, peer) for peer in PEERS]
    rivals += [(ON_SQLITE + end, BEAKER_FILES + end) for end in ("", CLOCK)]
    found = []
    for kind in KINDS:
        ratios = {
            f"{peer} ({costs[ours, kind].middle / costs[peer, kind].middle:.2f})"
            for ours, peer in rivals
            if costs[peer, kind].middle < costs[ours, kind].middle
        }
        if ratios:
            found.append(f"{kind}: {', '.join(sorted(ratios))}")
    return (
        "Cheaper than sessionlab (in brackets, how many times their cost ours is; for Beaker's"
        f" files, that of SQLite): {'; '.join(found) or 'nobody'}."
    )


def check_goals(costs: Costs) -> bool:
    """Print of each goal whether it is held, and return whether all are."""
    middle = {key: cost.middle for key, cost in costs.items()}
    read, on_sqlite = middle[OURS, "read"], middle[ON_SQLITE, "read"]
    goals = {
        "read <= 1.5 of the floor": read <= 1.5 * middle[FLOORS[OURS], "read"],
        "read <= Starlette's read": read <= middle[STARLETTE, "read"],
        "read <= 0.4 of Beaker's read": read <= 0.4 * middle[BEAKER, "read"],
        "untouched < 0.5 of our read": middle[OURS, "untouched"] < 0.5 * read,
        "on SQLite, read <= 40 µs": on_sqlite <= 40,
        "and <= 0.25 of Beaker's files": on_sqlite <= 0.25 * middle[BEAKER_FILES, "read"],
    }
    for goal, is_held in goals.items():
        print(goal.ljust(30), ("held" if is_held else "missed").rjust(10))
    return all(goals.values())


def draw(costs: Costs) -> str:
    """Return a picture of what is in memory, or in the cookie, as SVG."""
    groups = {kind: {name: costs[name, kind] for name in (OURS, *PEERS)} for kind in KINDS}
    title = "What a session adds to a request, in µs of processor time"
    return bars(title, groups, OURS, ("the floor of a read", costs[FLOORS[OURS], "read"].middle))


def main() -> int:
    """Return the exit status: 1 if ``--check`` is given and a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--requests", type=int, default=200, help="of each kind in each round")
    parser.add_argument("--write", action="store_true", help="put all into figures.md and README")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="write the picture, an SVG")
    parser.add_argument("--check", action="store_true", help="fail if a goal is missed")
    options = parser.parse_args()
    valkey = start_valkey()
    if isinstance(valkey, NoValkey):
        print(f"Redis is left out: {valkey}\n")
    with TemporaryDirectory() as folder:
        samples = measure(options.rounds, options.requests, folder, valkey)
    costs = {key: Spread.of(found) for key, found in samples.items()}
    caption = (
        "µs of processor time above the same application in the same framework without sessions,"
        " of which a read is the column (bare). By the clock: the time that passed, where one waits"
        f" for a disk or a server. Median of {options.rounds} rounds of {options.requests}"
        f" requests, in brackets the quartiles. {about()};"
        f" {', '.join(f'{package} {version(package)}' for package in PACKAGES)}."
    )
    print(caption, *map(as_text, tables(costs)), losses(costs), "", sep="\n\n")
    are_held = check_goals(costs)
    if options.write:
        write_part(FIGURES, "cost", [caption, *map(as_markdown, tables(costs)), losses(costs)])
        write_part(README, "cost", [as_markdown(in_short(costs)), losses(costs)])
    if options.draw is not None:
        options.draw.write_text(draw(costs), encoding="utf-8")
    return 1 if options.check and not are_held else 0


if __name__ == "__main__":
    sys.exit(main())
