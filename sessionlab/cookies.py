"""Read the ``Cookie`` header and write ``Set-Cookie``.  Notebook: 01-cookies.

The rules of this file: it knows nothing of signatures, stores or WSGI. A header is text in which
each character stands for one byte, as WSGI hands it over (PEP 3333). Reading never raises, whatever
the browser sent; writing raises ``ValueError`` rather than send a header that a browser would read
in another way.
"""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_args
from urllib.parse import quote, unquote_to_bytes
from wsgiref.handlers import format_date_time

SameSite = Literal["strict", "lax", "none"]
Priority = Literal["low", "medium", "high"]

# RFC 6265 section 4.1.1: a name is a token. A path, of at most 1024 bytes, is compared with that of
# a URL (RFC 3986 section 3.3), and so has no other characters; ";" would end it.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,=:@/%]{0,1023}")
_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123 section 2.1
_DOMAIN = re.compile(rf"\.?{_LABEL}(\.{_LABEL})*", re.IGNORECASE | re.ASCII)
_USUAL = re.compile(r"[A-Za-z0-9\-_.:+/]*")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_LARGEST_COOKIE = 4096  # bytes; RFC 6265 section 6.1: what every browser keeps
_YEAR_10000 = 253402300800  # Unix time, seconds
_LONGEST_AGE = 100 * 366 * 86400  # seconds; a century, so that every expiry is a date

T = TypeVar("T")


def parse_cookies(header: str, only: str | None = None) -> list[tuple[str, str]]:
    """Return the ``(name, value)`` pairs of a ``Cookie`` header, in order, duplicates included.

    Odd neighbours are passed over and cost no other cookie its place. Of a value, the double quotes
    around it are removed and ``%XX`` is decoded; text that can't be decoded stays as it is. With
    ``only``, the pairs of that name alone.
    Source: RFC 6265 section 5.4 for the header; npm's cookie 0.7 for quotes and ``%XX``.
    """
    pairs: list[tuple[str, str]] = []
    for part in header.split(";"):
        if only is not None and only not in part:
            continue
        name, equals, value = part.partition("=")
        # Space and tab alone: ``strip()`` would also take U+00A0 and so let another name pass for
        # ours.
        name = name.strip(" \t")
        if equals and name and (only is None or name == only):
            pairs.append((name, _decode(value.strip(" \t"))))
    return pairs


def _decode(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    # Nearly all that our cookies hold; the rest is read with more care, and four times as slowly.
    usual = value.replace("%3A", ":").replace("%2B", "+").replace("%2F", "/")
    if "%" not in usual:
        return usual
    if _BROKEN_ESCAPE.search(value):
        return value
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeError:
        return value


def path_matches(request_path: str, cookie_path: str) -> bool:
    """Return whether a browser sends a cookie of ``cookie_path`` to ``request_path``.

    Source: RFC 6265 section 5.1.4. ``/foo`` matches ``/foo`` and ``/foo/bar``, and not ``/foobar``.
    """
    if not request_path.startswith(cookie_path):
        return False
    return cookie_path.endswith("/") or request_path[len(cookie_path) :][:1] in ("", "/")


class _Attributes(NamedTuple):
    path: str
    domain: str | None
    max_age: float | None  # seconds
    http_only: bool
    secure: bool | Literal["auto"]
    same_site: SameSite | Literal["auto"] | None
    partitioned: bool
    priority: Priority | None


class CookieOptions(_Attributes):
    """The attributes a session's cookie starts with. They don't change; ``replace`` copies them.

    ``max_age`` is seconds or a ``timedelta``; ``None`` makes a cookie that goes when the browser
    closes. ``secure="auto"`` is Secure on https and not on http; ``same_site="auto"`` is None where
    the cookie is Secure and Lax elsewhere.
    Raises: ``ValueError`` or ``TypeError`` for what browsers refuse, saying what to write instead.
    Source: RFC 6265 section 4.1.2; draft-ietf-httpbis-rfc6265bis for SameSite; CHIPS for
    Partitioned.
    """

    __slots__ = ()

    def __new__(
        cls,
        *,
        path: str = "/",
        domain: str | None = None,
        max_age: float | timedelta | None = None,
        http_only: bool = True,
        secure: bool | Literal["auto"] = "auto",
        same_site: SameSite | Literal["auto"] | None = "lax",
        partitioned: bool = False,
        priority: Priority | None = None,
    ) -> "CookieOptions":
        seconds = _seconds(max_age)
        values = path, domain, seconds, http_only, secure, same_site, partitioned, priority
        options = super().__new__(cls, *values)
        options._check()
        return options

    def _check(self) -> None:
        if not _is(_PATH, self.path):
            raise ValueError(f"path={self.path!r}: write one such as '/app', as in a URL")
        if self.domain is not None and not _is(_DOMAIN, self.domain):
            raise ValueError(f"domain={self.domain!r}: write one such as 'example.com', or None")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            # The type counts: 1 == True, and nobody means to write secure=1.
            if not any(type(value) is type(choice) and value == choice for choice in choices):
                raise ValueError(f"{name}={value!r}: write one of {', '.join(map(repr, choices))}")
        if self.secure is not True and (self.same_site == "none" or self.partitioned):
            wish = "partitioned=True" if self.partitioned else 'same_site="none"'
            raise ValueError(f"{wish}: browsers drop it without Secure; write secure=True as well")

    def replace(self, **changes: Any) -> "CookieOptions":
        """Return these options with some of them changed, which are checked."""
        return CookieOptions(**{**self._asdict(), **changes})

    _replace = replace  # a tuple's own would check nothing

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]:
        return (), self._asdict()  # for copy and pickle

    def resolve(self, is_secure: bool) -> "CookieOptions":
        """Return these options with each ``"auto"`` decided for a request over https, or http."""
        return _resolve(self, is_secure)


