"""A real Express beside the notebook's own server, on the same Redis.  Notebook: 09-scaling-out.

The rules of this file: ``express.js`` is the program, and Node runs it; the lab takes down what
passes in front of it. Nothing is ever installed from here. Where Node is missing, a recording of
the same program answers, and says that it is one.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from ..stores import Record
from ..stores.redis import RedisStore
from .errors import Errors
from .exchanges import requested_path
from .recording import Answer, Recording
from .repeatable import fixed_ids
from .server import Server, start
from .source import Source

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SHARED_SECRET = "known to both servers; yours comes from token_hex(32)"  # noqa: S105  a lesson's
COOKIE_NAME = "connect.sid"
PREFIX = "sess:"
SEED = "express"  # of Express's ids, which are those of ``fixed_ids("express")``

PROGRAM = Path(__file__).with_name("express.js")
_CHECKOUT = Path(__file__).parents[2] / "tests" / "express" / "node_modules"
_PACKAGES = ("express", "express-session", "connect-redis", "redis")
_OLDEST_NODE = 20
_PATIENCE = 10  # seconds
_OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "date"}


def serve_express(
    redis_url: str, name: str = "express", node_modules: str | Path | None = None
) -> "ExpressServer":
    """Return a running Express whose sessions are on this Redis or Valkey, as keys ``sess:<id>``.

    ``POST /login`` (``name``), ``GET /whoami``, ``GET /cart``, ``POST /cart`` (``item``) and
    ``POST /logout``; fields as JSON or as a form, answers in JSON. It signs with ``SHARED_SECRET``.
    A server of the same name is stopped first. ``node_modules`` is the folder into which npm has
    put express, express-session, connect-redis and redis; else ``SESSIONLAB_NODE_MODULES`` in the
    environment names it, else it is that of a checkout's ``tests/express``. Where they or Node are
    missing, a recording answers.
    Raises: ``RuntimeError`` when Express can't start, with its words.
    """
    folder = Path(node_modules or os.environ.get("SESSIONLAB_NODE_MODULES") or _CHECKOUT)
    return start(name, lambda: ExpressServer(redis_url, name, folder))


class ExpressServer(Server):
    """A running Express, or the recording of one; used as what ``serve`` returns is used."""

    speaker = "Express"

    def __init__(self, redis_url: str, name: str, node_modules: Path) -> None:
        node, store = _find_node(node_modules), RedisStore.from_url(redis_url, PREFIX)
        self._express: Process | Recording = (
            Process(node, node_modules, redis_url)
            if node
            else Recording(redis_url, COOKIE_NAME, SHARED_SECRET, fixed_ids(SEED))
        )
        super().__init__(_Proxy(self._express, store), name, 0)
        if isinstance(self._express, Process):
            self._express.report_to(self.errors)

    @property
    def is_recording(self) -> bool:
        """Whether a recording answers, because there is no Node here."""
        return isinstance(self._express, Recording)

    @property
    def source(self) -> Source:
        """The part of the program that makes the application, to be displayed."""
        text = PROGRAM.read_text(encoding="utf-8")
        shop = text[text.index("function shop") : text.index("// The same ids")].rstrip()
        return Source(f"// sessionlab/lab/express.js\n{shop}", "javascript")

    def stop(self) -> None:
        super().stop()
        self._express.stop()

    def __repr__(self) -> str:
        state = "running" if self._is_running else "stopped"
        return f"<Express {self.name!r}: {'a recording, ' if self.is_recording else ''}{state}>"


def _find_node(node_modules: Path) -> str | None:
    node = shutil.which("node")
    if node is None or not all((node_modules / package).is_dir() for package in _PACKAGES):
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    major = version.stdout.removeprefix("v").partition(".")[0]
    return node if int(major) >= _OLDEST_NODE else None


class _Proxy:
    """Stands in front of Express, as an application like others, for the lab to look on."""

    def __init__(self, express: "Process | Recording", store: RedisStore) -> None:
        self._express, self.store = express, _Texts(store)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        answer = self._express.ask(environ, environ["wsgi.input"].read(length))
        start_response(answer.status, answer.headers)
        return [answer.body]


class _Texts:
    """The records of a store without their ends, which each ``EXPIRE`` moves, by more or less."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._store))

    def get(self, session_id: str) -> Record | None:
        record = self._store.get(session_id)
        return record and record._replace(expires_at=0)


class Process:
    """Express under Node. It ends when its standard input does, so with us in any case."""

    def __init__(self, node: str, node_modules: Path, redis_url: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            [node, str(PROGRAM)],
            env={**os.environ, "NODE_PATH": str(node_modules)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        streams: Any = self._process.stdin, self._process.stdout, self._process.stderr
        self._stdin, self._stdout, self._stderr = streams
        self._reporter: Thread | None = None
        settings = {"secret": SHARED_SECRET, "name": COOKIE_NAME, "seed": SEED, "prefix": PREFIX}
        self._stdin.write(json.dumps({"redisUrl": redis_url, **settings}) + "\n")
        self._stdin.flush()
        port = self._stdout.readline()
        if not port:
            words = self._stderr.read().strip()
            self.stop()
            raise RuntimeError(f"Express can't start: {words}")
        self._port = int(port)

    def report_to(self, errors: Errors) -> None:
        """Have what Express complains of written there."""

        def report() -> None:
            for line in self._stderr:
                errors.write(line)

        self._reporter = Thread(target=report, daemon=True)
        self._reporter.start()

    def ask(self, environ: "WSGIEnvironment", body: bytes) -> Answer:
        """Hand a request on, and return the whole response."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        try:
            connection.request(
                environ["REQUEST_METHOD"],
                requested_path(environ),
                body or None,
                dict(_headers(environ)),
            )
            response = connection.getresponse()
            headers = [
                (key, value)
                for key, value in response.getheaders()
                if key.lower() not in _OF_THE_CONNECTION
            ]
            return Answer(f"{response.status} {response.reason}", headers, response.read())
        finally:
            connection.close()

    def stop(self) -> None:
        """End the process; it has nothing to lose."""
        self._process.kill()
        self._process.wait()
        if self._reporter is not None:
            self._reporter.join()
        for stream in (self._stdin, self._stdout, self._stderr):
            stream.close()


def _headers(environ: "WSGIEnvironment") -> Iterator[tuple[str, Any]]:
    if content_type := environ.get("CONTENT_TYPE"):
        yield "Content-Type", content_type
    for key, value in environ.items():
        if key.startswith("HTTP_") and key not in ("HTTP_CONNECTION", "HTTP_TRANSFER_ENCODING"):
            yield key.removeprefix("HTTP_").replace("_", "-").title(), value
