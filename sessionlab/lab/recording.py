"""What Express once did with a request, played again on a real store.  Notebook: 09-scaling-out.

Format of ``express.json``: a list of exchanges. Each has the ``request`` (method, path, the fields
of its form or JSON, whether a signed session id came with it); ``new_ids``, how many session ids
Express made; ``store``, the commands that connect-redis sent, a ``GET`` with the text that it got;
and the ``response``. The names ``<id>``, ``<new id 0>`` and ``<new cookie 0>`` stand for what
differs with each id. ``tests/express/make_recordings.py`` writes it with the real Express.
"""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote

from ..cookies import parse_cookies
from ..signing import BadSignature, sign, unsign
from .exchanges import requested_path

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FILE = Path(__file__).with_name("express.json")

_NOT_RECORDED = """\
This is a recording of Express. It does not have {method} {path} with these fields and with what the
store holds now. Install Node 20 or newer, and run `npm ci` in tests/express, to ask the real one.
"""


class Answer(NamedTuple):
    """A whole response."""

    status: str
    """As in ``200 OK``."""
    headers: list[tuple[str, str]]
    body: bytes


class Recording:
    """Answers as Express did, and sends the store the commands that Express sent."""

    def __init__(self, redis_url: str, cookie_name: str, secret: str, genid: Callable[[], str]):
        from redis import Redis  # with ``pip install 'sessionlab[redis]'``

        self._client: Any = Redis.from_url(redis_url, decode_responses=True)
        self._cookie_name, self._secret, self._genid = cookie_name, secret, genid
        self._exchanges = json.loads(FILE.read_text(encoding="utf-8"))
        self._lock = Lock()

    def ask(self, environ: "WSGIEnvironment", body: bytes) -> Answer:
        """Return the response of the exchange that began like this one; 501 if there is none."""
        session_id = self._session_id(environ)
        request = {
            "method": environ["REQUEST_METHOD"],
            "path": requested_path(environ),
            "fields": _fields(environ.get("CONTENT_TYPE", ""), body),
            "has_id": session_id is not None,
        }
        with self._lock:
            for exchange in self._exchanges:
                if exchange["request"] == request:
                    known = _fill(exchange, {"<id>": session_id or ""})
                    if self._is_as_then(known["store"]):
                        return self._play(known)
        text = _NOT_RECORDED.format(**request).encode()
        return Answer("501 Not Implemented", [("Content-Type", "text/plain; charset=utf-8")], text)

    def _session_id(self, environ: "WSGIEnvironment") -> str | None:
        for _, value in parse_cookies(environ.get("HTTP_COOKIE", ""), only=self._cookie_name)[:1]:
            try:
                return unsign(value.removeprefix("s:"), self._secret)
            except BadSignature:
                pass
        return None

    def _is_as_then(self, commands: list[list[str]]) -> bool:
        reads = [command[1:] for command in commands if command[0] == "GET"]
        return all(self._client.get(key) == text for key, text in reads)

    def _play(self, exchange: Any) -> Answer:
        names = {}
        for number in range(exchange["new_ids"]):
            new_id = self._genid()
            names[f"<new id {number}>"] = new_id
            names[f"<new cookie {number}>"] = quote("s:" + sign(new_id, self._secret), safe="")
        exchange = _fill(exchange, names)
        for command in exchange["store"]:
            if command[0] != "GET":
                self._client.execute_command(*command)
        response = exchange["response"]
        headers = [(key, value) for key, value in response["headers"]]
        return Answer(response["status"], headers, response["body"].encode())

    def stop(self) -> None:
        """Close the connection to the store."""
        self._client.close()


def _fields(content_type: str, body: bytes) -> Any:
    try:
        if content_type.startswith("application/json"):
            return json.loads(body)
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    except ValueError:
        return None  # which no recording has


def _fill(exchange: Any, names: dict[str, str]) -> Any:
    text = json.dumps(exchange)
    for name, value in names.items():
        text = text.replace(name, value)
    return json.loads(text)