_CHOICES: dict[str, tuple[object, ...]] = {
    "http_only": (True, False),
    "secure": (True, False, "auto"),
    "same_site": (*get_args(SameSite), "auto", None),
    "partitioned": (True, False),
    "priority": (*get_args(Priority), None),
}


@lru_cache(maxsize=256)
def _resolve(options: CookieOptions, is_secure: bool) -> CookieOptions:
    secure = is_secure if options.secure == "auto" else options.secure
    same_site = options.same_site
    if same_site == "auto":
        same_site = "none" if secure else "lax"
    return options.replace(secure=secure, same_site=same_site)


def _is(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _seconds(length: float | timedelta | None) -> float | None:
    if length is None:
        return None
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"max_age={length!r}: write seconds, a timedelta, or None")
    if not 0 < seconds <= _LONGEST_AGE:
        raise ValueError(
            f"max_age={length!r}: write more than 0 s, at most a century; destroy() ends a session"
        )
    return seconds


def format_set_cookie(
    name: str,
    value: str,
    options: CookieOptions = CookieOptions(),
    *,
    expires: float | None = None,
    is_secure: bool = False,
) -> str:
    """Return the text of a ``Set-Cookie`` header, at most 4096 bytes.

    Format: ``name=value; Domain; Path; Expires; HttpOnly; Secure; Partitioned; Priority;
    SameSite``, the value as JavaScript's ``encodeURIComponent`` writes it. ``expires`` is Unix time
    in seconds; left out, it follows from ``options.max_age`` and the clock. ``is_secure`` is what
    ``"auto"`` asks.
    Raises: ``ValueError`` for a name that is no token, a broken ``__Host-`` or ``__Secure-`` rule,
    or a cookie that is too large.
    Source: RFC 6265 section 4.1.1; rfc6265bis section 4.1.3 for the prefixes; express-session 1.19
    for the order.
    """
    options = options.resolve(is_secure)
    _check_name(name, options)
    age = options.max_age
    if expires is None and age is not None:
        expires = time.time() + age
    if expires is not None and not 0 <= expires < _YEAR_10000:
        raise ValueError(f"expires={expires!r}: write Unix time in seconds, before the year 10000")
    parts = [
        f"{name}={_encode(value)}",
        options.domain and f"Domain={options.domain}",
        f"Path={options.path}",
        expires is not None and f"Expires={format_date_time(expires)}",
        options.http_only and "HttpOnly",
        options.secure and "Secure",
        options.partitioned and "Partitioned",
        options.priority and f"Priority={options.priority.capitalize()}",
        options.same_site and f"SameSite={options.same_site.capitalize()}",
    ]
    text = "; ".join(part for part in parts if part)
    if len(text) > _LARGEST_COOKIE:
        raise ValueError(
            f"a cookie of {len(text)} bytes, where browsers keep {_LARGEST_COOKIE}: shorten it"
        )
    return text


def _encode(value: str) -> str:
    if _USUAL.fullmatch(value):  # as ours are; ``quote`` would take eight times as long
        return value.replace(":", "%3A").replace("+", "%2B").replace("/", "%2F")
    return quote(value, safe="-_.!~*'()")


def _check_name(name: str, options: CookieOptions) -> None:
    if not _is(_NAME, name):
        raise ValueError(
            f"name={name!r}: write letters, digits and !#$%&'*+-.^_`|~ only, at least one"
        )
    prefix = name.lower()  # browsers compare the prefixes without regard to case
    if prefix.startswith(("__host-", "__secure-")) and options.secure is not True:
        raise ValueError(f"name={name!r}: a cookie of this name must be Secure; write secure=True")
    if prefix.startswith("__host-") and (options.path != "/" or options.domain is not None):
        raise ValueError(f"name={name!r}: a __Host- cookie has path='/' and no domain")


