"""A learner's application on a real port, and a browser for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import requests

from ..lab import Server, serve
from .exercise import ServerError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_TIMEOUT = 5  # seconds that a browser waits
_numbers = count(1)


class Browser(requests.Session):
    """Keeps its cookies, asks one server, and raises ``ServerError`` where that one failed."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.trust_env = False  # no proxy, no .netrc
        self._server = server

    def request(self, method: Any, url: Any, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request to a path, such as ``/login``."""
        options = {"timeout": _TIMEOUT, "allow_redirects": False, **options}
        response = super().request(method, self._server.url + str(url), *arguments, **options)
        if response.status_code == 500 and self._server.errors:
            raise ServerError(self._server.errors)
        return response


@contextmanager
def running(app: "WSGIApplication") -> Iterator[Callable[[], Browser]]:
    """Run an application while the body runs; what comes with it makes browsers."""
    with serve(app, f"exercise {next(_numbers)}") as server:
        yield lambda: Browser(server)


def race(*works: Callable[[], object]) -> None:
    """Run functions at once, each in a thread, and wait for all. Raises what the first one did."""
    gate, errors = Barrier(len(works)), []

    def run(work: Callable[[], object]) -> None:
        try:
            gate.wait()
            work()
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=run, args=[work], daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
