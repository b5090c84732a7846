"""The two sides of a comparison, each behind HTTP: the real express-session, and ours.

A *scenario* is the options of the middleware and a list of requests; `scenarios.py` has them, and
`runs.py` sends them. Clock and ids are given to both sides. A side is told to ``begin`` a scenario
and what to ``expect`` of the next request; then the request is sent to its ``port``, and it is
asked what it could ``observe``.
"""

import json
import re
from typing import NamedTuple

from bottle import Bottle, request, response
from node import Node

from sessionlab import CookieOptions, MemoryStore, SessionMiddleware, StoreError
from sessionlab.lab import serve

SECRET = "the first secret, which signs, of 32 bytes or more"
OLDER = "the retired secret, which only verifies, of 32 bytes"
FOREIGN = "a secret that nobody here knows, of 32 bytes or more"

COOKIE_OPTIONS = set(CookieOptions._fields)
OURS_ALONE = {"touch_after", "absolute_timeout", "max_bytes"}
# What the defaults of the two are is no matter, but in the scenarios that ask for them.
EXPLICIT = {
    "secret": SECRET,
    "resave": False,
    "rolling": False,
    "save_uninitialized": False,
    "proxy": False,
    "secure": False,
    "same_site": None,
    "touch_after": 0,
}
DEFAULT = "default"  # as the value of an option: leave it out


class Request(NamedTuple):
    """A request: what its handler does, and what the browser sends.

    ``cookie`` is a name of `Browser`, or the text of a header with ``{jar}`` and ``{sign ID}`` in
    it, or ``jar or`` such a text. Before it is sent, ``wait`` seconds pass. ``failing`` are the
    operations of the store that fail.
    """

    actions: tuple[str, ...]
    cookie: str = "jar"
    wait: float = 0
    path: str = "/"
    method: str = "GET"
    https: bool = False
    failing: tuple[str, ...] = ()


class Scenario(NamedTuple):
    name: str
    requests: list[Request]
    options: dict
    records: dict
    """What the store holds at the beginning: id to text."""
    row: str | None = None
    """The row of the README's table that it shows: the first cell."""
    express: tuple[str, ...] = ()
    """The lines that Express's trace has and ours has not."""
    here: tuple[str, ...] = ()
    """The lines that ours has and Express's has not."""

    @property
    def given(self):
        """The options that are given to both sides."""
        options = {**EXPLICIT, **self.options}
        return {key: value for key, value in options.items() if value != DEFAULT}


# Express.


