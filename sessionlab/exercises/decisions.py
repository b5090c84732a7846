"""Exercises of chapter 5: save, touch, send the cookie?  Notebook: 05-decisions.

What is expected is what express-session did when it was asked over HTTP, case by case.
"""

from collections.abc import Callable

from .. import policy
from ..lab.grid import CASES, RECORDED, Case
from ..policy import Facts, Options
from .exercise import NOT_YET, Exercise, Wrong, called
from .result import shown

_SAVE, _TOUCH, _COOKIE = 4, 2, 1

Decide = Callable[..., bool]


def _ask(
    decide: Decide, names: tuple[str, ...], bit: int, is_meant: Callable[[Case], bool]
) -> None:
    """Ask for each case that is meant, and raise ``Wrong`` where Express decided otherwise."""
    for case, digit in zip(CASES, RECORDED, strict=True):
        if is_meant(case):
            facts = {name: getattr(case, name) for name in names}
            came_out, expected = decide(**facts), bool(int(digit) & bit)
            if came_out is not expected:
                raise Wrong(called(decide, **facts), came_out=shown(came_out), expected=expected)


def _facts(is_new: bool, is_modified: bool, has_expiry: bool = False) -> Facts:
    is_saved = not (is_new or is_modified)
    return Facts(is_new=is_new, is_modified=is_modified, is_saved=is_saved, has_expiry=has_expiry)


def should_save(is_new: bool, is_modified: bool, save_uninitialized: bool, resave: bool) -> bool:
    options = Options(resave=resave, save_uninitialized=save_uninitialized)
    return bool(policy.should_save(_facts(is_new, is_modified), options))


def should_touch(is_new: bool, is_modified: bool, resave: bool) -> bool:
    return bool(policy.should_touch(_facts(is_new, is_modified), Options(resave=resave)))


def should_set_cookie(
    is_new: bool, is_modified: bool, save_uninitialized: bool, rolling: bool, has_expiry: bool
) -> bool:
    options = Options(rolling=rolling, save_uninitialized=save_uninitialized)
    return bool(policy.should_set_cookie(_facts(is_new, is_modified, has_expiry), options))


SHOULD_SAVE = Exercise(
    "should_save",
    kind="write the part",
    task="Write should_save(...): is the session written to the store at the end of a request?",
    starter=f'''
        def should_save(is_new, is_modified, save_uninitialized, resave):
            """Return True if the session is to be written to the store, else False."""
            {NOT_YET}
    ''',
    answer=should_save,
    shown_with=[policy.should_save],
    hints=[
        "Begin with what is certain: when is a session written whatever the options say?",
        "A session that is new and one that was loaded are two matters: which option belongs to "
        "which?",
        "resave says nothing of new sessions, save_uninitialized nothing of others.",
    ],
)
_SAVE_NAMES = ("is_new", "is_modified", "save_uninitialized", "resave")


@SHOULD_SAVE.rule(
    "what was changed is saved",
    why="Else the next request does not see it: that is what sessions are for.",
    hint="Which fact alone is enough?",
)
def _changed_is_saved(attempt: Decide) -> None:
    _ask(attempt, _SAVE_NAMES, _SAVE, lambda case: case.is_modified)


@SHOULD_SAVE.rule(
    "a loaded session that nobody changed is not written again, unless resave is on",
    why="A needless write costs time, and may overwrite what another request has just stored.",
    hint="Look at the option that is named after writing again.",
)
def _unchanged_is_not(attempt: Decide) -> None:
    _ask(
        attempt,
        _SAVE_NAMES,
        _SAVE,
        lambda case: not (case.is_new or case.is_modified),
    )


@SHOULD_SAVE.rule(
    "a stranger who stored nothing leaves no record, also with resave",
    why="Each crawler and each probe would leave one; the store fills up with nobody.",
    hint="There was no record: what could be written again?",
)
def _strangers(attempt: Decide) -> None:
    _ask(
        attempt,
        _SAVE_NAMES,
        _SAVE,
        lambda case: case.is_new and not (case.is_modified or case.save_uninitialized),
    )


@SHOULD_SAVE.rule(
    "with save_uninitialized a stranger's empty session is kept",
    why="Who counts visitors that do nothing wants just this.",
    hint="New, and nobody wrote to it: which option asks for it all the same?",
)
def _uninitialized(attempt: Decide) -> None:
    _ask(attempt, _SAVE_NAMES, _SAVE, lambda case: case.is_new)


