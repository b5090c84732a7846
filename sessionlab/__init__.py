"""Web sessions built from nothing, in the semantics and on the wire of express-session."""

import logging

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

__all__ = [
    "BadRecord",
    "BadSignature",
    "CookieOptions",
    "Decision",
    "Facts",
    "MemoryStore",
    "Options",
    "Record",
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