class Express:
    """The real package, in one process of Node for all scenarios."""

    def __init__(self, is_rewritten=False):
        self._node = Node("parity.js")
        self.port = self._node.receive()["port"]
        self._is_rewritten = is_rewritten

    def tell(self, command, **values):
        return self._node.ask({"command": command, **values})

    def begin(self, scenario, clock):
        self._clock = clock
        self._tick()
        records = {key: _stored(text) for key, text in scenario.records.items()}
        self.tell("begin", options=_to_javascript(scenario.given), records=records)

    def expect(self, number, wanted):
        self._tick()
        ids = [f"{number}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
        values = {"actions": wanted.actions, "failing": wanted.failing, "ids": ids}
        self.tell("expect", rewritten=self._is_rewritten, **values)

    def observe(self):
        return self.tell("observe")

    def _tick(self):
        self.tell("tick", time=round(self._clock() * 1000))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._node.__exit__(*error)


def _to_javascript(options):
    values = {key: value for key, value in options.items() if key not in OURS_ALONE}
    cookie = {_camel(key): values.pop(key) for key in COOKIE_OPTIONS & values.keys()}
    if cookie.get("maxAge") is not None:
        cookie["maxAge"] = round(cookie["maxAge"] * 1000)
    given = {key: value for key, value in cookie.items() if value is not None}
    return {**{_camel(key): value for key, value in values.items()}, "cookie": given}


def _camel(name):
    return re.sub("_(.)", lambda match: match[1].upper(), name)


def _stored(text):
    age = re.search('"originalMaxAge":([0-9]+)', text)
    return {"text": text, "seconds": int(age[1]) / 1000 if age else 86400}


# Ours.


class RecordingStore:
    """A memory store that writes down what it is asked to do. A text replaced is a ``set``."""

    def __init__(self, clock):
        self._now = clock
        self.store = MemoryStore(clock)
        self.calls = []
        self.failing = ()

    def get(self, session_id):
        self._meet("get")
        record = self.store.get(session_id)
        self.calls.append(f"get {session_id}" + ("" if record else ": none"))
        return record

    def create(self, session_id, text, expires_at):
        self._meet("set")
        return self._set(self.store.create(session_id, text, expires_at), session_id)

    def replace(self, session_id, old, new, expires_at):
        self._meet("set")
        return self._set(self.store.replace(session_id, old, new, expires_at), session_id)

    def touch(self, session_id, expires_at):
        self._meet("touch")
        is_done = self.store.touch(session_id, expires_at)
        left = f", {self._left(session_id)}" if is_done else ": none"
        self.calls.append(f"touch {session_id}{left}")
        return is_done

    def destroy(self, session_id):
        self._meet("destroy")
        self.store.destroy(session_id)
        self.calls.append(f"destroy {session_id}")

    def records(self):
        found = {key: self.store.get(key) for key in self.store}
        return {
            key: {"seconds": _number(record.expires_at - self._now()), "text": record.text}
            for key, record in found.items()
        }

    def _set(self, is_done, session_id):
        if is_done:
            text = self.store.get(session_id).text
            self.calls.append(f"set {session_id}, {self._left(session_id)}: {text}")
        else:
            self.calls.append(f"set {session_id}: refused")
        return is_done

    def _left(self, session_id):
        return f"{_number(self.store.get(session_id).expires_at - self._now())} s"

    def _meet(self, operation):
        if operation in self.failing or (operation == "get" and "connection" in self.failing):
            self.calls.append(f"{operation} fails")
            raise StoreError("the store is down")


def _number(seconds):
    # As JavaScript writes it: 60, and not 60.0.
    seconds = round(seconds, 3)
    return int(seconds) if seconds == int(seconds) else seconds


class Sessionlab:
    """Our side, in this process: a Bottle application behind a real server.

    A harness must be able to fail: ``store`` is the kind of store, and a test may give a wrong one.
    """

    def __init__(self, store=RecordingStore):
        self._make_store = store
        self._server = serve(self._dispatch, name=f"parity {id(self)}")
        self.port = int(self._server.url.rpartition(":")[2])

    def begin(self, scenario, clock):
        self._clock = clock
        self.store = self._make_store(clock)
        for key, text in scenario.records.items():
            self.store.store.create(key, text, clock() + _stored(text)["seconds"])
        options = scenario.given
        cookie = {key: options.pop(key) for key in COOKIE_OPTIONS & options.keys()}
        self._middleware = SessionMiddleware(
            self._application(),
            store=self.store,
            cookie=CookieOptions(**cookie),
            genid=lambda: next(self._ids),
            now=clock,
            **options,
        )

    def expect(self, number, wanted):
        self._ids = (f"{number}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
        self._actions, self._seen = wanted.actions, []
        self.store.calls, self.store.failing = [], wanted.failing

    def observe(self):
        return {
            "seen": self._seen,
            "calls": self.store.calls,
            "records": self.store.records(),
            "facts": {},
        }

    def _dispatch(self, environ, start_response):
        return self._middleware(environ, start_response)

    def _application(self):
        app = Bottle()
        app.route(["/", "/<path:path>"], ["GET", "POST", "HEAD"], self._handle)
        return app

    def _handle(self, path=""):
        session = request.environ.get("sessionlab.session")
        if session is None:
            self._seen.append("no session")
            return "ok"
        chunks = self._run(session)
        if any(action.startswith("send ") for action in self._actions):
            return chunks
        list(chunks)
        return "ok"

    def _run(self, session):
        for action in self._actions:
            if action == "raise":
                raise RuntimeError("raised")
            verb, _, rest = action.partition(" ")
            if verb == "send":
                yield rest.encode()
                continue
            try:
                answer = self._act(session, verb, rest)
            except Exception:  # of any kind; a handler would not go on
                answer = "error"
            if answer is not None:
                self._seen.append(f"{action}: {answer}")

    def _act(self, session, verb, rest):
        key, _, value = rest.partition(" ")
        match verb:
            case "read":
                return _read(session, rest)
            case "id":
                return session.id
            case "age":
                return _milliseconds(session.cookie.max_age)
            case "original_age":
                return _milliseconds(session.cookie.original_max_age)
            case "regenerate":
                session.regenerate(keep_data=rest == "keep")
            case "save" | "reload" | "touch" | "destroy":
                getattr(session, verb)()
            case "max_age":
                session.cookie.max_age = json.loads(rest)
            case "expires":
                seconds = json.loads(rest)
                session.cookie.expires = None if seconds is None else self._clock() + seconds
            case "attribute":
                setattr(session.cookie, key, json.loads(value))
            case "status":
                response.status = int(rest)
            case "header":
                response.add_header(key, value)
            case "wait":
                self._clock.advance(json.loads(rest))
            case "elsewhere":
                self._elsewhere(session.id, rest)
            case "held":  # a session is the same object all through a request
                _write(session, rest)
            case _:
                _write(session, f"{verb} {rest}")
        return None

    def _elsewhere(self, session_id, action):
        records = self.store.store
        record = records.get(session_id)
        if action == "destroy":
            return records.destroy(session_id)
        values = json.loads(record.text)
        _write(values, action)
        new = json.dumps(values, separators=(",", ":"))
        return records.replace(session_id, record.text, new, record.expires_at)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._server.stop()


def _read(session, key):
    if not key:
        return _compact(dict(session))
    return _compact(session[key]) if key in session else "missing"


def _compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _write(target, action):
    verb, key, value = [*action.split(" ", 2), "", ""][:3]
    match verb:
        case "set":
            target[key] = json.loads(value)
        case "append":
            target.setdefault(key, []).append(json.loads(value))
        case "nest":
            inner, _, value = value.partition(" ")
            target.setdefault(key, {})[inner] = json.loads(value)
        case "delete":
            target.pop(key, None)
        case "clear":
            target.clear()
        case _:
            raise SyntaxError(f"no such action: {action}")


def _milliseconds(age):
    return "null" if age is None else f"{_number(age * 1000)} ms"
