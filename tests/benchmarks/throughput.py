"""Measure how many requests a second a real server answers, with and without sessions.

    python tests/benchmarks/throughput.py [--quick] [--write] [--draw FILE]

All is over loopback. Bottle stands under waitress, a server with threads: bare, with sessionlab and
with Beaker; Express under Node: bare and with express-session. Each server is a process of its own,
and so is the client: wrk (``apt-get install wrk``). If it is to be quick, that is one in Python,
which is slower than the servers are. Each keeps its records in memory.

The rules of this file: all take turns in each round, and a ratio is that of one round. The clients
share as many sessions as there are cookies, more than there are clients, as no browser waits for
itself. Nothing is timed before it was seen to work, and a run with one answer that is no 200
counts for nothing.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from operator import attrgetter, methodcaller
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' own modules
sys.path.insert(0, str(Path(__file__).parents[2]))  # this checkout, not an installed version

from benchmarks.applications import (
    DATA,
    NEIGHBOUR,
    SECRET,
    Application,
    bottle_app,
    find_node_with_express,
    make_views,
)
from benchmarks.drawing import bars
from benchmarks.report import FIGURES, Lines, Spread, about, as_markdown, as_text, write_part

BARE, OURS, BEAKER = "Bottle", "Bottle, sessionlab", "Bottle, Beaker"
EXPRESS, EXPRESS_SESSION = "Express", "Express, express-session"
BASES = {BARE: BARE, OURS: BARE, BEAKER: BARE, EXPRESS: EXPRESS, EXPRESS_SESSION: EXPRESS}
KINDS = ("read", "write", "untouched")
COOKIES = 256
THREADS = 4  # of the server; waitress' own default

Load = Callable[[str, list[str], int, float], float]
Rates = dict[tuple[str, str], list[float]]  # requests a second in each round

# The servers.


def application(name: str, store: str) -> Application:
    """Return one of the applications in Python; ``store`` is where sessionlab keeps its records."""
    plain = dict(DATA)
    if name == BARE:
        return bottle_app(make_views(lambda request: plain))
    if name == OURS:
        import sessionlab

        app, stored = bottle_app(make_views(attrgetter("session"))), sessionlab.MemoryStore()
        if store.startswith("redis:"):
            stored = sessionlab.RedisStore.from_url(store)
        elif store:
            stored = sessionlab.SQLiteStore(store)
        return sessionlab.SessionMiddleware(app, SECRET, store=stored)
    import beaker.middleware

    session_of = lambda request: request.environ["beaker.session"]  # noqa: E731
    app = bottle_app(make_views(session_of, methodcaller("save")))
    return beaker.middleware.SessionMiddleware(app, secret=SECRET)


def serve(name: str, store: str) -> None:
    """Serve an application until this process ends; the port is the line that is printed."""
    import waitress

    server = waitress.create_server(
        application(name, store), host="127.0.0.1", port=0, threads=THREADS
    )
    print(server.effective_port, flush=True)
    server.run()


@contextmanager
def running(name: str, store: str = "") -> Iterator[int]:
    """Start a server of its own, and give its port.

    ``store`` is a file for SQLite or the URL of a Redis; records are in memory without one.
    """
    command = [sys.executable, __file__, "--serve", name, store]
    if BASES[name] == EXPRESS:
        from node import FOLDER

        kind = "bare" if name == EXPRESS else "session"
        command = [
            find_node_with_express(),
            str(FOLDER / "throughput.js"),
            kind,
            SECRET,
            json.dumps(DATA),
        ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def prove(name: str, port: int) -> list[str]:
    """Return the ``Cookie`` headers of filled sessions, after all was seen to work."""

    def ask(path: str, cookies: str) -> tuple[str, str]:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers={"Cookie": cookies})
        response = connection.getresponse()
        body, sent = response.read().decode(), response.getheader("Set-Cookie")
        connection.close()
        assert response.status == 200, (name, path, response.status)
        return body, f"{NEIGHBOUR}; {sent.partition(';')[0]}" if sent else cookies

    found = [ask("/fill", NEIGHBOUR)[1] for _ in range(COOKIES)]
    assert len(set(found)) == (1 if name in BASES.values() else COOKIES), name
    for cookies in (found[0], found[-1]):
        views = int(ask("/write", cookies)[0])
        assert json.loads(ask("/look", cookies)[0]) == DATA | {"views": views}, name
        assert ask("/read", cookies)[0] == DATA["name"]
    assert ask("/untouched", found[0])[0] == "Hello"
    return found


def contestants() -> list[str]:
    """Return the names of the servers; say why Express is left out, where it is not there."""
    try:
        find_node_with_express()
    except (ImportError, OSError) as error:
        print(f"Express is left out: {error}\n")
        return [name for name, base in BASES.items() if base != EXPRESS]
    return list(BASES)


# The clients.

WRK = """
local cookies, requests, at = {%s}, {}, 0
init = function() for i, c in ipairs(cookies) do
  requests[i] = wrk.format("GET", nil, {["Cookie"] = c})
