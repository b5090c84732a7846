"""Many clients at once, and how long each of their requests took.  Notebook: 09-scaling-out.

The rules of this file: the application is called as a server calls it, in threads of this process
and without a network, so that what is measured is the application and its store.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from threading import Barrier
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.util import setup_testing_defaults

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Load(NamedTuple):
    """What came of it."""

    per_second: float
    """Requests that succeeded."""
    milliseconds: float
    """The mean time of such a request."""
    refused: int
    """Requests with another status than 200."""


def load(app: "WSGIApplication", clients: int, seconds: float = 0.1) -> Load:
    """Let so many clients ask for ``/`` again and again, each with the cookie it was given.

    Each asks once beforehand, which is not counted.
    """
    cookies = [_ask(app, "")[1] for _ in range(clients)]
    times: list[float] = []
    refused: list[float] = []
    gate = Barrier(clients)

    def ask_for_a_while(cookie: str) -> float:
        gate.wait()
        began = now = perf_counter()
        while now < began + seconds:
            status, cookie = _ask(app, cookie)
            then, now = now, perf_counter()
            (times if status.startswith("200") else refused).append(now - then)
        return now - began

    with ThreadPoolExecutor(clients) as pool:
        took = max(pool.map(ask_for_a_while, cookies))
    return Load(len(times) / took, fmean(times or [0.0]) * 1000, len(refused))


def _ask(app: "WSGIApplication", cookie: str) -> tuple[str, str]:
    # Returns the status, and the cookie that a browser would send next.
    environ: dict[str, Any] = {"HTTP_COOKIE": cookie}
    setup_testing_defaults(environ)
    said: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        said[:] = [status, dict(headers).get("Set-Cookie", cookie).partition(";")[0]]

    _read(app(environ, start_response))
    return said[0], said[1]


def _read(body: Iterable[bytes]) -> None:
    try:
        for _ in body:
            pass
    finally:
        if hasattr(body, "close"):
            body.close()
