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
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .cookies import CookieOptions, format_set_cookie, parse_cookies, path_matches
from .policy import Decision, Facts, Options, decide
from .session import Session, SessionGone, SessionSettings, new_session_id
from .signing import BadSignature, sign, unsign
from .stores import MemoryStore, Store, StoreError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger("sessionlab")

Headers = list[tuple[str, str]]

_SESSION = "sessionlab.session"
_MOST_COOKIES = 8  # of our name that are tried, each at the price of one HMAC a secret
_FEWEST_BYTES = 32  # of a secret: as long as the hash, RFC 2104 section 3
_LONGEST_TIMEOUT = 100 * 366 * 86400  # seconds
_STORE_METHODS = ("get", "create", "replace", "touch", "destroy")
_WELL_KNOWN = frozenset(
    [
        "my-secret",
        "mysecret",
        "keyboard cat",
        "secret",
        "shhhh, very secret",
        "your-secret-key",
        "changeme",
    ]
)


class WeakSecretWarning(UserWarning):
    """A secret that can be guessed, so that anybody can sign a cookie."""


class SessionMiddleware:
    """Gives each request of a WSGI application its session, as ``environ["sessionlab.session"]``.

    In Bottle that is ``request.session``. Each request is also told what became of its session, and
    why, in ``environ["sessionlab.decision"]`` (a ``Decision``).

    ``secret``: one, or several with the newest first: the first signs, all verify. 32 bytes or
    more.
    ``name``, ``cookie``: the cookie's name and its ``CookieOptions``, or a callable from the
    environ to them.
    ``genid``: makes the session ids. ``proxy``: believe ``X-Forwarded-Proto``.
    ``resave``, ``rolling``, ``save_uninitialized``: see ``Options``. ``idle_timeout``,
    ``absolute_timeout``: see ``SessionSettings``. ``touch_after``: seconds; a read renews the
    record when that moves its expiry by more.
    Raises: ``ValueError`` or ``TypeError`` for settings that can't work, saying what to write
    instead.
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
        now: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self.secrets = _checked_secrets(secret)
        self.store = MemoryStore(now=now) if store is None else store  # an empty store may be false
        self.name = name
        self.options = Options(
            resave=resave, rolling=rolling, save_uninitialized=save_uninitialized
        )
        self.proxy = proxy
        self.touch_after = touch_after
        self._choose_cookie = cookie if callable(cookie) else None
        self._settings = SessionSettings(
            cookie=CookieOptions() if callable(cookie) else cookie,
            genid=genid,
            idle_timeout=idle_timeout,
            absolute_timeout=absolute_timeout,
            now=now,
        )
        self._secure_settings = replace(self._settings, is_secure=True)
        self._check()

    def _check(self) -> None:
        settings = self._settings
        missing = [name for name in _STORE_METHODS if not callable(getattr(self.store, name, None))]
        if missing:
            raise TypeError(f"store={self.store!r} has no {missing[0]}(): write MemoryStore(), say")
        for name, value in {**self.options._asdict(), "proxy": self.proxy}.items():
            if not isinstance(value, bool):
                raise TypeError(f"{name}={value!r}: write True or False")
        for name, function in {"genid": settings.genid, "now": settings.now}.items():
            if not callable(function):
                raise TypeError(f"{name}={function!r}: write a function without arguments")
        if not isinstance(settings.cookie, CookieOptions):
            raise TypeError(f"cookie={settings.cookie!r}: write CookieOptions(path='/', ...)")
        _check_seconds("idle_timeout", settings.idle_timeout)
        if settings.absolute_timeout is not None:
            _check_seconds("absolute_timeout", settings.absolute_timeout)
        if self.touch_after != 0:
            _check_seconds("touch_after", self.touch_after)
        if self._choose_cookie is None:
            # A cookie as the first visitor will get it: too long, or of a bad name, it fails here.
            format_set_cookie(self.name, "s:" + sign("x" * 32, ""), settings.cookie)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        settings = self._settings_for(environ)
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "") or "/"
        if _SESSION in environ or not path_matches(path, settings.cookie.path):
            return self.app(environ, start_response)
        return _Exchange(self, environ, settings, start_response).run()

    def _settings_for(self, environ: "WSGIEnvironment") -> SessionSettings:
        is_secure = environ["wsgi.url_scheme"] == "https"
        if self.proxy and not is_secure:
            # Proxies append; the first is what the browser spoke, if each of them can be trusted.
            scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").split(",")[0]
            is_secure = scheme.strip().lower() == "https"
        settings = self._secure_settings if is_secure else self._settings
        if self._choose_cookie is None:
            return settings
        return replace(settings, cookie=self._choose_cookie(environ))

    def load(self, environ: "WSGIEnvironment", settings: SessionSettings) -> tuple[Session, bool]:
        """Return the session of a request, and whether its cookie was signed with a retired secret.

        Every cookie of our name is tried, for a stale or forged one must not hide the good one. An
        id that the store does not know is never taken over.
        Raises: ``StoreError``.
        """
        for value in self.cookies(environ):
            if not value.startswith("s:"):
                continue
            try:
                session_id = unsign(value[2:], self.secrets)
            except BadSignature:
                continue
            session = Session.load(self.store, session_id, settings) if session_id else None
            if session is not None:
                is_retired = (
                    len(self.secrets) > 1 and sign(session_id, self.secrets[0]) != value[2:]
                )
                return session, is_retired
        return Session(self.store, settings), False

    def cookies(self, environ: "WSGIEnvironment") -> list[str]:
        """Return the values of the cookies of our name, as they came."""
        pairs = parse_cookies(environ.get("HTTP_COOKIE", ""), only=self.name)
        return [value for _, value in pairs[:_MOST_COOKIES]]


class _Exchange:
    """One request and its response, which is held back until the session is stored."""

    def __init__(
        self,
        middleware: SessionMiddleware,
        environ: "WSGIEnvironment",
        settings: SessionSettings,
        start_response: "StartResponse",
    ) -> None:
        self._middleware = middleware
        self._environ = environ
        self._settings = settings
        self._server_start = start_response
        self._status: str | None = None
        self._is_sent = False
        self._refusal: list[bytes] | None = None  # the body of a 503 or 409 that went out instead

    def run(self) -> Iterable[bytes]:
        environ = self._environ
        try:
            self._session, self._is_retired = self._middleware.load(environ, self._settings)
        except StoreError as error:
            return self._refuse("503 Service Unavailable", "the session could not be loaded", error)
        environ[_SESSION] = environ["bottle.request.ext.session"] = self._session
        body = self._middleware.app(environ, self._start_response)
        if type(body) is list:  # all is said, and there is nothing to close
            self._send()
            return body if self._refusal is None else self._refusal
        return _Body(body, self.stream(body))

    def _start_response(
        self, status: str, headers: Headers, exc_info: Any = None
    ) -> Callable[[bytes], object]:
        if self._is_sent:
            return self._server_start(status, headers, exc_info)  # it raises what went wrong
        if self._status is not None and exc_info is None:
            raise AssertionError("the application called start_response twice")
        self._status, self._headers = status, headers
        return self._write

    def _write(self, chunk: bytes) -> None:
        if not self._is_sent:
            self._send()
        if self._refusal is None:
            self._server_write(chunk)

    def stream(self, body: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the chunks on; the first one waits until the session is stored."""
        for chunk in body:
            if not self._is_sent and chunk:
                self._send()
            if self._refusal is not None:
                break
            if self._is_sent:
                yield chunk
        if not self._is_sent:
            self._send()
        yield from self._refusal or ()
        self._finish()

    def _send(self) -> None:
        # Store the session; then, and only then, let status and headers go.
        if self._status is None:
            raise AssertionError("the application sent a body before it called start_response")
        try:
            cookies = self._commit()
        except StoreError as error:
            self._refusal = self._refuse(
                "503 Service Unavailable", "the session could not be stored", error
            )
        except SessionGone as error:
            self._refusal = self._refuse(
                "409 Conflict", "the session ended meanwhile; nothing was changed", error
            )
        else:
            self._server_write = self._server_start(
                self._status, self._complete(self._headers, cookies)
            )
        self._is_sent = True

    def _commit(self) -> list[str]:
        """Store or renew the session as ``policy`` decides, and return the ``Set-Cookie`` texts
        that are due."""
        session, facts = self._session, self._facts()
        decision = self._decide(facts)
        try:
            if decision.save:
                session.save()
            elif decision.touch:
                session.touch()
        except SessionGone:
            decision = self._decide(facts._replace(is_gone=True))
            if facts.is_modified:
                raise
        name, cookie = self._middleware.name, session.cookie_options
        if decision.clear_cookie:
            return [
                format_set_cookie(name, "", cookie, expires=0, is_secure=self._settings.is_secure)
            ]
        if not decision.set_cookie:
            return []
        value = "s:" + sign(session.id, self._middleware.secrets[0])
        expires = session.cookie.expires
        return [
            format_set_cookie(
                name, value, cookie, expires=expires, is_secure=self._settings.is_secure
            )
        ]

    def _facts(self) -> Facts:
        session, options = self._session, self._middleware.options
        if self._is_retired or options.resave or options.rolling:
            session.look()  # what is due may depend on what nobody has read yet
        changes = session.changes()
        return Facts(
            is_new=session.is_new,
            is_modified=changes.is_modified,
            is_cookie_changed=changes.is_cookie_changed,
            is_saved=changes.is_saved,
            was_saved=session.was_saved,
            is_destroyed=session.is_destroyed,
            has_expiry=session.has_expiry,
            is_touch_due=not session.is_new and session.needs_touch(self._middleware.touch_after),
            is_secret_retired=self._is_retired,
            is_insecure=session.cookie_options.secure is True and not self._settings.is_secure,
            had_cookie=session.is_destroyed and bool(self._middleware.cookies(self._environ)),
        )

    def _decide(self, facts: Facts) -> Decision:
        decision = decide(facts, self._middleware.options)
        self._environ["sessionlab.decision"] = decision
        if logger.isEnabledFor(logging.DEBUG):
            for part, verdict in decision._asdict().items():
                logger.debug("%s: %s, %s", part, "yes" if verdict else "no", verdict.why)
        return decision

    def _complete(self, headers: Headers, cookies: list[str]) -> Headers:
        if cookies:
            ours = self._middleware.name + "="
            headers = [header for header in headers if not _sets_cookie(header, ours)]
        varies = ",".join(value for name, value in headers if name.lower() == "vary")
        if not {"cookie", "*"} & {value.strip().lower() for value in varies.split(",")}:
            headers = [
                *headers,
                ("Vary", "Cookie"),
            ]  # or a shared cache hands one visitor's page to the next
        return headers + [("Set-Cookie", text) for text in cookies]

    def _refuse(self, status: str, text: str, error: Exception) -> list[bytes]:
        # No word of the cause to the visitor, and no cookie is touched: nobody is logged out by an
        # outage.
        logger.error("%s: %s (%s)", status, text, error)
        body = [] if self._environ["REQUEST_METHOD"] == "HEAD" else [f"{status}: {text}\n".encode()]
        length = str(sum(map(len, body)))
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", length)]
        self._server_start(status, [*headers, ("Cache-Control", "no-store"), ("Vary", "Cookie")])
        return body

    def _finish(self) -> None:
        # A body that comes in pieces may change the session after its first byte.
        session, changes = self._session, self._session.changes()
        if (
            not self._refusal
            and changes.is_modified
            and not changes.is_saved
            and not session.is_destroyed
        ):
            logger.warning(
                "a session changed after the first byte: its cookie can't follow any more"
            )
            session.save()


