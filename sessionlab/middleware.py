"""Sessions for any WSGI application.  Notebook: 06-middleware.

The rules of this file: it joins the other parts and decides nothing. The application's status and
headers are held back until its session is stored, so that no success is told of a change that was
not kept.
Source: PEP 3333 for what a middleware owes to both sides.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .cookies import CookieOptions, format_set_cookie, parse_cookies, path_matches
from .policy import Decision, Facts, Options, decide
from .session import UNCHANGED, Session, SessionGone, SessionSettings, new_session_id
from .signing import BadSignature, sign, unsign
from .stores import MemoryStore, Store, StoreError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger("sessionlab")

Headers = list[tuple[str, str]]

_SESSION = "sessionlab.session"
_MOST_COOKIES = 8  # of our name that are tried, each at the price of one HMAC a secret
_COOKIES_KNOWN = 1024  # that are not verified again
_FEWEST_BYTES = 32  # of a secret; RFC 2104 section 3: as many as the hash has
_LONGEST_TIMEOUT = 100 * 366 * 86400  # seconds
_WELL_KNOWN = (  # long enough, and on the lists that attackers try first
    "your-super-secret-session-key-here",
    "this-is-a-secret-key-change-in-production",
)
_QUIET = Facts(is_new=False, is_saved=True, is_touch_due=False)  # how most requests end
_STORE_METHODS = ("get", "create", "replace", "touch", "destroy")


class WeakSecretWarning(UserWarning):
    """A secret that can be guessed, so that anybody can sign a cookie."""


class SessionMiddleware:
    """Gives each request of a WSGI application its session, as ``environ["sessionlab.session"]``.

    In Bottle, that is ``request.session``. What became of the session, and why, is afterwards in
    ``environ["sessionlab.decision"]``, a ``Decision``.

    ``secret``: one, or several, newest first; the first signs, all verify. 32 bytes or more.
    ``name``, ``cookie``: the cookie's name and its options, or a function from the environ to them.
    ``resave``, ``rolling``, ``save_uninitialized``: see ``Options``.
    ``genid``, ``idle_timeout``, ``absolute_timeout``, ``max_bytes``, ``now``: see
    ``SessionSettings``.
    ``proxy``: whether to believe ``X-Forwarded-Proto``, which any client can send.
    ``touch_after``: a read renews the record if its expiry moves by more than these seconds.
    Raises: ``ValueError`` or ``TypeError`` for what can't work, saying what to write instead.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        secret: str | Sequence[str],
        *,
        store: Store | None = None,
        name: str = "connect.sid",
        cookie: CookieOptions | Callable[["WSGIEnvironment"], CookieOptions] = CookieOptions(),
        genid: Callable[[], str] = new_session_id,
        resave: bool = False,
        rolling: bool = False,
        save_uninitialized: bool = False,
        proxy: bool = False,
        idle_timeout: float = 86400,
        absolute_timeout: float | None = None,
        touch_after: float = 60,
        max_bytes: int = 1_000_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self.secrets = _check_secrets(secret)
        self.store = MemoryStore(now) if store is None else store  # an empty store may be false
        self.name = name
        self.options = Options(resave, rolling, save_uninitialized)
        self.is_always_due = resave or rolling or absolute_timeout is not None
        # Browsers come back with the same cookie. (What has not verified raises, and is not kept.)
        self._verify = lru_cache(_COOKIES_KNOWN)(_verify)
        self.proxy = proxy
        self.touch_after = touch_after
        is_function = callable(cookie) and not isinstance(cookie, type)
        self._choose_cookie: Any = cookie if is_function else None
        fixed: Any = CookieOptions() if is_function else cookie
        times = {"idle_timeout": idle_timeout, "absolute_timeout": absolute_timeout}
        self.settings = SessionSettings(
            fixed, genid, idle_timeout, absolute_timeout, max_bytes, now=now
        )
        self._secure_settings = self.settings._replace(is_secure=True)
        _check(self, {**times, "touch_after": touch_after})

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        settings = self._settings_for(environ)
        if _SESSION in environ or not _is_below(environ, settings.cookie.path):
            return self.app(environ, start_response)
        return _Exchange(self, environ, settings, start_response).run()

    def _settings_for(self, environ: "WSGIEnvironment") -> SessionSettings:
        is_secure = environ["wsgi.url_scheme"] == "https"
        if self.proxy and not is_secure:
            scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").split(",")[0]
            is_secure = scheme.strip().lower() == "https"
        settings = self._secure_settings if is_secure else self.settings
        if self._choose_cookie is None:
            return settings
        return settings._replace(cookie=self._choose_cookie(environ))

    def load(self, environ: "WSGIEnvironment", settings: SessionSettings) -> tuple[Session, bool]:
        """Return the session of a request, and whether a retired secret had signed its cookie.

        Every cookie of our name is tried: a stale or forged one must not hide the good one. An id
        that the store does not know is never taken over. Raises: ``StoreError``.
        """
        for value in self.cookies(environ):
            try:
                session_id, is_retired = self._verify(value[2:], self.secrets)
            except BadSignature:
                continue
            session = Session.load(self.store, session_id, settings) if session_id else None
            if session is not None:
                return session, is_retired
        return Session(self.store, settings), False

    def cookies(self, environ: "WSGIEnvironment") -> list[str]:
        """Return the signed values that came under our name, each once: those that are tried."""
        pairs = parse_cookies(environ.get("HTTP_COOKIE", ""), only=self.name)
        signed = [value for _, value in pairs if value.startswith("s:")]
        return signed if len(signed) < 2 else list(dict.fromkeys(signed))[:_MOST_COOKIES]


