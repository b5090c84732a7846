"""The session: a mapping that knows how to store itself.  Notebook: 04-sessions.

The rules of this file: it knows nothing of requests and responses, and decides nothing of when to
save. A record is compact JSON, ``{"cookie":{...},<data>}``, which express-session reads and writes
too. Nothing is decoded before somebody looks; to find a change, the text of now is compared with
the text that was loaded.
"""

import json
import logging
import math
import os
import random
import re
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from copy import copy
from functools import lru_cache
from secrets import token_urlsafe
from threading import RLock
from typing import Any, NamedTuple, NoReturn, TypeVar

from .cookies import CookieOptions, SessionCookie
from .stores import Record, Store, StoreError

logger = logging.getLogger("sessionlab")

T = TypeVar("T")
Data = dict[str, Any]
Form = tuple[str, CookieOptions]  # two sessions are the same if data, as text, and cookie are

_START = '{"cookie":'
_CREATED = "sessionlab.createdAt"  # ms since 1970, beside the data where there is an absolute limit
_AGE = re.compile(_START + r'\{"originalMaxAge":(null|[1-9][0-9]{0,12})[,}]')
_HALF = re.compile("[\ud800-\udfff]")  # half a character, as JavaScript's slice() leaves behind
_ENDED = "null"  # stands where a session was, while its data moves to another id
_SKEW = 60  # seconds by which the clocks of two machines may differ
_TRIES = 200
_LONGEST_PAUSE = 0.1  # seconds
_LONGEST_TURN = 0.25


class SessionGone(Exception):
    """The session has ended, by this request or by another: nothing can be kept in it any more."""


class BadRecord(ValueError):
    """A stored text that describes no session."""


def new_session_id() -> str:
    """Return 24 random bytes in URL-safe base64: 32 characters, which nobody can guess."""
    return token_urlsafe(24)


def encode_record(cookie: Data, data: Data) -> str:
    """Return the text of a record: compact JSON, the cookie first.

    Raises: ``TypeError`` or ``ValueError`` that names the key of a value which JSON can't hold.
    """
    return _join(_ENCODER.encode(cookie), encode_data(data))


def decode_record(text: str) -> tuple[Data, Data]:
    """Return the ``cookie`` object and the data of a record.

    Raises: ``BadRecord`` for text that is no JSON object with a ``cookie`` object in it.
    """
    cookie_text, data_text = _split(text)
    return _decode(cookie_text), _decode(data_text)


def encode_data(data: Data) -> str:
    """Return the data alone as compact JSON, its keys in their order.

    Raises: ``TypeError`` or ``ValueError`` that names the key of a value which JSON can't hold.
    """
    try:
        text = _ENCODER.encode(data)
    except (TypeError, ValueError, RecursionError):
        _explain(data)
        raise
    return text if text.isascii() else _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def merge(base: Data, mine: Data, theirs: Data) -> Data:
    """Return ``theirs``, with the top-level keys laid over it in which ``mine`` left ``base``.

    A key that ``mine`` deleted is deleted. Values are compared as JSON, where 1 is not true.
    """
    merged = _keep(mine, theirs)
    for key, value in mine.items():
        if key not in base or not _is_same(base[key], value):
            merged[key] = value
    for key in base.keys() - mine.keys():
        merged.pop(key, None)
    return merged


def _keep(mine: Data, theirs: Data) -> Data:
    # Theirs, in my objects where these say the same: somebody may hold one and change it yet.
    return {
        key: mine[key] if key in mine and _is_same(mine[key], value) else value
        for key, value in theirs.items()
    }


def _is_same(one: object, other: object) -> bool:
    return encode_data({"": one}) == encode_data({"": other})


def _refuse(number: str) -> NoReturn:
    raise ValueError(f"{number} is a number that JSON does not have")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


def _join(cookie_text: str, data_text: str) -> str:
    comma = "" if data_text == "{}" else ","
    return f"{_START}{cookie_text}{comma}{data_text[1:]}"