class _Attribute(Generic[T]):
    """One of the options, to be read and changed on the cookie of a single session."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, cookie: "SessionCookie", owner: type) -> T:
        value: T = getattr(cookie.options, self._name)
        return value

    def __set__(self, cookie: "SessionCookie", value: T) -> None:
        cookie.options = cookie.options.replace(**{self._name: value})


class SessionCookie:
    """The cookie of one session. Changing it changes this session alone: ``session.cookie.max_age =
    30 * 86400``.

    ``expires`` is Unix time in seconds, ``max_age`` the seconds that are left of it and
    ``original_max_age`` what it was set to; each is None for a cookie that goes when the browser
    closes. A changed attribute is checked at once.
    Source: express-session 1.19, session/cookie.js (there in milliseconds).
    """

    __slots__ = ("_expires", "_now", "options")

    path = _Attribute[str]()
    domain = _Attribute[str | None]()
    http_only = _Attribute[bool]()
    secure = _Attribute[bool | Literal["auto"]]()
    same_site = _Attribute[SameSite | Literal["auto"] | None]()
    partitioned = _Attribute[bool]()
    priority = _Attribute[Priority | None]()

    def __init__(
        self,
        options: CookieOptions = CookieOptions(),
        now: Callable[[], float] = time.time,
        expires: float | None = None,
    ) -> None:
        self.options = options
        self._now = now
        self._expires = expires
        if expires is None and options.max_age is not None:
            self.touch()

    @property
    def original_max_age(self) -> float | None:
        return self.options.max_age

    @property
    def expires(self) -> float | None:
        return self._expires

    @expires.setter
    def expires(self, moment: float | None) -> None:
        self.max_age = None if moment is None else moment - self._now()

    @property
    def max_age(self) -> float | None:
        return None if self._expires is None else self._expires - self._now()

    @max_age.setter
    def max_age(self, length: float | timedelta | None) -> None:
        self.options = self.options.replace(max_age=length)
        self.touch()

    def touch(self) -> None:
        """Put the remaining age back to ``original_max_age``."""
        age = self.options.max_age
        self._expires = None if age is None else self._now() + age

    def become(self, other: "SessionCookie") -> None:
        """Take over the attributes and the expiry of another one."""
        self.options, self._expires = other.options, other._expires

    def to_json(self, is_secure: bool) -> str:
        """Return the ``cookie`` object of a stored record, as compact JSON.

        Format: express-session's members in its order, ages in milliseconds.
        """
        return _write(self.options.resolve(is_secure), self._expires)

    @classmethod
    def from_json(
        cls, text: str, expires_at: float, options: CookieOptions, now: Callable[[], float]
    ) -> "SessionCookie":
        """Return the cookie that the ``cookie`` object of a record describes.

        ``expires_at`` is the store's own word on when the record ends, which counts: a store that
        renews a record need not rewrite its text. What ``options`` leave to ``"auto"`` stays open,
        but a cookie that was Secure stays so.
        Raises: ``ValueError`` for text that describes no cookie.
        """
        attributes, is_dated = _read(text, options.secure == "auto", options.same_site == "auto")
        return cls(attributes, now, expires_at if is_dated else None)


# The sessions of an application nearly all have the same cookie: it is written and read once.


@lru_cache(maxsize=256)
def _write(options: CookieOptions, expires: float | None) -> str:
    age = options.max_age
    members = {
        "originalMaxAge": None if age is None else round(age * 1000),
        "partitioned": options.partitioned or None,
        "priority": options.priority,
        "expires": None if expires is None else _to_iso(expires),
        "secure": options.secure,
        "httpOnly": options.http_only,
        "domain": options.domain,
        "path": options.path,
        "sameSite": options.same_site,
    }
    written = {
        key: value for key, value in members.items() if value is not None or key in _NULLABLE
    }
    return json.dumps(written, separators=(",", ":"))


_NULLABLE = ("originalMaxAge", "expires")  # other members that are not set are left out


def _to_iso(moment: float) -> str:
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@lru_cache(maxsize=256)
def _read(text: str, is_secure_open: bool, is_same_site_open: bool) -> tuple[CookieOptions, bool]:
    try:
        members = json.loads(text)
        is_dated = members.get("expires") not in (None, False)
        if is_dated:
            datetime.fromisoformat(members["expires"])
        options = _from_members(members)
    except (TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError("the members of the cookie make no sense") from error
    if is_secure_open and not options.secure:
        options = options.replace(secure="auto")
    if is_same_site_open:
        options = options.replace(same_site="auto")
    return options, is_dated


def _from_members(members: dict[str, Any]) -> CookieOptions:
    # What is not set is left out, or null, or false.
    get = {key: value for key, value in members.items() if value not in (None, False)}.get
    age, priority, partitioned = map(get, ("originalMaxAge", "priority", "partitioned"))
    same_site: Any = get("sameSite")
    if isinstance(age, int | float) and _LONGEST_AGE * 1000 < age <= _LAST_OF_JAVASCRIPT:
        age = _LONGEST_AGE * 1000  # "never", as one writes it there
    same_site = "strict" if same_site is True else same_site and same_site.lower()
    return CookieOptions(
        path=get("path", "/"),
        domain=get("domain"),
        max_age=age if age is None or age is True else age / 1000,
        http_only=members.get("httpOnly") is not False,
        secure=bool(get("secure") or partitioned) or same_site == "none",
        same_site=same_site,
        partitioned=bool(partitioned),
        priority=priority and priority.lower(),
    )


_LAST_OF_JAVASCRIPT = 8_640_000_000_000_000  # ms; its last instant