class _Exchange:
    """One request and its response, which is held back until the session is stored."""

    _status: str | None = None
    _is_sent = False
    _refusal: list[bytes] | None = None  # the body of a 503 or 409 sent in its place

    def __init__(
        self,
        middleware: SessionMiddleware,
        environ: "WSGIEnvironment",
        settings: SessionSettings,
        server_start: "StartResponse",
    ) -> None:
        self._middleware = middleware
        self._environ = environ
        self._settings = settings
        self._server_start = server_start

    def run(self) -> Iterable[bytes]:
        environ = self._environ
        try:
            self._session, self._is_retired = self._middleware.load(environ, self._settings)
            environ[_SESSION] = environ["bottle.request.ext.session"] = self._session
            body = self._middleware.app(environ, self._start)
        except (StoreError, SessionGone) as error:
            if self._is_sent:
                raise
            return self._refuse(error)
        if type(body) is list and not self._is_sent:  # all is said, and nothing is to be closed
            self._send()
            return body if self._refusal is None else self._refusal
        return _Body(body, self._stream(body), self.finish)

    def _start(
        self, status: str, headers: Headers, exc_info: Any = None
    ) -> Callable[[bytes], object]:
        if self._refusal is not None:
            return self._write  # the answer was given in its place
        if self._is_sent:  # it raises what went wrong, unless no byte has left it yet
            return self._server_start(status, self._complete(headers, self._cookie), exc_info)
        if self._status is not None and exc_info is None:
            raise AssertionError("the application called start_response twice")
        self._status, self._headers = status, headers
        return self._write

    def _write(self, chunk: bytes) -> None:
        if not self._is_sent:
            self._send()
        if self._refusal is None:
            self._server_write(chunk)

    def _stream(self, body: Iterable[bytes]) -> Iterator[bytes]:
        try:
            for chunk in body:
                if chunk and not self._is_sent:
                    self._send()
                if self._refusal is not None:
                    break
                if self._is_sent:
                    yield chunk
        except (StoreError, SessionGone) as error:
            if self._is_sent:
                raise
            self._refusal, self._is_sent = self._refuse(error), True
        if not self._is_sent:
            self._send()
        yield from self._refusal or ()
        self.finish()

    def _send(self) -> None:
        # Store the session; then, and only then, let status and headers go.
        if self._status is None:
            raise AssertionError("the application sent a body before it called start_response")
        try:
            self._cookie = self._commit()
            headers = self._complete(self._headers, self._cookie)
        except (StoreError, SessionGone) as error:
            self._refusal = self._refuse(error)
        else:
            self._server_write = self._server_start(self._status, headers)
        self._is_sent = True

    def _commit(self) -> str | None:
        """Do with the session what is decided, and return the ``Set-Cookie`` text that is due."""
        session, facts = self._session, self._facts()
        decision = self._decide(facts)
        before = self._told = session.key
        if facts is _QUIET:
            return None
        # Before anything is stored, for it may be a cookie that can't be written.
        cookie = self._new_cookie() if decision.set_cookie else None
        try:
            if decision.save:
                session.save()
            elif decision.touch:
                session.touch()
        except SessionGone:
            decision = self._decide(facts._replace(is_gone=True))
            if facts.is_modified:
                raise
        except StoreError as error:
            if decision.save or decision.set_cookie:
                raise
            logger.warning("a session is not renewed: %s", str(error))  # who reads has his answer
        self._told = session.key
        if decision.clear_cookie:
            return self._format_cookie("", expires=0)
        if not decision.set_cookie:
            return None
        is_stale = session.key != before or session.cookie.expires is not None
        return self._new_cookie() if is_stale else cookie

    def _new_cookie(self) -> str:
        value = "s:" + sign(self._session.id, self._middleware.secrets[0])
        return self._format_cookie(value, self._session.cookie.expires)

    def _format_cookie(self, value: str, expires: float | None) -> str:
        name, options = self._middleware.name, self._session.cookie_options
        is_secure = self._settings.is_secure
        return format_set_cookie(name, value, options, expires=expires, is_secure=is_secure)

    def _facts(self) -> Facts:
        middleware, session = self._middleware, self._session
        is_touch_due = not session.is_new and session.needs_touch(middleware.touch_after)
        is_more_due = middleware.is_always_due or self._is_retired
        if is_touch_due or is_more_due:
            session.look()  # what is due depends on what nobody may have read yet
        changes = session.changes()
        if changes == UNCHANGED and not (is_touch_due or is_more_due or session.was_saved):
            return _QUIET  # to put its facts together one by one is a tenth of a read
        cookie = session.cookie_options
        return Facts(
            is_new=session.is_new,
            is_modified=changes.is_modified,
            is_cookie_changed=changes.is_cookie_changed,
            is_saved=changes.is_saved,
            was_saved=session.was_saved,
            is_destroyed=session.is_destroyed,
            has_expiry=cookie.max_age is not None,
            is_touch_due=is_touch_due,
            is_secret_retired=self._is_retired,
            is_insecure=cookie.secure is True and not self._settings.is_secure,
            had_cookie=session.is_destroyed and bool(middleware.cookies(self._environ)),
        )

    def _decide(self, facts: Facts) -> Decision:
        decision = decide(facts, self._middleware.options)
        self._environ["sessionlab.decision"] = decision
        if logger.isEnabledFor(logging.DEBUG):
            for part, verdict in decision._asdict().items():
                logger.debug("%s: %s, %s", part, "yes" if verdict else "no", verdict.why)
        return decision

    def _complete(self, headers: Headers, cookie: str | None) -> Headers:
        if _words(headers, "vary").isdisjoint(("cookie", "*")):
            # Or a shared cache hands one visitor's page to the next.
            headers = [*headers, ("Vary", "Cookie")]
        if cookie is None:
            return headers
        if _words(headers, "cache-control").isdisjoint(("private", "no-store")):
            # Neither of two strangers sent a cookie: for ``Vary`` they are alike, and the second
            # would be handed the first one's. Source: RFC 9111 sections 5.2.2.7 and 7.3.
            headers = [*headers, ("Cache-Control", "private")]
        ours = self._middleware.name
        return [*(pair for pair in headers if not _sets(pair, ours)), ("Set-Cookie", cookie)]

    def _refuse(self, error: Exception) -> list[bytes]:
        # No word of the cause to the visitor, and no cookie: an outage logs nobody out.
        if isinstance(error, SessionGone):
            status, text = "409 Conflict", "the session ended meanwhile"
        else:
            status, text = (
                "503 Service Unavailable",
                "the session store does not answer as it should",
            )
        level = logging.WARNING if status.startswith("409") else logging.ERROR
        logger.log(level, "%s: %s (%s)", status, text, str(error))  # its text: not all it holds
        body = f"{status}: {text}\n".encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
        ]
        self._server_start(status, [*headers, ("Cache-Control", "no-store"), ("Vary", "Cookie")])
        return [b"" if self._environ["REQUEST_METHOD"] == "HEAD" else body]

    def finish(self) -> None:
        """Store what a body that comes in pieces changed after its first byte."""
        if self._refusal is not None or not self._is_sent:
            return
        session, changes = self._session, self._session.changes()
        is_unsaved = changes.is_modified and not (changes.is_saved or session.is_destroyed)
        if is_unsaved:
            session.save()
        is_kept = changes.is_modified or session.was_saved or session.is_destroyed
        told, self._told = self._told, session.key
        if is_unsaved or (is_kept and session.key != told):
            logger.warning("a session changed after the first byte: its cookie can't change now")


