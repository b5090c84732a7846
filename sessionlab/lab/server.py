"""A server that lives in a notebook's kernel and takes down what passes.

The rules of this file: it prints nothing, for what a thread prints lands in whichever cell runs.
It takes an exchange down before the client can have the whole of it; an access log races the
client. No lock is held while the application runs: a handler may call its own server.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from socket import SHUT_WR
from socketserver import TCPServer, ThreadingMixIn
from threading import Lock, Thread
from traceback import format_exc
from typing import TYPE_CHECKING, Any, TypeVar
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from .displays import MOST_RECORDS
from .errors import Errors
from .exchanges import Exchange, Exchanges, Snapshot

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HOST = "127.0.0.1"  # never localhost: requests files its cookies under another name
_POLL = 0.02  # seconds; the longest that stop() waits

T = TypeVar("T", bound="Server")

_servers: dict[str, "Server"] = {}
_lock = Lock()


def serve(app: "WSGIApplication", name: str = "lab", port: int = 0) -> "Server":
    """Return a running server of a WSGI application, for this machine alone.

    A server of the same name is stopped first, so that a cell can be run again. Port 0 is any that
    is free. Where the application has a ``store`` with an ``__iter__``, each exchange shows it.
    Raises: ``OSError`` for a port in use.
    """
    return start(name, lambda: Server(app, name, port))


def start(name: str, make: Callable[[], T]) -> T:
    """Return the server that ``make`` starts, after the one of the same name was stopped."""
    with _lock:
        if name in _servers:
            _servers.pop(name).stop()
        _servers[name] = server = make()
    return server


class Server:
    """A running server: its ``url``, its ``exchanges``, and the ``errors`` of its handlers."""

    speaker = "server"  # what its exchanges call it

    def __init__(self, app: "WSGIApplication", name: str, port: int) -> None:
        self.app, self.store = app, _find_store(app)
        self.name = name
        self.errors = Errors()
        self.exchanges = Exchanges()
        self._server = _HTTPServer((_HOST, port), _Handler)
        self._server.errors = self.errors
        self._server.set_app(lambda environ, start: _Recording(self, environ, start).run())
        self.url = f"http://{_HOST}:{self._server.server_port}"
        self._is_running, self._stopping = True, Lock()
        _bypass_proxies()
        Thread(target=self._server.serve_forever, args=[_POLL], daemon=True).start()

    @property
    def last(self) -> Exchange:
        """The exchange whose response began last."""
        if not self.exchanges:
            raise IndexError("no request came yet")
        last: Exchange = self.exchanges[-1]
        return last

    def stop(self) -> None:
        """Stop at once and free the port; what was taken down stays. Stopped already is fine."""
        with self._stopping:
            if self._is_running:
                self._server.shutdown()
                self._server.server_close()
                self._is_running = False

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Server {self.name!r}: {'running' if self._is_running else 'stopped'}>"


class _HTTPServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128  # a lesson sends many requests at once
    allow_reuse_address = os.name == "posix"  # on Windows it would share a port that is in use
    errors: Errors

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks the DNS for our name, which may hang
        self.server_name, self.server_port = _HOST, self.server_address[1]
        self.setup_environ()

    def shutdown_request(self, request: Any) -> None:
        # What a handler left unread would make a reset of the close, and a reset may overtake the
        # response on its way.
        with suppress(OSError):
            request.shutdown(SHUT_WR)
            request.settimeout(1)
            while request.recv(65536):
                pass
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client may go when it likes
            self.errors.write(format_exc())


class _Handler(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Print nothing."""

    def get_stderr(self) -> Any:
        return self.server.errors  # type: ignore[attr-defined]  # it is an _HTTPServer


class _Recording:
    """Passes one exchange on as it comes, and takes it down."""

    def __init__(
        self, server: Server, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> None:
        environ["wsgi.multithread"] = True  # wsgiref says False
        self._server, self._environ, self._server_start = server, environ, start_response
        self._exchange = Exchange(environ, _look(server.store), server.speaker)

    def run(self) -> Iterator[bytes]:
        """Pass the body on; where the application raises, a 500 in its place."""
        try:
            for chunk in self._body():
                self._take_down(chunk)
                yield chunk
            self._take_down(b"", is_end=True)
        except Exception:
            self._server.errors.write(format_exc())
            if self._exchange.number:  # too late for another status
                raise ConnectionAbortedError from None  # upon which wsgiref breaks off, in silence
            yield self._answer_500()

    def _body(self) -> Iterator[bytes]:
        body = self._server.app(self._environ, self._start)
        try:
            yield from body
        finally:
            if hasattr(body, "close"):
                body.close()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self._server_write = self._server_start(status, headers, exc_info)
        self._exchange.begin(status, headers)
        return self._write

    def _write(self, chunk: bytes) -> None:
        self._take_down(chunk)
        self._server_write(chunk)

    def _answer_500(self) -> bytes:
        chunk = b"Internal Server Error: server.errors says why\n"
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(chunk)))]
        self._start("500 Internal Server Error", headers, sys.exc_info())
        self._take_down(chunk)
        return chunk

    def _take_down(self, chunk: bytes, is_end: bool = False) -> None:
        exchange, is_first = self._exchange, not self._exchange.number
        if not exchange.status:
            raise AssertionError("the application did not call start_response before its body")
        if not isinstance(chunk, bytes):
            raise TypeError(f"the body is made of {type(chunk).__name__}: it must be bytes")
        if exchange.is_complete and not is_first:
            return  # the client has it all, and the store may hold what its next request brought
        exchange.add(chunk)
        if is_first or is_end or exchange.is_complete:
            exchange.decision = self._environ.get("sessionlab.decision")
            exchange.after = _look(self._server.store)
            self._server.exchanges.add(exchange)


def _find_store(app: Any) -> Any:
    # Perhaps below other middleware, each of which keeps what it wraps as ``app``.
    for _ in range(10):
        if getattr(app, "store", None) is not None:
            return app.store
        app = getattr(app, "app", None)
    return None


def _look(store: Any) -> Snapshot | None:
    # A learner's own store may fail in any way; that is for the application to meet, not for us.
    try:
        ids = list(islice(store, MOST_RECORDS + 1))
        if len(ids) > MOST_RECORDS:
            return None
        return {key: record for key in ids if (record := store.get(key)) is not None}
    except Exception:
        return None


def _bypass_proxies() -> None:
    # A proxy of the reader's network can't reach this machine's 127.0.0.1.
    small, capital = (os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY"))
    for name, hosts in (("no_proxy", small or capital), ("NO_PROXY", capital or small)):
        if hosts.strip() != "*" and _HOST not in [host.strip() for host in hosts.split(",")]:
            hosts = f"{hosts},{_HOST}" if hosts else _HOST
        os.environ[name] = hosts
