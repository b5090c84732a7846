"""Decide what is done with a session at the end of a request, and say why.  Notebook: 05-decisions.

The rules of this file: pure functions of facts. No store, no clock, no HTTP, so that a table of all
cases tests it, and a notebook can draw that table.
Source: express-session 1.19, index.js: shouldSave, shouldTouch, shouldSetCookie; where we differ,
it says so.
"""

from functools import lru_cache
from typing import NamedTuple


class Options(NamedTuple):
    """The three options that decide. Each is off unless there is a reason."""

    resave: bool = False
    """Write back a session that nobody changed."""
    rolling: bool = False
    """Send the cookie with every response, so that its age starts again."""
    save_uninitialized: bool = False
    """Keep a new session that nobody wrote to."""


class Facts(NamedTuple):
    """What is known when the response is about to begin."""

    is_new: bool
    """The id is another one than the valid cookie brought, or it brought none."""
    is_modified: bool = False
    """The id, the data or the cookie changed since the session was loaded."""
    is_cookie_changed: bool = False
    """The cookie itself changed: its age, say."""
    is_saved: bool = False
    """The store holds the session as it is now."""
    was_saved: bool = False
    """This request has stored it already."""
    is_destroyed: bool = False
    """This request ended it."""
    is_gone: bool = False
    """Another request ended it meanwhile."""
    has_expiry: bool = False
    """The cookie has an age; it outlives the browser."""
    is_touch_due: bool = True
    """Renewing would move the record's expiry by more than ``touch_after``."""
    is_secret_retired: bool = False
    """The cookie that came was signed with a secret that is no longer the first."""
    is_insecure: bool = False
    """The cookie is Secure and the request is not."""
    had_cookie: bool = False
    """A cookie of our name came with the request."""


class Verdict(NamedTuple):
    """Yes or no, and why."""

    is_yes: bool
    why: str

    def __bool__(self) -> bool:
        return self.is_yes


class Decision(NamedTuple):
    """What is done with the session. Each part is true or false and has its ``why``."""

    save: Verdict
    touch: Verdict
    set_cookie: Verdict
    clear_cookie: Verdict


_ENDED = Verdict(False, "it has ended")


def should_save(facts: Facts, options: Options) -> Verdict:
    """Write the session to the store?"""
    if facts.is_destroyed or facts.is_gone:
        return _ENDED
    if facts.is_new and not facts.was_saved and not options.save_uninitialized:
        if facts.is_modified:
            return Verdict(True, "it is new and was written to")
        return Verdict(False, "it is new, nobody wrote to it, and save_uninitialized is off")
    if not facts.is_saved:
        is_empty = facts.is_new and not facts.is_modified
        return Verdict(
            True, "it is new and save_uninitialized is on" if is_empty else "it was changed"
        )
    if options.resave and not facts.was_saved:
        return Verdict(True, "nobody changed it, and resave is on")
    return Verdict(False, "the store holds it as it is")


def should_touch(facts: Facts, options: Options) -> Verdict:
    """Renew the record in the store, without writing it?"""
    if facts.is_destroyed or facts.is_gone:
        return _ENDED
    if facts.is_new:
        return Verdict(False, "it is new")
    if should_save(facts, options):
        return Verdict(False, "saving renews it")
    if should_set_cookie(facts, options):
        return Verdict(True, "the cookie is renewed, and the record has to last as long")
    if facts.is_touch_due:
        return Verdict(True, "it was used, and would otherwise end too early")
    return Verdict(False, "it was renewed a moment ago (touch_after)")


def should_set_cookie(facts: Facts, options: Options) -> Verdict:
    """Send ``Set-Cookie``?"""
    if facts.is_destroyed or facts.is_gone:
        return _ENDED
    yes = _wants_cookie(facts, options)
    if yes and facts.is_insecure:
        return Verdict(False, "the cookie is Secure and this request is not")
    return yes


def _wants_cookie(facts: Facts, options: Options) -> Verdict:
    if facts.is_new:
        if facts.is_modified:
            return Verdict(True, "the browser does not know the new id yet")
        if options.save_uninitialized:
            return Verdict(True, "it is new and save_uninitialized is on")
        return Verdict(False, "it is new and nobody wrote to it")
    if options.rolling:
        return Verdict(True, "rolling is on")
    if facts.has_expiry and facts.is_modified:
        return Verdict(True, "it was changed, and the cookie's age starts again")
    # The next two are ours: Express sends neither.
    if facts.is_cookie_changed:
        return Verdict(True, "the cookie itself was changed")
    if facts.is_secret_retired:
        return Verdict(True, "the cookie that came was signed with a retired secret")
    return Verdict(False, "the browser has it already")


def should_clear_cookie(facts: Facts) -> Verdict:
    """Send a ``Set-Cookie`` that removes the cookie from the browser? (Express leaves it there.)"""
    if facts.is_destroyed and facts.had_cookie:
        return Verdict(True, "the session was destroyed, and the browser still has its cookie")
    return Verdict(
        False, "this request did not destroy it" if not facts.is_destroyed else "no cookie came"
    )


@lru_cache(maxsize=1024)
def decide(facts: Facts, options: Options) -> Decision:
    """Return what is done with the session, each part with its reason."""
    return Decision(
        save=should_save(facts, options),
        touch=should_touch(facts, options),
        set_cookie=should_set_cookie(facts, options),
        clear_cookie=should_clear_cookie(facts),
    )