class _Body:
    """What the server iterates over and closes."""

    def __init__(
        self, body: Iterable[bytes], chunks: Iterator[bytes], finish: Callable[[], None]
    ) -> None:
        self._body = body
        self._chunks = chunks
        self._finish = finish

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        if hasattr(self._body, "close"):
            self._body.close()
        self._finish()  # also of a body whose client went away


def _is_below(environ: "WSGIEnvironment", cookie_path: str) -> bool:
    if cookie_path == "/":
        return True
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "") or "/"
    return path_matches(quote(path, "/!$&'()*+,=:@", "latin-1"), cookie_path)


def _verify(signed: str, secrets: tuple[str, ...]) -> tuple[str, bool]:
    # The id, and whether a retired secret has signed it.
    try:
        return unsign(signed, secrets[:1]), False
    except BadSignature:
        return unsign(signed, secrets[1:]), True


def _words(headers: Headers, name: str) -> set[str]:
    # What the headers of that name list; RFC 9110 section 5.6.1.
    words: set[str] = set()
    for header, value in headers:
        if header.lower() == name:
            words.update(word.strip() for word in value.lower().split(","))
    return words


def _sets(header: tuple[str, str], name: str) -> bool:
    if header[0].lower() != "set-cookie":
        return False
    found, equals, _ = header[1].partition(";")[0].partition("=")
    return bool(equals) and found.strip(" \t") == name  # RFC 6265 section 5.2: "a =1" sets a


