"""Take down what really happens, in the order in which it happens, for a ``timeline``.

The rules of this file: what is taken down is what was done, by whom, and what came of it; nothing
is typed in beforehand. A step of the store and its note are one, under one lock, so that the notes
of many threads stand in the order of the steps.
"""

from collections.abc import Callable, Iterable, Iterator
from threading import RLock, local
from typing import TYPE_CHECKING, Any

from ..stores import Record
from .displays import record_parts
from .table import GREEN, PLAIN, RED
from .timeline import Step

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_METHODS = ("get", "create", "replace", "set", "touch", "destroy")  # ``set``: a naive store's
_current = local()  # the request that this thread answers


class Story:
    """Steps as they happen; any thread may add to it. ``timeline(story)`` draws it."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._lock = RLock()

    def note(self, lane: str, text: str, to: str | None = None, tint: str = PLAIN) -> None:
        """Take down a step."""
        with self._lock:
            self._steps.append(Step(lane, text, to, tint))

    def __iter__(self) -> Iterator[Step]:
        with self._lock:
            return iter(list(self._steps))

    def clear(self) -> None:
        """Forget all steps, so that the story begins here."""
        with self._lock:
            self._steps.clear()

    def watch_store(self, store: Any, lane: str | None = None) -> Any:
        """Return the store, with a note of each step that is done through what is returned.

        ``lane``: who does it; else the request that is being answered, see ``watch_app``.
        """
        return _WatchedStore(self, store, lane)

    def watch_app(
        self, app: "WSGIApplication", client: str | None = "browser"
    ) -> "WSGIApplication":
        """Return the application, with a note of each request and response.

        The lane of a request is its method and path: ``GET /home``. ``client`` is the lane of who
        sends it; without one, both notes stand in the lane of the request.
        """
        return _WatchedApp(self, app, client)

    def do(self, lane: str, name: str, act: Callable[..., Any], arguments: Iterable[Any]) -> Any:
        """Call a method of a store, and take it down."""
        given = list(arguments)
        with self._lock:
            result = act(*given)
            texts = [_data(Record(text, 0)) for text in given[1:] if isinstance(text, str)]
            outcome = _data(result) if isinstance(result, Record) else str(result)
            said = " ".join([name, " by ".join(texts)]).strip()
            told = said if name in ("set", "destroy") else f"{said} → {outcome}"
            tints = {True: GREEN, False: RED} if name == "replace" else {}
            self.note(lane, told, "store", tints.get(result, PLAIN))
        return result


def _data(record: Record) -> str:
    return record_parts(record)["data"]


class _WatchedStore:
    """Not to be iterated over: so a server's own looks at the store are not part of the story."""

    def __init__(self, story: Story, store: Any, lane: str | None) -> None:
        self._story, self._lane, self.unwatched = story, lane, store

    def __getattr__(self, name: str) -> Any:
        act = getattr(self.unwatched, name)
        if name not in _METHODS:
            return act

        def told(*arguments: Any) -> Any:
            lane = self._lane or str(getattr(_current, "lane", "somebody"))
            return self._story.do(lane, name, act, arguments)

        return told


class _WatchedApp:
    def __init__(self, story: Story, app: "WSGIApplication", client: str | None) -> None:
        self._story, self.app, self._client = story, app, client
        store = getattr(app, "store", None)
        self.store = getattr(store, "unwatched", store)  # where a server finds it

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        request = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO') or '/'}"

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            sets = any(name.lower() == "set-cookie" for name, _ in headers)
            said = status + (", Set-Cookie" if sets else "")
            self._story.note(request, said, self._client)
            return start_response(status, headers, exc_info)

        sender = self._client or request
        self._story.note(sender, "request", None if sender == request else request)
        _current.lane = request
        return self.app(environ, start)