SHOULD_TOUCH = Exercise(
    "should_touch",
    kind="write the part",
    task="Write should_touch(...): is the record's life renewed, without writing its data?",
    starter=f'''
        def should_touch(is_new, is_modified, resave):
            """Return True if the record is to be renewed without being written, else False."""
            {NOT_YET}
    ''',
    answer=should_touch,
    shown_with=[policy.should_touch],
    hints=[
        "To touch is to say: this session is in use. Who says so already by other means?",
        "A session that is saved gets a new expiry with it.",
    ],
)
_TOUCH_NAMES = ("is_new", "is_modified", "resave")


@SHOULD_TOUCH.rule(
    "a session that was only read is renewed",
    why="Else a visitor who reads for an hour is logged out in the midst of it.",
    hint="Nobody changed it, and it is in the store.",
)
def _read_is_renewed(attempt: Decide) -> None:
    _ask(
        attempt,
        _TOUCH_NAMES,
        _TOUCH,
        lambda case: not (case.is_new or case.is_modified or case.resave),
    )


@SHOULD_TOUCH.rule(
    "a new session is not touched",
    why="There is no record to be renewed.",
    hint="What does a store do that is asked to touch what it does not have?",
)
def _new_is_not(attempt: Decide) -> None:
    _ask(attempt, _TOUCH_NAMES, _TOUCH, lambda case: case.is_new)


@SHOULD_TOUCH.rule(
    "a session that is saved is not touched as well",
    why="To save renews it; a second call to the store is a round trip for nothing.",
    hint="There are two reasons to save a loaded session; one is an option.",
)
def _saved_is_not(attempt: Decide) -> None:
    _ask(attempt, _TOUCH_NAMES, _TOUCH, lambda case: True)


SHOULD_SET_COOKIE = Exercise(
    "should_set_cookie",
    kind="write the part",
    task="Write should_set_cookie(...): does the response carry Set-Cookie?",
    starter=f'''
        def should_set_cookie(is_new, is_modified, save_uninitialized, rolling, has_expiry):
            """Return True if the response is to carry Set-Cookie, else False.

            has_expiry: the cookie has an age, and does not go when the browser closes.
            """
            {NOT_YET}
    ''',
    answer=should_set_cookie,
    shown_with=[policy._wants_cookie],
    hints=[
        "The cookie holds the id and its expiry. When does the browser not know one of them?",
        "A new session: send it if it is kept. A loaded one: send it if the expiry moves.",
        "Express moves the cookie's expiry when the data changed, or always with rolling.",
    ],
)
_COOKIE_NAMES = ("is_new", "is_modified", "save_uninitialized", "rolling", "has_expiry")


@SHOULD_SET_COOKIE.rule(
    "a new session that was written to is told to the browser",
    why="The browser does not know the id yet; without it the data is never found again.",
    hint="New and modified: does any option matter?",
)
def _new_is_told(attempt: Decide) -> None:
    _ask(
        attempt,
        _COOKIE_NAMES,
        _COOKIE,
        lambda case: case.is_new and case.is_modified,
    )


@SHOULD_SET_COOKIE.rule(
    "a stranger gets a cookie only if his empty session is kept, whatever rolling says",
    why="A cookie for nothing needs consent in some countries, and spoils every cache.",
    hint="An id under which nothing is stored: is it worth a cookie?",
)
def _strangers_get_none(attempt: Decide) -> None:
    _ask(attempt, _COOKIE_NAMES, _COOKIE, lambda case: case.is_new)


@SHOULD_SET_COOKIE.rule(
    "rolling sends it with each response",
    why="So a cookie with an age lives as long as its owner comes back.",
    hint="One option is enough here.",
)
def _rolling(attempt: Decide) -> None:
    _ask(
        attempt,
        _COOKIE_NAMES,
        _COOKIE,
        lambda case: case.rolling and not case.is_new,
    )


@SHOULD_SET_COOKIE.rule(
    "a cookie with an age is sent again when the data changed",
    why="The record's life begins again, and the cookie has to last as long.",
    hint="Which two facts together move what the browser holds?",
)
def _age_moves(attempt: Decide) -> None:
    _ask(
        attempt,
        _COOKIE_NAMES,
        _COOKIE,
        lambda case: not case.is_new and case.has_expiry and case.is_modified,
    )


@SHOULD_SET_COOKIE.rule(
    "what the browser has already is not sent again",
    why="Each Set-Cookie is bytes on the wire, and keeps a response out of shared caches.",
    hint="A cookie that goes with the browser has no expiry that could move.",
)
def _not_again(attempt: Decide) -> None:
    _ask(attempt, _COOKIE_NAMES, _COOKIE, lambda case: True)


EXERCISES = [SHOULD_SAVE, SHOULD_TOUCH, SHOULD_SET_COOKIE]
