"""The README's recipe to end all sessions of a user."""

import re
from pathlib import Path

from test_races import run_together, stored_session

from sessionlab import Session

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
RECIPE = {}
exec(next(block for block in BLOCKS if "def log_out_everywhere" in block), RECIPE)
log_in, log_out_everywhere = RECIPE["log_in"], RECIPE["log_out_everywhere"]
is_logged_in = RECIPE["is_logged_in"]


def logged_in(store, user):
    session = Session(store)
    log_in(session, user)
    session.save()
    return session.id


def test_all_sessions_of_a_user_end_and_nobody_elses(store):
    own, other = [logged_in(store, "ada") for _ in range(5)], logged_in(store, "grace")
    assert all(is_logged_in(store, Session.load(store, session_id)) for session_id in own)
    log_out_everywhere(store, "ada")
    assert not any(is_logged_in(store, Session.load(store, session_id)) for session_id in own)
    assert is_logged_in(store, Session.load(store, other))


def test_one_can_log_in_again_afterwards_and_log_out_everywhere_again(store):
    for _ in range(2):
        log_out_everywhere(store, "ada")
        session_id = logged_in(store, "ada")
        assert is_logged_in(store, Session.load(store, session_id))
    log_out_everywhere(store, "ada")
    assert not is_logged_in(store, Session.load(store, session_id))


def test_a_login_that_is_under_way_does_not_get_in(store):
    session = Session(store)
    log_in(session, "ada")
    log_out_everywhere(store, "ada")
    session.save()
    assert not is_logged_in(store, Session.load(store, session.id))


def test_logging_out_at_the_same_time_is_fine(store):
    session_id = logged_in(store, "ada")
    run_together(*[lambda: log_out_everywhere(store, "ada")] * 8)
    assert not is_logged_in(store, Session.load(store, session_id))


def test_a_visitor_who_never_logged_in_is_not_logged_in(store):
    assert not is_logged_in(store, Session(store))


def test_every_session_can_be_found_and_ended(store):
    ids = {stored_session(store, n=n) for n in range(3)}
    assert set(store) == ids
    for session_id in store:
        store.destroy(session_id)
    assert list(store) == []
