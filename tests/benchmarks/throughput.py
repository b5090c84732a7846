"""Measure how many requests a second a real server answers, with and without sessions.

    python tests/benchmarks/throughput.py [--quick] [--rounds N] [--seconds N] [--draw FILE]

All is over loopback. Bottle stands under waitress, a server with threads: bare, with sessionlab and
with Beaker; Express under Node: bare and with express-session. Each server is a process of its own,
and so is the client: wrk where it is on the PATH (``apt-get install wrk``), else, and if it is to
be quick, one in Python, which may be slower than the servers are; the table says which. Each keeps
its records in memory.

The rules of this file: all take turns in each round, and a ratio is that of one round. The clients
share as many sessions as there are cookies, more than there are clients, as no browser waits for
itself. Nothing is timed before it was seen to work, and a run with one answer that is no 200
counts for nothing.
"""

import argparse
import json
import platform
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
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' own modules
sys.path.insert(0, str(Path(__file__).parents[2]))  # this checkout, not an installed version

from benchmarks.applications import DATA, NEIGHBOUR, SECRET, Application, bottle_app, make_views
from benchmarks.drawing import bars

BARE, OURS, BEAKER = "Bottle", "Bottle, sessionlab", "Bottle, Beaker"
EXPRESS, EXPRESS_SESSION = "Express", "Express, express-session"
BASES = {BARE: BARE, OURS: BARE, BEAKER: BARE, EXPRESS: EXPRESS, EXPRESS_SESSION: EXPRESS}
KINDS = ("read", "write", "untouched")
COOKIES = 64
THREADS = 4  # of the server; waitress' own default

Rates = dict[tuple[str, str], list[float]]  # requests a second in each round

# The servers.


def application(name: str) -> Application:
    """Return one of the applications in Python."""
    plain = dict(DATA)
    if name == BARE:
        return bottle_app(make_views(lambda request: plain))
    if name == OURS:
        import sessionlab

        return sessionlab.SessionMiddleware(bottle_app(make_views(attrgetter("session"))), SECRET)
    import beaker.middleware

    session_of = lambda request: request.environ["beaker.session"]  # noqa: E731
    app = bottle_app(make_views(session_of, methodcaller("save")))
    return beaker.middleware.SessionMiddleware(app, secret=SECRET)


def serve(name: str) -> None:
    """Serve an application until this process ends; the port is the line that is printed."""
    import waitress

    server = waitress.create_server(application(name), host="127.0.0.1", port=0, threads=THREADS)
    print(server.effective_port, flush=True)
    server.run()


@contextmanager
def running(name: str) -> Iterator[int]:
    """Start a server of its own, and give its port."""
    command = [sys.executable, __file__, "--serve", name]
    if BASES[name] == EXPRESS:
        from node import FOLDER, find_node

        kind = "bare" if name == EXPRESS else "session"
        command = [find_node(), str(FOLDER / "throughput.js"), kind, SECRET, json.dumps(DATA)]
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


# The measurement.


def measure(
    names: list[str], load: Callable[..., float], clients: int, rounds: int, seconds: float
) -> Rates:
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


def print_table(rates: Rates) -> None:
    """Print requests a second, and what part of the same application without sessions they are."""
    names = list(dict.fromkeys(name for name, _ in rates))
    print("requests a second".ljust(30), *(kind.rjust(10) for kind in KINDS))
    for name in names:
        print(name.ljust(30), *(f"{median(rates[name, kind]):10.0f}" for kind in KINDS))
    print("\nratios".ljust(31), *(kind.rjust(10) for kind in KINDS))
    pairs = [(name, BASES[name]) for name in names if name not in BASES.values()]
    for one, other in [*pairs, (OURS, BEAKER)]:
        parts = (_ratio(rates[one, kind], rates[other, kind]) for kind in KINDS)
        print(f"{one} : {other}".ljust(30), *(f"{part:10.2f}" for part in parts))


def _ratio(ones: list[float], others: list[float]) -> float:
    return median(one / other for one, other in zip(ones, others, strict=True))


def draw(rates: Rates) -> str:
    """Return a picture of the table, as SVG."""
    names = list(dict.fromkeys(name for name, _ in rates))
    groups = {kind: {name: median(rates[name, kind]) for name in names} for kind in KINDS}
    return bars("Requests a second over loopback, one process each", groups, OURS, digits=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of load, for each in each round")
    parser.add_argument("--clients", type=int, default=8, help="connections that are kept open")
    parser.add_argument(
        "--quick", action="store_true", help="see that it runs; figures mean little"
    )
    parser.add_argument("--draw", type=Path, metavar="FILE", help="write the picture, an SVG")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--load", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve or options.load:
        return serve(options.serve) if options.serve else print(ask_for_a_while(*options.load))
    names: list[Any] = list(BASES) if shutil.which("node") else [BARE, OURS, BEAKER]
    is_wrk = shutil.which("wrk") is not None and not options.quick
    tool, load = ("wrk", load_by_wrk) if is_wrk else ("a client in Python", load_by_python)
    rounds, seconds = (1, 0.1) if options.quick else (options.rounds, options.seconds)
    print(
        f"Python {platform.python_version()}; {tool}, {options.clients} connections; median of"
        f" {rounds} rounds of {seconds:g} s each\n"
    )
    rates = measure(names, load, options.clients, rounds, seconds)
    print_table(rates)
    if options.draw is not None:
        options.draw.write_text(draw(rates), encoding="utf-8")


if __name__ == "__main__":
    main()