class _Body:
    """What the server iterates over and closes, once each."""

    def __init__(self, body: Iterable[bytes], chunks: Iterator[bytes]) -> None:
        self._body = body
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def _sets_cookie(header: tuple[str, str], start: str) -> bool:
    name, value = header
    return name.lower() == "set-cookie" and value.lstrip(" \t").startswith(start)


def _check_seconds(name: str, seconds: float) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{name}={seconds!r}: write seconds, as a number")
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise ValueError(f"{name}={seconds!r}: write more than 0 s and at most 100 years")


def _checked_secrets(secret: str | Sequence[str]) -> list[str]:
    secrets = [secret] if isinstance(secret, str) else list(secret)
    if not secrets or not all(secrets):
        raise ValueError(
            "secret is empty: write 32 random bytes, as secrets.token_hex(32) returns them"
        )
    for text in secrets:
        if not isinstance(text, str):
            raise TypeError(
                f"a secret is {type(text).__name__}: write text (for bytes, their .hex())"
            )
    if len(secrets[0].encode()) < _FEWEST_BYTES or secrets[0] in _WELL_KNOWN:
        warnings.warn(
            "the secret can be guessed: write secrets.token_hex(32)",
            WeakSecretWarning,
            stacklevel=3,
        )
    return secrets
