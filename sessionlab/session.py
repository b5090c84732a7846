"""The session: a mapping that knows how to store itself.  Notebook: 04-sessions.

The rules of this file: it knows nothing of requests and responses, and decides nothing of when to
save. A record is compact JSON, ``{"cookie":{...},<data>}``, which express-session reads and writes
too. Nothing is decoded before somebody looks; to find a change, the text of now is compared with
the text that was loaded.
"""

import json
import logging
import random
import re
import time
from collections.abc import Callable, Iterator, MutableMapping
from copy import copy
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any, NamedTuple, TypeVar

from .cookies import CookieOptions, SessionCookie
from .stores import Record, Store, StoreError

logger = logging.getLogger("sessionlab")

T = TypeVar("T")
Data = dict[str, Any]

CREATED = "sessionlab.createdAt"  # ms since 1970, kept beside the data where there is an absolute time-out
_RESERVED = ("cookie", CREATED)  # express-session keeps the cookie under the first
_START = '{"cookie":'
_AGE = re.compile(r'\{"cookie":\{"originalMaxAge":(null|[1-9][0-9]{0,12})[,}]')
_ENDED = "null"  # stands where a session was, while its data moves to another id
_TRIES = 100
_LONGEST_PAUSE = 0.05  # seconds


class SessionGone(Exception):
    """The session has ended, by this request or by another one: nothing can be kept in it any
    more."""


class BadRecord(ValueError):
    """A stored text that describes no session."""


def new_session_id() -> str:
    """Return 24 random bytes in URL-safe base64: 32 characters, which nobody can guess."""
    return token_urlsafe(24)


def encode_record(cookie: Data, data: Data) -> str:
    """Return the text of a record: compact JSON, the cookie first.

    Raises: ``TypeError`` or ``ValueError`` that names the key of a value that JSON can't hold.
    """
    if "cookie" in data:
        raise ValueError("session['cookie']: the record keeps the cookie there; use another key")
    return _join(cookie, encode_data(data))


def decode_record(text: str) -> tuple[Data, Data]:
    """Return the ``cookie`` object and the data of a record.

    Raises: ``BadRecord`` for text that is no JSON object with a ``cookie`` object in it.
    """
    cookie, data_text = _split(text)
    return cookie, _decode_data(data_text)


def encode_data(data: Data) -> str:
    """Return the data alone as compact JSON, its keys in their order: equal text means an unchanged
    session."""
    try:
        text = _ENCODER.encode(data)
    except (TypeError, ValueError, RecursionError):
        for key, value in data.items():
            try:
                _explain({key: value}, "session")
            except RecursionError:
                raise ValueError(
                    f"session[{key!r}] holds itself, or is nested too deep for JSON"
                ) from None
        raise
    return text if text.isascii() else _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def merge(base: Data, mine: Data, theirs: Data) -> Data:
    """Return ``theirs`` with the top-level keys laid over it in which ``mine`` differs from
    ``base``.

    A key that ``mine`` deleted is deleted. Values are compared as JSON, in which ``1`` is not
    ``true``.
    """
    merged = dict(theirs)
    for key, value in mine.items():
        if key not in base or encode_data({key: base[key]}) != encode_data({key: value}):
            merged[key] = value
    for key in base.keys() - mine.keys():
        merged.pop(key, None)
    return merged


def _join(cookie: Data, data_text: str) -> str:
    comma = "" if data_text == "{}" else ","
    return f"{_START}{_ENCODER.encode(cookie)}{comma}{data_text[1:]}"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON, and Express answers 500 to it")


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_DECODER = json.JSONDecoder(parse_constant=_refuse)
_HALF = re.compile("[\ud800-\udfff]")  # JavaScript cuts text there, and writes the half as \\ud83d


