"""What went over the wire, and what became of the session: one exchange, and a list of them.

The rules of this file: of the headers, only ``Cookie``, ``Set-Cookie`` and ``Vary`` are kept. A
date, a port or a browser's name differs in each run, and ``Authorization`` is nobody's business.
"""

from collections.abc import Iterable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..cookies import parse_cookies
from ..policy import Decision
from ..stores import Record
from .displays import changes, record_parts
from .table import CAME, CHANGED, GREEN, PLAIN, WENT, Cell, Display, Row, Table, shorten

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Snapshot = dict[str, Record]

_LONGEST_BODY = 2000  # bytes that are kept
_MOST_LINES = 8  # of a body that are displayed
_MOST_EXCHANGES = 500


class Exchange(Display):
    """One request and its response.

    ``path`` has the query in it, ``cookie`` is the header that came, ``status`` the line (``200
    OK``), ``set_cookies`` the headers that went. ``before`` and ``after`` are the records of the
    store by id, or None where it could not be looked at; requests at the same time show there too.
    ``decision`` is the middleware's, or None where there was none. ``speaker`` is who answered.
    """

    def __init__(
        self, environ: "WSGIEnvironment", before: Snapshot | None, speaker: str = "server"
    ) -> None:
        self.number = 0  # until it is in the list
        self.speaker = speaker
        self.method: str = environ["REQUEST_METHOD"]
        self.path = requested_path(environ)
        self.cookie: str = environ.get("HTTP_COOKIE", "")
        self.status = self.vary = ""
        self.set_cookies: list[str] = []
        self.before, self.after = before, before
        self.decision: Decision | None = None
        self._start, self._size, self._type = b"", 0, ""  # of the body
        self._length: int | None = None
        self._host, self._port = environ["SERVER_NAME"], environ["SERVER_PORT"]

    def begin(self, status: str, headers: list[tuple[str, str]]) -> None:
        """Take down status and headers; after an error, an application may begin again."""
        values: dict[str, list[str]] = {}
        for name, value in headers:
            values.setdefault(name.lower(), []).append(value)
        self.status, self.vary = status, ", ".join(values.get("vary", []))
        self.set_cookies = values.get("set-cookie", [])
        self._type = values.get("content-type", [""])[-1]
        length = "0" if self.method == "HEAD" else values.get("content-length", [""])[-1]
        self._length = int(length) if length.isdecimal() else None

    def add(self, chunk: bytes) -> None:
        """Take down a piece of the body."""
        self._start += chunk[: _LONGEST_BODY - len(self._start)]
        self._size += len(chunk)

    @property
    def is_complete(self) -> bool:
        """Whether the client has been handed as much as it waits for."""
        return self._length is not None and self._size >= self._length

    @property
    def body(self) -> str:
        """The body; of a long one the first 2000 bytes, of what is no text the size."""
        if self._start and not self._type.startswith(("text/", "application/json")):
            return f"({self._size} bytes of {self._type or 'no stated type'})"
        more = f"… ({self._size} bytes)" if self._size > len(self._start) else ""
        text = self._start.decode(errors="replace")
        # Bottle's error pages repeat the address, and its port differs in each run.
        return text.replace(f"{self._host}:{self._port}", self._host) + more

    def __repr__(self) -> str:
        return f"<Exchange {self.number}: {self.method} {self.path} → {self.status}>"

    def tables(self) -> Iterable[Table]:
        request = [f"{self.method} {self.path}", f"Cookie: {self.cookie or '(none)'}"]
        response = [self.status, *(f"Set-Cookie: {text}" for text in self.set_cookies)]
        response += [f"Vary: {self.vary}"] if self.vary else []
        response += ["", *_beginning(self.body)] if self.body else []
        rows = [
            Row([f"browser → {self.speaker}", request]),
            Row([f"{self.speaker} → browser", response]),
        ]
        yield Table(f"{self.method} {self.path} → {self.status}", ["message", "what it says"], rows)
        if self.before is not None and self.after is not None:
            yield changes(self.before, self.after)
        if self.decision is not None:
            yield Table("why", ["part", "done", "reason"], _why(self.decision), prose=["reason"])

    def summary(self) -> Row:
        """Return the row of this exchange in a table of many."""
        sent = _short_cookies(self.cookie)
        set_cookies = [text for line in self.set_cookies for text in _short_cookies(line, only=1)]
        code = self.status.partition(" ")[0]
        request: Cell = f"{self.method} {self.path}"
        return Row([str(self.number), request, sent, code, set_cookies, self._stored()])

    def _stored(self) -> list[str]:
        before, after = self.before or {}, self.after or {}
        went = [f"{WENT} {shorten(key)}" for key in before if key not in after]
        return went + [
            f"{CHANGED if key in before else CAME} {shorten(key)} {record_parts(record)['data']}"
            for key, record in after.items()
            if key not in before or before[key].text != record.text
        ]


def requested_path(environ: "WSGIEnvironment") -> str:
    """Return the path of a request as it was sent, and the query if there is one."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "") or "/"
    query = environ.get("QUERY_STRING", "")
    return quote(path, "/;=,:@!$&'()*+~", "latin-1") + (f"?{query}" if query else "")


def _beginning(body: str) -> list[str]:
    lines = body.splitlines()
    more = len(lines) - _MOST_LINES
    return lines if more <= 0 else [*lines[:_MOST_LINES], f"… ({more} more lines)"]


def _short_cookies(header: str, only: int | None = None) -> list[str]:
    pairs = parse_cookies(header)[:only]
    return [f"{name}={shorten(value, 10) or '(empty)'}" for name, value in pairs]


def _why(decision: Decision) -> list[Row]:
    answers = {part.replace("_", " "): verdict for part, verdict in decision._asdict().items()}
    return [
        Row([part, "yes" if verdict else "no", verdict.why], GREEN if verdict else PLAIN)
        for part, verdict in answers.items()
    ]


class Exchanges(Display, Sequence[Exchange]):
    """The exchanges of a server in the order in which their responses began; the last 500."""

    def __init__(self, exchanges: Iterable[Exchange] = ()) -> None:
        self._exchanges = list(exchanges)
        self._count, self._lock = 0, Lock()

    def add(self, exchange: Exchange) -> None:
        """Number an exchange and append it, unless it is there."""
        with self._lock:
            if not exchange.number:
                self._count += 1
                exchange.number = self._count
                self._exchanges.append(exchange)
                del self._exchanges[:-_MOST_EXCHANGES]

    def __len__(self) -> int:
        return len(self._exchanges)

    def __getitem__(self, index: Any) -> Any:
        chosen = self._exchanges[index]
        return Exchanges(chosen) if isinstance(index, slice) else chosen

    def tables(self) -> Iterable[Table]:
        columns = ["#", "request", "Cookie", "status", "Set-Cookie", "changed in the store"]
        rows = [exchange.summary() for exchange in list(self._exchanges)]
        yield Table(
            "exchanges", columns, rows or [Row(["(none)", "no request came yet", *[""] * 4])]
        )