end end
request = function() at = at %% #requests + 1; return requests[at] end
"""


def load_by_wrk(url: str, cookies: list[str], clients: int, seconds: float) -> float:
    """Return the requests a second that wrk had answered; it takes whole seconds."""
    with TemporaryDirectory() as folder:
        script = Path(folder) / "cookies.lua"
        script.write_text(WRK % ", ".join(map(json.dumps, cookies)), encoding="utf-8")
        command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", f"-s{script}", url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Socket errors" in said or "Non-2xx" in said:
        raise AssertionError(f"{url}: {said}")
    return float(re.search(r"Requests/sec:\s*([0-9.]+)", said)[1])


def load_by_python(url: str, cookies: list[str], clients: int, seconds: float) -> float:
    """Return the requests a second that a process of ours had answered."""
    command = [sys.executable, __file__, "--load", json.dumps([url, cookies, clients, seconds])]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def ask_for_a_while(url: str, cookies: list[str], clients: int, seconds: float) -> float:
    """Return the requests a second that threads of this process had answered."""
    _, _, host, path = url.split("/", 3)
    counts: list[int] = []

    def ask(number: int) -> None:
        connection, count = HTTPConnection(host, timeout=10), 0
        while time.monotonic() < end:
            cookie = cookies[(number + count * clients) % len(cookies)]
            connection.request("GET", "/" + path, headers={"Cookie": cookie})
            response = connection.getresponse()
            response.read()
            count += response.status == 200 or -1_000_000_000
        counts.append(count)

    threads = [Thread(target=ask, args=[number]) for number in range(clients)]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(counts) < clients or min(counts) < 0:
        raise AssertionError(f"{url}: an answer was no 200")
    return sum(counts) / seconds


def find_client(options: argparse.Namespace) -> tuple[str, Load]:
    """Return what makes the load; end with a word of what to install if it is not there."""
    tool = options.client or ("python" if options.quick else "wrk")
    if tool == "python":
        return "a client in Python", load_by_python
    if shutil.which("wrk") is None:
        sys.exit(
            "wrk is not on the PATH: apt-get install wrk, or brew install wrk. (A client in Python"
            " is slower than the servers, so that its figures are its own: --client python.)"
        )
    return "wrk", load_by_wrk


# The measurement.


def measure(names: list[str], load: Load, clients: int, rounds: int, seconds: float) -> Rates:
    """Return the rates of each round, in which all take turns."""
    rates: Rates = defaultdict(list)
    with ExitStack() as stack:
        ports = {name: stack.enter_context(running(name)) for name in names}
        field = {name: prove(name, port) for name, port in ports.items()}
        for number in range(rounds + 1):
            for kind in KINDS:
                for name, cookies in field.items():
                    url = f"http://127.0.0.1:{ports[name]}/{kind}"
                    rate = load(url, cookies, clients, seconds if number else seconds / 4)
                    if number:  # the first round is not counted: V8 compiles what is hot
                        rates[name, kind].append(rate)
    return rates


def tables(rates: Rates) -> list[Lines]:
    """Return requests a second, and which part of somebody else's they are in the same round."""
    names = list(dict.fromkeys(name for name, _ in rates))
    found = [["requests a second", *KINDS]]
    found += [[name, *(Spread.of(rates[name, kind]).text(0) for kind in KINDS)] for name in names]
    pairs = [(name, BASES[name]) for name in names if name not in BASES.values()]
    pairs += [(OURS, other) for other in (BEAKER, EXPRESS_SESSION) if other in names]
    parts = [["ratio", *KINDS]]
    for one, other in pairs:
        ratios = (_ratios(rates[one, kind], rates[other, kind]).text(2) for kind in KINDS)
        parts.append([f"{one} : {other}", *ratios])
    return [found, parts]


def _ratios(ones: list[float], others: list[float]) -> Spread:
    return Spread.of([one / other for one, other in zip(ones, others, strict=True)])


def draw(rates: Rates, conditions: str) -> str:
    """Return a picture of the table, as SVG."""
    names = list(dict.fromkeys(name for name, _ in rates))
    groups = {kind: {name: Spread.of(rates[name, kind]) for name in names} for kind in KINDS}
    return bars(f"Requests a second over loopback: {conditions}", groups, OURS, digits=0)


def add_client_options(parser: argparse.ArgumentParser) -> None:
    """Add what ``growth.py`` has, too."""
    parser.add_argument("--client", choices=["wrk", "python"], help="what makes the load; wrk")
    parser.add_argument(
        "--quick", action="store_true", help="see that it runs; figures mean little"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of load, for each in each round")
    parser.add_argument("--clients", type=int, default=8, help="connections that are kept open")
    add_client_options(parser)
    parser.add_argument("--write", action="store_true", help="put the tables into figures.md")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="write the picture, an SVG")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--load", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve or options.load:
        return serve(*options.serve) if options.serve else print(ask_for_a_while(*options.load))
    tool, load = find_client(options)
    rounds, seconds = (1, 0.1) if options.quick else (options.rounds, options.seconds)
    rates = measure(contestants(), load, options.clients, rounds, seconds)
    conditions = f"{tool}, {options.clients} connections, waitress with {THREADS} threads"
    caption = (
        f"Over loopback: {conditions}, {COOKIES} sessions. Median of {rounds} rounds of"
        f" {seconds:g} s, in brackets the quartiles. {about()}."
    )
    print(caption, *map(as_text, tables(rates)), sep="\n\n")
    if options.write:
        write_part(FIGURES, "throughput", [caption, *map(as_markdown, tables(rates))])
    if options.draw is not None:
        options.draw.write_text(draw(rates, conditions), encoding="utf-8")


if __name__ == "__main__":
    main()
