"""The parts of a cookie, and what a store holds, as tables."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from ..cookies import parse_cookies
from ..session import BadRecord, decode_record
from ..signing import BadSignature, unsign
from ..stores import Record
from .table import AMBER, BLUE, CAME, CHANGED, GREEN, PLAIN, RED, SAME, WENT, Row, Table, shorten

MOST_RECORDS = 100  # that are looked at and shown
_MOST_UNCHANGED = 3  # that are shown one by one

_HEADER = re.compile(r"\s*(set-cookie|cookie)\s*:", re.IGNORECASE)
_SIGNED = re.compile("s(:|%3A)", re.IGNORECASE)
_ATTRIBUTES = {
    "domain": "sent to this host and all below it; without it, to the host that set it alone",
    "path": "sent with requests to this path and below",
    "expires": "kept until then, even when the browser closes; a past date removes the cookie",
    "max-age": "kept for so many seconds; goes before Expires",
    "httponly": "no script in the page can read it (document.cookie)",
    "secure": "sent over https alone",
    "partitioned": "kept apart for each site that embeds this one; needs Secure",
    "priority": "Low goes first when a host has too many cookies; Chrome's own",
    "samesite": "Strict, Lax or None; anything else counts as Lax, or as nothing",
}
_SAME_SITE = {
    "lax": "comes along from another site only when a link to here is followed",
    "strict": "never comes along from another site",
    "none": "comes along from every site; needs Secure",
}


class Readable(Protocol):
    """As much of a store as is needed to look into it; a dict of records will do."""

    def get(self, session_id: str, /) -> Record | None: ...


def anatomy(cookie: str | None, secret: str | Sequence[str] | None = None) -> Table:
    """Return the parts of a session cookie, each with its meaning, to be displayed.

    ``cookie`` is what is at hand: a ``Set-Cookie`` or ``Cookie`` header, ``name=value`` or a bare
    value, percent-encoded or not. With ``secret`` (one, or several) the signature is checked.
    Nothing raises: what is missing is said.
    """
    text = cookie or ""
    header = _HEADER.match(text)
    parts = [part.strip(" \t") for part in text[header.end() if header else 0 :].split(";")]
    names = [part.partition("=")[0].lower() for part in parts]
    is_set = header[1].lower() == "set-cookie" if header else any(n in _ATTRIBUTES for n in names)
    # Of several cookies, the first that looks signed: the session's.
    chosen = 0 if is_set else next((i for i, part in enumerate(parts) if _is_signed(part)), 0)
    rows = list(_cookie_rows(parts.pop(chosen), secret))
    rows += [_attribute(part) if is_set else _neighbour(part) for part in parts if part]
    if is_set and not {"expires", "max-age"} & set(names):
        rows.append(Row(["Expires", "(none)", "goes when the browser closes"]))
    return Table("the parts of a cookie", ["part", "value", "meaning"], rows, prose=["meaning"])


def _is_signed(part: str) -> bool:
    return bool(_SIGNED.match(part.partition("=")[2]) or _SIGNED.match(part))


def _cookie_rows(part: str, secret: str | Sequence[str] | None) -> Iterator[Row]:
    name, equals, sent = part.partition("=")
    if not equals or _SIGNED.match(part):
        name, sent = "", part
    pairs = parse_cookies(f"value={sent}")
    value = pairs[0][1] if pairs else sent
    if not part:
        yield Row(["cookie", "(none)", "there is no cookie"])
        return
    yield Row(["name", name or "(none)", "the server finds its cookie by it"])
    if value != sent:
        yield Row(["as sent", sent, "percent-encoded: characters such as : and / travel as %XX"])
        yield Row(["decoded", value, "what the server reads"])
    elif value:
        yield Row(["value", value, "what the server reads, sent as it is"])
    yield from _value_rows(value, secret)


def _value_rows(value: str, secret: str | Sequence[str] | None) -> Iterator[Row]:
    if not value:
        yield Row(["value", "(empty)", "nothing in it: so a server clears the cookie of a browser"])
        return
    if not value.startswith("s:"):
        yield Row(["s:", "(none)", "missing: express-session would not take this value for signed"])
        return
    session_id, dot, signature = value[2:].rpartition(".")
    if not dot:
        session_id, signature = signature, ""
    yield Row(["s:", "s:", "a signed value follows; express-session's mark"], AMBER)
    yield Row(["id", session_id or "(none)", _id_meaning(session_id)], BLUE)
    yield Row([".", dot or "(none)", "the last dot parts the two" if dot else "missing"], AMBER)
    yield Row(["signature", signature or "(none)", _signature_meaning(signature)], GREEN)
    if secret is not None:
        yield _check(value[2:], secret)


def _id_meaning(session_id: str) -> str:
    if re.fullmatch("[A-Za-z0-9_-]{32}", session_id):
        return "32 characters of 6 bits: 24 bytes in URL-safe base64, 192 bits; the store's key"
    return f"{len(session_id)} characters; new_session_id() makes 32 of A-Z a-z 0-9 _ -"


def _signature_meaning(signature: str) -> str:
    if re.fullmatch("[A-Za-z0-9+/]{43}", signature):
        return "HMAC-SHA256 of the id, 256 bits: 43 characters of base64 without padding"
    return f"{len(signature)} characters; HMAC-SHA256 in base64 makes 43 of A-Z a-z 0-9 + /"


def _check(signed: str, secret: str | Sequence[str]) -> Row:
    try:
        unsign(signed, secret)
    except BadSignature:
        meaning = "forged or changed, or signed with another secret"
        return Row(["check", "does not fit", meaning], RED)
    return Row(["check", "fits", "who signed this id knows the secret"], GREEN)


def _attribute(part: str) -> Row:
    name, equals, value = part.partition("=")
    meaning = _ATTRIBUTES.get(name.lower(), "no attribute that browsers know: passed over")
    if name.lower() == "samesite":
        meaning = _SAME_SITE.get(value.lower(), meaning)
    return Row([name, value if equals else "(a flag)", meaning])


def _neighbour(part: str) -> Row:
    name, _, value = part.partition("=")
    return Row([name, value, "another cookie of the same request"])


def contents(store: Readable, now: Callable[[], float] = time.time) -> Table:
    """Return what a store holds, to be displayed: id, data, cookie, and when the record ends.

    ``now`` is the store's clock. At most 100 records are shown.
    """
    ids = list(islice(store, MOST_RECORDS + 1)) if isinstance(store, Iterable) else None
    rows = []
    for session_id in (ids or [])[:MOST_RECORDS]:
        if (record := store.get(session_id)) is not None:
            parts = record_parts(record)
            ends = _ends(record.expires_at - now())
            rows.append(Row([session_id, parts["data"], parts["cookie"], ends]))
    if len(ids or []) > MOST_RECORDS:
        rows.append(Row(["…", "and more records", "", ""]))
    says = "the store does not list its ids" if ids is None else "the store is empty"
    rows = rows or [Row(["(none)", says, "", ""])]
    return Table("what the store holds", ["id", "data", "cookie", "ends"], rows, prose=["ends"])


def record_parts(record: Record) -> dict[str, str]:
    """Return ``data`` and ``cookie`` of a record as JSON, spaced for reading. Of a text that is no
    session, the text."""
    try:
        cookie, data = decode_record(record.text)
    except BadRecord as error:
        return {"data": record.text, "cookie": f"({error})"}
    return {
        "data": json.dumps(data, ensure_ascii=False),
        "cookie": json.dumps(cookie, ensure_ascii=False),
    }


def _ends(seconds: float) -> str:
    if seconds <= 0:
        return "has ended"
    for unit, length, most in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if round(seconds) < most:
            return f"in {round(seconds / length)} {unit}"
    return f"in {round(seconds / 86400)} days"


def changes(before: dict[str, Record], after: dict[str, Record]) -> Table:
    """Return how a store changed, to be displayed."""
    ids = list({**before, **after})
    rows = {key: list(_changes(key, before.get(key), after.get(key))) for key in ids}
    same = [key for key in ids if all(row.tint == PLAIN for row in rows[key])]
    if len(same) > _MOST_UNCHANGED:
        rows = {key: rows[key] for key in ids if key not in same}
        rows["same"] = [Row([f"{SAME} {len(same)} records", "", "the same"])]
    shown = [row for group in rows.values() for row in group]
    shown = shown or [Row(["(none)", "the store is empty", "and still is"])]
    return Table("the store, before → after", ["key", "before", "after"], shown)


def _changes(key: str, old: Record | None, new: Record | None) -> Iterable[Row]:
    was, now = record_parts(old) if old else {}, record_parts(new) if new else {}
    mark, tint = (CHANGED, AMBER) if old and new else (CAME, GREEN) if new else (WENT, RED)
    for part in ("data", "cookie"):
        one, other = was.get(part, "(none)"), now.get(part, "(none)")
        if one != other:
            yield Row([f"{mark} {shorten(key)} {part}", one, other], tint)
        elif part == "data":
            yield Row([f"{SAME} {shorten(key)} {part}", one, "the same"])
    # A clock that runs moves each expiry by some milliseconds; that would only be noise.
    if old and new and (moved := round(new.expires_at - old.expires_at)):
        later = f"{abs(moved)} s {'later' if moved > 0 else 'earlier'}"
        yield Row([f"{mark} {shorten(key)} ends", "", later], tint)