def _split(text: str) -> tuple[Data, str]:
    # The cookie and the text of the data. What was written here, or by Express, begins with the
    # cookie: then the rest of the text *is* the data, and ``encode_data`` need not be run to find
    # what it returned.
    try:
        text.isascii() or text.encode()  # half a surrogate pair, raw, could never be stored again
        if text.startswith(_START):
            cookie, end = _DECODER.raw_decode(text, len(_START))
            data_text = "{" + text[end:].removeprefix(",")
        else:
            data = _DECODER.decode(text)
            cookie, data_text = data.pop("cookie"), encode_data(data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadRecord("no session in JSON") from error
    if not isinstance(cookie, dict):
        raise BadRecord("its cookie is no object")
    return cookie, data_text


def _decode_data(data_text: str) -> Data:
    try:
        data: Data = _DECODER.decode(data_text)
    except (ValueError, RecursionError) as error:
        raise BadRecord("no session in JSON") from error
    if "cookie" in data:
        raise BadRecord("it has two cookies")
    return data


def _explain(value: object, name: str) -> None:
    # Say which value JSON can't hold; the encoder knows, and does not tell.
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(
                    f"{name} has the key {key!r}: keys in JSON are text; write {str(key)!r}"
                )
            _explain(item, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _explain(item, f"{name}[{index}]")
    elif isinstance(value, (str, int, float)) or value is None:
        try:
            _ENCODER.encode(value)
        except ValueError as error:
            raise ValueError(
                f"{name}: JSON has no such number ({error}); store it as text"
            ) from None
    else:
        kind = type(value).__name__
        raise TypeError(
            f"{name} is a {kind}, which JSON can't hold: store text, numbers, lists or dicts"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What the sessions of one application have in common. Times are seconds."""

    cookie: CookieOptions = CookieOptions()
    genid: Callable[[], str] = new_session_id
    idle_timeout: float = 86400
    """How long the store keeps a record whose cookie has no ``max_age``."""
    absolute_timeout: float | None = None
    """The age at which a session ends however busy it is."""
    now: Callable[[], float] = time.time
    is_secure: bool = False
    """What ``"auto"`` in the cookie's options asks: did this request come over https?"""


class Session(MutableMapping[str, Any]):
    """The data of one visitor: a mapping from text to values that JSON can hold, and the means to
    store it.

    A change to something nested counts as a change; there is no flag to set. ``save``, ``reload``,
    ``touch``, ``destroy`` and ``regenerate`` act at once; the middleware does what is left when the
    response begins. Two requests that change different keys both keep their changes; of two that
    change the same key, the last one wins, and ``atomic`` is for those.
    Raises: ``StoreError`` where the store fails, ``SessionGone`` where the session has ended.
    Source: the semantics of express-session 1.19.
    """

    # Without a ``__dict__``, ``session.views = 1``, as one writes it in JavaScript, is an error and
    # not a loss.
    __slots__ = (
        *(
            "_cookie",
            "_created",
            "_data",
            "_expires_at",
            "_id",
            "_loaded",
            "_saved",
            "_settings",
            "_store",
        ),
        *("_stored", "is_destroyed", "is_new", "is_regenerated", "was_saved"),
    )

    def __init__(self, store: Store, settings: SessionSettings = SessionSettings()) -> None:
        self._store = store
        self._settings = settings
        self._begin()

    def _begin(self) -> None:
        # Nothing is stored yet, and neither the id nor the cookie is made before it is needed.
        self._id: str | None = None
        self._stored: str | None = (
            None  # the text that the store holds, as far as we know; None: no record
        )
        self._expires_at = 0.0
        self._data: Data | None = {}  # None: not decoded yet
        self._cookie: SessionCookie | None = None
        self._created: float | None = None  # ms since 1970
        self._loaded: Form = "{}", self._settings.cookie  # the form at load
        self._saved: Form | None = None  # the form when last loaded or saved
        self.is_new = True
        self.is_regenerated = False
        self.is_destroyed = False
        self.was_saved = False

    @classmethod
    def load(
        cls, store: Store, session_id: str, settings: SessionSettings = SessionSettings()
    ) -> "Session | None":
        """Return the session that the store has under this id; None where it is unknown or has
        expired."""
        record = store.get(session_id)
        if record is None or record.expires_at <= settings.now():
            return None
        session = cls(store, settings)
        session._id = session_id
        session.is_new = False
        session._take(record)
        return session

    def _take(self, record: Record) -> None:
        self._stored, self._expires_at = record
        self._data = self._cookie = None

    def look(self) -> Data:
        """Decode the data, unless somebody did. A record that can't be read makes a new, anonymous
        session."""
        if self._data is None:
            try:
                self._decode()
            except BadRecord as error:
                logger.warning("a stored session is not used: %s", error)
                self._begin()
        return self._data  # type: ignore[return-value]  # both ways fill it

    def _decode(self) -> None:
        settings = self._settings
        data, cookie, created, data_text = _read(self._stored or "", self._expires_at, settings)
        limit = settings.absolute_timeout
        if limit is not None and created is not None and created / 1000 + limit <= settings.now():
            raise BadRecord("it has reached its absolute time-out")
        self._data, self._cookie, self._created = data, cookie, created
        self._loaded = self._saved = data_text, cookie.options

    # The mapping.

    def __getitem__(self, key: str) -> Any:
        return self.look()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"session[{key!r}]: keys in JSON are text; write session[{str(key)!r}]")
        if key in _RESERVED:
            raise ValueError(
                f"session[{key!r}]: the record has another use for this key; take another one"
            )
        self._require_alive()
        self.look()[key] = value

    def __delitem__(self, key: str) -> None:
        del self.look()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.look())

    def __len__(self) -> int:
        return len(self.look())

    def __repr__(self) -> str:
        state = "destroyed" if self.is_destroyed else "new" if self.is_new else "loaded"
        return f"<Session: {state}, keys {list(self)}>"  # the id is as good as a password

    # What the middleware asks.

    @property
    def id(self) -> str:
        """The session id. Whoever knows it is this visitor."""
        self.look()
        if self._id is None:
            self._id = self._settings.genid()
            if not isinstance(self._id, str) or not self._id:
                raise TypeError(
                    f"genid returned {self._id!r}: it must return text that is not empty"
                )
        return self._id

    @property
    def cookie(self) -> SessionCookie:
        """The cookie of this session, whose attributes may be changed."""
        self.look()
        if self._cookie is None:
            self._cookie = SessionCookie(self._settings.cookie, self._settings.now)
        return self._cookie

    @property
    def was_looked_at(self) -> bool:
        """Whether anything was read or written; if not, nothing was decoded either."""
        return self._data is not None

    @property
    def cookie_options(self) -> CookieOptions:
        """The attributes of this session's cookie, as far as anybody has looked."""
        return self._settings.cookie if self._cookie is None else self._cookie.options

    @property
    def has_expiry(self) -> bool:
        """Whether its cookie was found to have an age."""
        return self._cookie is not None and self._cookie.expires is not None

    def changes(self) -> "Changes":
        """Compare the session as it is now with what was loaded and with what is stored."""
        if self._data is None:
            return _NO_CHANGES
        now = self._form(self._data)
        if now[0] != self._loaded[0] and not self.is_new:
            # Another writer's JSON may have another form (1e-7 for our 1e-07) and still say the
            # same.
            ours = encode_data(_decode_data(self._loaded[0])), self._loaded[1]
            self._saved = ours if self._saved == self._loaded else self._saved
            self._loaded = ours
        is_modified = self.is_regenerated or now != self._loaded
        return Changes(is_modified, now[1] != self._loaded[1], now == self._saved)

    def _form(self, data: Data) -> "Form":
        # Two sessions are the same if these are: the text of the data, and the cookie's attributes.
        if self._settings.absolute_timeout is not None and self._created is None:
            self._created = round(self._settings.now() * 1000)
        text = encode_data(data if self._created is None else {CREATED: self._created, **data})
        return text, self.cookie_options

    def needs_touch(self, touch_after: float) -> bool:
        """Return whether renewing the record would move its expiry by more than ``touch_after``
        seconds.

        By more than half its life, where that is less; 0 renews always. (Back, too: after a clock
        was wrong.)
        """
        moved = abs(self._new_expiry() - self._expires_at)
        return touch_after == 0 or moved > min(touch_after, self._lifetime() / 2)

    def _lifetime(self) -> float:
        if self._data is None and (age := _AGE.match(self._stored or "")):
            return self._settings.idle_timeout if age[1] == "null" else int(age[1]) / 1000
        return self.cookie.original_max_age or self._settings.idle_timeout

    def _new_expiry(self) -> float:
        expires_at = self._settings.now() + self._lifetime()
        if self._settings.absolute_timeout is None:
            return expires_at
        self._form(self.look())
        return min(expires_at, (self._created or 0) / 1000 + self._settings.absolute_timeout)

    # What acts at once.

    def save(self) -> None:
        """Store the session now.

        Where another request changed it meanwhile, only the top-level keys that this one changed
        are laid over what is there.
        """
        self._require_alive()
        for _ in self._tries():
            if self._write(self.look()):
                return
            self._catch_up()

    def atomic(self, change: Callable[[Data], T]) -> T:
        """Apply ``change`` to the newest data and store it, again until nobody came between; return
        its result.

        ``change`` gets a dict, alters it in place and may be called several times. Unsaved changes
        of this request are stored with it. ``session.atomic(lambda data:
        data.update(n=data.get("n", 0) + 1))``
        """
        self._require_alive()
        for _ in self._tries():
            if self._stored is not None:
                self._catch_up()
            data: Data = _DECODER.decode(
                encode_data(self.look())
            )  # a copy, thrown away if the try fails
            result = change(data)
            if self._write(data):
                return result
        raise AssertionError("unreachable: the tries end with an error")

    def reload(self) -> None:
        """Take what is in the store now; unsaved changes are lost."""
        self._require_alive()
        record = None if self._stored is None else self._store.get(self.id)
        if record is None:
            raise SessionGone("there is nothing in the store to reload")
        self._take(record)

    def touch(self) -> None:
        """Renew the session now: the cookie's age starts again, and the store keeps the record for
        longer."""
        self._require_alive()
        expires_at = self._new_expiry()
        if self._cookie is not None:
            self._cookie.touch()
        if self._stored is not None:
            if not self._store.touch(self.id, expires_at):
                raise SessionGone("the session ended before it could be renewed")
            self._expires_at = expires_at

    def destroy(self) -> None:
        """End the session now: the record is gone, the mapping empty, and the browser's cookie will
        be cleared."""
        self._store.destroy(self.id)
        cookie = self.cookie  # to be cleared with the attributes that it was set with
        self._begin()
        self._cookie, self.is_destroyed = cookie, True

    def regenerate(self, keep_data: bool = False) -> None:
        """Go on under a new id, so that whoever knew the old one knows nothing; do this at each
        login.

        The old id is dead when this returns. Data and cookie go with it, unless ``keep_data``.
        """
        if keep_data:
            self._require_alive()
            self._move()
        else:
            self._store.destroy(self.id)
            self._begin()
        self.is_new = self.is_regenerated = True

    def _move(self) -> None:
        # The data is under the new id before the old one ends, and what another request changes
        # until then is taken along: ending the old record is a ``replace`` too.
        new = copy(self)
        new._id = new._stored = None
        try:
            for _ in self._tries():
                new._data, new._cookie, new._created = self.look(), self.cookie, self._created
                if new._write(new._data):
                    if self._stored is None or self._end_as_it_is(self._stored):
                        break
                    self._catch_up()
        except SessionGone:
            self._store.destroy(new.id)
            raise
        self._store.destroy(self.id)
        for name in self.__slots__:
            setattr(self, name, getattr(new, name))

    def _end_as_it_is(self, text: str) -> bool:
        return self._store.replace(self.id, text, _ENDED, self._expires_at)

    def _require_alive(self) -> None:
        if self.is_destroyed:
            raise SessionGone("the session was destroyed; regenerate() begins another one")

    def _tries(self) -> Iterator[None]:
        # Who loses waits for a random moment, longer each time, so that not all meet again.
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(random.uniform(0, min(0.0005 * 2 ** min(attempt, 16), _LONGEST_PAUSE)))  # noqa: S311
            yield
        raise StoreError(
            f"other requests changed the session in each of {_TRIES} tries to store it"
        )

    def _write(self, data: Data) -> bool:
        # One try. False: the id is taken (the next try has another one), or the store no longer
        # holds what we know.
        self.cookie.touch()
        form, expires_at = self._form(data), self._new_expiry()
        if _DECODER.decode(form[0]) != data:
            _explain(
                data, "session"
            )  # it would not come back as it went: a key that is a number, say
        text = _join(self.cookie.to_json(self._settings.is_secure), form[0])
        if self._stored is not None:
            done = self._store.replace(self.id, self._stored, text, expires_at)
        elif not (done := self._store.create(self.id, text, expires_at)):
            self._id = None
        if done:
            self._data, self._stored, self._expires_at = data, text, expires_at
            self._saved, self.was_saved = form, True
        return done

    def _catch_up(self) -> None:
        # Lay what this request changed over what the store holds now.
        if self._stored is None:
            return
        record = self._store.get(self.id)
        if record is None:
            raise SessionGone("the session was ended by another request")
        mine, my_cookie, is_mine = self.look(), self.cookie, self.changes().is_cookie_changed
        base = _decode_data(_split(self._stored)[1])
        self._take(record)
        try:
            theirs, self._cookie, self._created, _ = _read(
                record.text, record.expires_at, self._settings
            )
        except BadRecord:
            raise SessionGone("the session was ended, or spoilt, by another request") from None
        self._data = merge(base, mine, theirs)
        self._cookie = my_cookie if is_mine else self._cookie


class Changes(NamedTuple):
    """What became of a session since it was loaded."""

    is_modified: bool
    """Its id, data or cookie is another one."""
    is_cookie_changed: bool
    """An attribute or the age of its cookie is."""
    is_saved: bool
    """The store holds it as it is now."""


_NO_CHANGES = Changes(is_modified=False, is_cookie_changed=False, is_saved=True)

Form = tuple[str, CookieOptions]


def _read(
    text: str, expires_at: float, settings: SessionSettings
) -> tuple[Data, SessionCookie, float | None, str]:
    # Data, cookie, time of creation, and the text of the data.
    members, data_text = _split(text)
    data = _decode_data(data_text)
    created = data.pop(CREATED, None)
    try:
        cookie = SessionCookie.from_json(members, expires_at, settings.cookie, settings.now)
        return data, cookie, None if created is None else float(created), data_text
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise BadRecord("its cookie makes no sense") from error