def _check_secrets(secret: str | Sequence[str]) -> tuple[str, ...]:
    secrets: tuple[Any, ...] = (
        tuple(secret) if isinstance(secret, list | tuple) else (secret or "",)
    )
    for text in secrets:
        if not isinstance(text, str):
            raise TypeError(f"a secret of type {type(text).__name__}: write text; of bytes, .hex()")
    if not all(secrets) or not secrets:
        raise ValueError("secret is empty: write what secrets.token_hex(32) once returned")
    shortest = min(len(text.encode(errors="replace")) for text in secrets)
    if shortest < _FEWEST_BYTES or not set(secrets).isdisjoint(_WELL_KNOWN):
        advice = "the secret can be guessed: write what secrets.token_hex(32) once returned"
        warnings.warn(advice, WeakSecretWarning, stacklevel=3)
    return secrets


def _check(middleware: SessionMiddleware, times: dict[str, float | None]) -> None:
    settings, store = middleware.settings, middleware.store
    for method in _STORE_METHODS:
        if not callable(getattr(store, method, None)):
            raise TypeError(f"store={store!r} has no {method}(): write MemoryStore(), say")
    for name, value in {**middleware.options._asdict(), "proxy": middleware.proxy}.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name}={value!r}: write True or False")
    for name, value in times.items():
        if not isinstance(value, int | float | None) or isinstance(value, bool):
            raise TypeError(f"{name}={value!r}: write seconds, as a number")
        is_off = value == 0 if name == "touch_after" else value is None and name != "idle_timeout"
        if not is_off and not 0 < (value or 0) <= _LONGEST_TIMEOUT:
            raise ValueError(f"{name}={value!r}: write seconds, more than 0 and at most a century")
    for name, value in {"genid": settings.genid, "now": settings.now}.items():
        if not callable(value):
            raise TypeError(f"{name}={value!r}: write a function without arguments")
    if not isinstance(settings.max_bytes, int) or settings.max_bytes < 1_000:
        raise ValueError(f"max_bytes={settings.max_bytes!r}: write a number of bytes, 1000 or more")
    if not isinstance(settings.cookie, CookieOptions):
        raise TypeError(f"cookie={settings.cookie!r}: write CookieOptions(path='/', ...)")
    if middleware._choose_cookie is None:  # the first visitor's cookie: if it is bad, it fails here
        format_set_cookie(middleware.name, "s:" + sign("x" * 32, ""), settings.cookie)
