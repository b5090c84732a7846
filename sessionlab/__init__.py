"""Web sessions built from nothing, in the semantics and on the wire of express-session."""

import logging
from typing import TYPE_CHECKING, Any

from .cookies import CookieOptions, SessionCookie, format_set_cookie, parse_cookies
from .middleware import SessionMiddleware, WeakSecretWarning
from .policy import Decision, Facts, Options, decide, should_save, should_set_cookie, should_touch
from .session import (
    BadRecord,
    Session,
    SessionGone,
    SessionSettings,
    decode_record,
    encode_record,
    merge,
    new_session_id,
)
from .signing import BadSignature, sign, unsign
from .stores import MemoryStore, Record, Store, StoreError
from .stores.redis import RedisStore

if TYPE_CHECKING:
    from .stores.sqlite import SQLiteStore

__all__ = [
    "BadRecord",
    "BadSignature",
    "CookieOptions",
    "Decision",
    "Facts",
    "MemoryStore",
    "Options",
    "Record",
    "RedisStore",
    "SQLiteStore",
    "Session",
    "SessionCookie",
    "SessionGone",
    "SessionMiddleware",
    "SessionSettings",
    "Store",
    "StoreError",
    "WeakSecretWarning",
    "decide",
    "decode_record",
    "encode_record",
    "format_set_cookie",
    "merge",
    "new_session_id",
    "parse_cookies",
    "should_save",
    "should_set_cookie",
    "should_touch",
    "sign",
    "unsign",
]

logging.getLogger("sessionlab").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name != "SQLiteStore":
        raise AttributeError(f"module 'sessionlab' has no attribute {name!r}")
    from .stores.sqlite import SQLiteStore  # with SQLite, which not everybody needs, on demand

    return SQLiteStore