def _split(text: str) -> tuple[str, str]:
    # The texts of the cookie and of the data. What was written here, or by Express, begins with the
    # cookie, and ``encode_data`` need not run again to find what it made of the data at that time.
    text = text.strip()
    start, _, rest = text.partition("}")
    cookie_text = start.removeprefix(_START) + "}"
    if text.startswith(_START) and rest.startswith((',"', "}")) and _is_object(cookie_text):
        return cookie_text, "{" + rest.removeprefix(",")
    data = _decode(text)
    cookie = data.pop("cookie", None)
    if not isinstance(cookie, dict):
        raise BadRecord("it has no cookie object")
    return _ENCODER.encode(cookie), encode_data(data)


@lru_cache(maxsize=256)
def _is_object(text: str) -> bool:
    try:
        return isinstance(_DECODER.decode(text), dict)
    except (ValueError, RecursionError):
        return False


def _decode(text: str) -> Data:
    try:
        text.isascii() or text.encode()  # a raw half of a character could never be stored again
        data, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise BadRecord("it is no JSON") from error
    if end != len(text) or not isinstance(data, dict):
        raise BadRecord("it is no object in JSON")
    return data


def _explain(value: object, name: str = "session") -> None:
    # Say which value JSON can't hold; the encoder knows, and does not tell.
    if name.count("[") > 500:
        raise ValueError(f"{name[:60]}... holds itself, or is nested too deep for JSON")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{name} has the key {key!r}: keys are text; write {str(key)!r}")
            _explain(item, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _explain(item, f"{name}[{index}]")
    elif isinstance(value, str | int | float) or value is None:
        try:
            _ENCODER.encode(value)
        except ValueError:
            raise ValueError(f"{name} is a number that JSON can't hold: store text") from None
    else:
        kind = type(value).__name__
        raise TypeError(
            f"{name} is a {kind}, which JSON can't hold: store text, numbers, lists, dicts"
        )


class SessionSettings(NamedTuple):
    """What the sessions of one application have in common. Times are seconds."""

    cookie: CookieOptions = CookieOptions()
    genid: Callable[[], str] = new_session_id
    idle_timeout: float = 86400
    """How long the store keeps a record whose cookie has no ``max_age``."""
    absolute_timeout: float | None = None
    """The age at which a session ends however busy it is."""
    max_bytes: int = 1_000_000
    """How large a record may be; a larger session is refused when it is to be stored."""
    now: Callable[[], float] = time.time
    is_secure: bool = False
    """What ``"auto"`` in the cookie's options asks: did this request come over https?"""


class Changes(NamedTuple):
    """What became of a session since it was loaded; a change of its cookie is a change."""

    is_modified: bool
    is_cookie_changed: bool
    is_saved: bool


UNCHANGED = Changes(is_modified=False, is_cookie_changed=False, is_saved=True)
_UNTOUCHED = UNCHANGED._replace(is_saved=False)  # and new


class Session(MutableMapping[str, Any]):
    """The data of one visitor: a mapping from text to JSON values, and the means to store it.

    A change to something nested counts; there is no flag to set. (But a list or dict taken out of
    the session earlier is a copy, once ``reload`` or another request's change has replaced it.)
    ``save``, ``reload``, ``touch``, ``destroy`` and ``regenerate`` act at once; the middleware does
    what is left when the response begins. Two requests that change different keys both keep their
    changes; of two that change the same key, the last one wins, and ``atomic`` is for those.
    Raises: ``StoreError`` where the store fails, ``SessionGone`` where the session has ended.
    Source: the semantics of express-session 1.19.
    """

    # Without a ``__dict__``, ``session.views = 1``, as one writes in JavaScript, is an error.
    __slots__ = (
        *("_cookie", "_created", "_data", "_expires_at", "_id", "_is_lent", "_is_written"),
        *("_loaded", "_saved", "_settings", "_store", "_stored"),
        *("is_destroyed", "is_new", "was_saved"),
    )

    def __init__(self, store: Store, settings: SessionSettings = SessionSettings()) -> None:
        self._store = store
        self._settings = settings
        self._begin()

    def _begin(self) -> None:
        # Nothing is stored yet; id, data and cookie are not made before somebody asks for them.
        self._id: str | None = None
        self._stored: str | None = None  # the text in the store, as far as we know
        self._expires_at = 0.0
        self._data: Data | None = None
        self._cookie: SessionCookie | None = None
        self._created: float | None = None
        self._loaded: Form | None = ("{}", self._settings.cookie)
        self._saved: Form | None = None
        self._is_lent = self._is_written = False  # a list or dict was handed out; a key was set
        self.is_new = True
        self.is_destroyed = self.was_saved = False

    @classmethod
    def load(
        cls, store: Store, session_id: str, settings: SessionSettings = SessionSettings()
    ) -> "Session | None":
        """Return the session that the store has under this id; None if it is unknown or expired."""
        record = store.get(session_id)
        if record is None or record.expires_at <= settings.now():
            return None
        session = cls(store, settings)
        session._id = session_id
        session.is_new = False
        session._stored, session._expires_at = record
        return session

    def look(self) -> Data:
        """Decode the data, unless somebody did. A record that can't be read makes a new session."""
        if self._data is None and self._stored is not None:
            try:
                self._open(self._stored, self._expires_at)
            except BadRecord as error:
                logger.warning("a stored session is not used: %s", str(error))
                self._begin()
        if self._data is None:
            self._data = {}
        return self._data

    def _open(self, text: str, expires_at: float) -> None:
        # Take all that the record holds, or nothing.
        cookie_text, data_text = _split(text)
        data, settings = _decode(data_text), self._settings
        created, limit = data.pop(_CREATED, None), settings.absolute_timeout
        options, now = settings.cookie, settings.now
        try:
            cookie = SessionCookie.from_json(cookie_text, expires_at, options, now)
            if limit is not None and created and created / 1000 > now() + _SKEW:
                created = None  # the clock was put back since: its age counts from now
            is_over = limit is not None and created and created / 1000 + limit <= now()
        except (ValueError, TypeError) as error:
            raise BadRecord("its cookie makes no sense") from error
        if is_over or "cookie" in data:
            raise BadRecord("it has reached its limit" if is_over else "it has two cookies")
        self._stored, self._expires_at = text, expires_at
        self._data, self._created = data, created
        if limit is not None and created is None:
            self._is_written = True  # its age has to be kept from now on
        if self._cookie is None:
            self._cookie = cookie
        else:  # somebody may hold it
            self._cookie.become(cookie)
        self._saved = data_text, cookie.options
        if not (self.is_new or self.was_saved):  # else the browser may have to be told of it still
            self._loaded = self._saved

    def __getitem__(self, key: str) -> Any:
        value = self.look()[key]
        if isinstance(value, (dict, list)):
            self._is_lent = True
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"session[{key!r}]: keys are text; write session[{str(key)!r}]")
        _require_free(key)
        self._require_alive()
        self.look()[key] = value
        self._is_written = True

    def __delitem__(self, key: str) -> None:
        del self.look()[key]
        self._is_written = True

    def __iter__(self) -> Iterator[str]:
        return iter(self.look())

    def __len__(self) -> int:
        return len(self.look())

    def __repr__(self) -> str:
        # Not the id, which is as good as a password; and to print a session leaves it as it is.
        state = "destroyed" if self.is_destroyed else "new" if self.is_new else "loaded"
        return f"<Session: {state}, keys {list(self._data or ())}>"

    @property
    def id(self) -> str:
        """The session id. Whoever knows it is this visitor."""
        self.look()
        if self._id is None:
            self._id = self._settings.genid()
            if not isinstance(self._id, str) or not self._id:
                raise TypeError(f"genid returned {self._id!r}: it must return text, not empty")
        return self._id

    @property
    def key(self) -> tuple[str | None, bool]:
        """What a browser must know of it: the id, if there is one yet, and whether it has ended."""
        return self._id, self.is_destroyed

    @property
    def cookie(self) -> SessionCookie:
        """The cookie of this session, whose attributes may be changed."""
        self.look()
        if self._cookie is None:
            self._cookie = SessionCookie(self._settings.cookie, self._settings.now)
        return self._cookie

    @property
    def cookie_options(self) -> CookieOptions:
        """The attributes of its cookie, as far as anybody has looked."""
        return self._settings.cookie if self._cookie is None else self._cookie.options

    def changes(self) -> Changes:
        """Compare the session as it is now with what was loaded and with what is stored."""
        if self._data is None and self._stored is not None:
            return UNCHANGED  # nobody has looked
        loaded, options = self._loaded, self.cookie_options
        if loaded is None:  # regenerated: another id
            return Changes(True, True, self._form(self.look()) == self._saved)
        is_cookie_changed = options is not loaded[1] and options != loaded[1]
        may_differ = self._is_lent or self._is_written or self.was_saved
        if not (may_differ or is_cookie_changed):
            return UNCHANGED if self._stored is not None else _UNTOUCHED
        now = self._form(self.look())
        if now[0] != loaded[0] and not self._is_written and not self.is_new:
            # Another writer's JSON may look otherwise (1e-7 for our 1e-07) and still say the same.
            ours = encode_data(_decode(loaded[0])), loaded[1]
            self._saved = ours if self._saved == loaded else self._saved
            self._loaded = loaded = ours
        return Changes(now != loaded, is_cookie_changed, now == self._saved)

    def _form(self, data: Data) -> Form:
        created = self._note_creation()
        text = encode_data(data if created is None else {_CREATED: created, **data})
        return text, self.cookie_options

    def _note_creation(self) -> float | None:
        if self._settings.absolute_timeout is not None and self._created is None:
            self._created = round(self._settings.now() * 1000)
        return self._created

    def needs_touch(self, touch_after: float) -> bool:
        """Return whether renewing would move the record's expiry by more than ``touch_after`` s.

        By more than half its life, where that is less; 0 renews always.
        """
        lifetime = self._lifetime()
        moved = abs(self._expiry(lifetime) - self._expires_at)  # back, too, if a clock was wrong
        return touch_after == 0 or moved > touch_after or moved > lifetime / 2

    def _lifetime(self) -> float:
        if self._data is None:
            if age := _AGE.match(self._stored or ""):
                return self._settings.idle_timeout if age[1] == "null" else int(age[1]) / 1000
            self.look()
        return self.cookie_options.max_age or self._settings.idle_timeout

    def _expiry(self, lifetime: float) -> float:
        expires_at, limit = self._settings.now() + lifetime, self._settings.absolute_timeout
        if limit is None:
            return expires_at
        self.look()
        return min(expires_at, (self._note_creation() or 0) / 1000 + limit)

    def save(self) -> None:
        """Store the session now.

        Where another request changed it meanwhile, only the top-level keys that this one changed
        are laid over what is there.
        """
        self._require_alive()
        for is_again in self._tries():
            if is_again:
                self._catch_up()
            if self._write(self.look()):
                return

    def atomic(self, change: Callable[[Data], T]) -> T:
        """Apply ``change`` to the newest data and store it; return what ``change`` returned.

        ``change`` alters the dict that it gets, and is called again whenever somebody came between.
        Unsaved changes of this request are stored along with it.
        """
        self._require_alive()
        for _ in self._tries():
            self._catch_up()
            mine = self.look()
            data: Data = _DECODER.decode(encode_data(mine))  # a copy, in case the try fails
            result, self._is_written = change(data), True
            if self._write(_keep(mine, data)):
                return result
        raise AssertionError("the tries end with an error")

    def reload(self) -> None:
        """Take what is in the store now; unsaved changes are lost."""
        self._require_alive()
        record = None if self._stored is None else self._store.get(self.id)
        self._open_newest(record)
        self._is_lent = self._is_written = False

    def touch(self) -> None:
        """Renew the session now: the cookie's age and the record's time start again."""
        self._require_alive()
        self.cookie.touch()
        expires_at = self._expiry(self._lifetime())
        if self._stored is not None:
            if not self._store.touch(self.id, expires_at):
                raise SessionGone("the session ended before it could be renewed")
            self._expires_at = expires_at

    def destroy(self) -> None:
        """End the session now: the record is gone, the mapping empty, the cookie to be cleared."""
        came_with = self._id  # also if its record can't be read, and looking makes a new session
        cookie = self.cookie  # to be cleared with the attributes that it was set with
        self._store.destroy(came_with or self.id)
        self._begin()
        self._cookie, self.is_destroyed = cookie, True

    def regenerate(self, keep_data: bool = False) -> None:
        """Go on under a new id, so that knowing the old one is worth nothing; do so at each login.

        The old id is dead when this returns. Data and cookie go with it, unless ``keep_data``.
        """
        if keep_data:
            self._require_alive()
            self._move()
        else:
            self._store.destroy(self._id or self.id)
            self._begin()
        self.is_new, self._loaded = True, None

    def _move(self) -> None:
        # The data is under the new id before it leaves the old one. What another request changes
        # until then is taken along, for the old record ends by a ``replace`` too.
        self.look()
        new = copy(self)
        new._id = new._stored = None
        try:
            for is_again in self._tries():
                if is_again:
                    self._catch_up()
                new._data, new._cookie = self.look(), self.cookie
                if new._write(new._data) and (self._stored is None or self._end(self._stored)):
                    break
        except BaseException:
            with suppress(StoreError):
                self._store.destroy(new.id)
            raise
        try:
            self._store.destroy(self.id)
        except StoreError as error:  # it is dead already: what stands there is no session
            logger.warning("an ended session is still in the store: %s", str(error))
        for name in self.__slots__:
            setattr(self, name, getattr(new, name))

    def _end(self, text: str) -> bool:
        return self._store.replace(self.id, text, _ENDED, self._expires_at)

    def _require_alive(self) -> None:
        if self.is_destroyed:
            raise SessionGone("the session was destroyed; regenerate() begins another one")

    def _write(self, data: Data) -> bool:
        # One try. False: the id is taken, or the store no longer holds what we know.
        for key in data:
            _require_free(key)
        self.cookie.touch()
        form, expires_at = self._form(data), self._expiry(self._lifetime())
        comes_back = _DECODER.decode(form[0])
        comes_back.pop(_CREATED, None)
        if comes_back != data:
            _explain(data)  # a key that is a number, say, comes back as text
        text = _join(self.cookie.to_json(self._settings.is_secure), form[0])
        size, limit = len(text.encode()), self._settings.max_bytes
        if size > limit:
            raise ValueError(
                f"the session has {size} bytes, where max_bytes is {limit}: store less"
            )
        if self._stored is not None:
            is_done = self._store.replace(self.id, self._stored, text, expires_at)
        elif not (is_done := self._store.create(self.id, text, expires_at)):
            self._id = None  # the next try makes another one
        if is_done:
            self._data, self._stored, self._expires_at = data, text, expires_at
            self._saved, self.was_saved = form, True
        return is_done

    def _tries(self) -> Iterator[bool]:
        # Whether it is another one. Who lost waits for the other losers of this process, of which
        # one tries at a time; and after that for a random moment, longer each time, lest the
        # losers of all processes meet again.
        yield False
        turn, is_mine = _turns[hash(self._id) % len(_turns)], False
        try:
            for attempt in range(1, _TRIES):
                is_mine = is_mine or turn.acquire(timeout=_LONGEST_TURN)
                if attempt > 1:
                    pause = min(0.001 * 1.5 ** min(attempt, 20), _LONGEST_PAUSE)
                    time.sleep(random.uniform(0, pause))  # noqa: S311
                yield True
        finally:
            if is_mine:
                turn.release()
        raise StoreError(
            f"other requests changed the session in each of {_TRIES} tries to store it"
        )

    def _catch_up(self) -> None:
        # Lay what this request changed over what the store holds now.
        mine, options, saved = self.look(), self.cookie.options, self._saved
        if self._stored is None:
            return
        is_cookie_mine = saved is not None and options != saved[1]
        base, loaded = _decode(_split(self._stored)[1]), self._loaded
        self._open_newest(self._store.get(self.id))
        self._data, self._loaded = merge(base, mine, self.look()), loaded
        if is_cookie_mine:
            self.cookie.options = options

    def _open_newest(self, record: Record | None) -> None:
        try:
            if record is not None:
                return self._open(*record)
        except BadRecord as error:
            logger.warning("a stored session is not used: %s", str(error))
        raise SessionGone("the store has no such session")


def _require_free(key: str) -> None:
    if key in ("cookie", _CREATED):
        raise ValueError(f"session[{key!r}]: the record has another use for this key")


def _renew_turns() -> None:
    _turns[:] = [RLock() for _ in _turns]


# By id. A thread may change one session in the midst of another one's ``atomic``.
_turns = [RLock() for _ in range(64)]
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_turns)  # who holds one is not there
