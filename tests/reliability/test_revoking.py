"""The README's recipe to end all sessions of a user."""

import re
from pathlib import Path

from test_races import run_together, stored_session

from sessionlab import Session, SessionGone

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
RECIPE = {}
exec(next(block for block in BLOCKS if "def log_out_everywhere" in block), RECIPE)  # noqa: S102
note_login, log_out_everywhere = RECIPE["note_login"], RECIPE["log_out_everywhere"]


def log_in(store, user):
    session_id = stored_session(store, user=user)
    note_login(store, user, session_id, 4e9)
    return session_id


def test_all_sessions_of_a_user_end_and_nobody_elses(store):
    own, other = [log_in(store, "ada") for _ in range(5)], log_in(store, "grace")
    log_out_everywhere(store, "ada")
    assert [store.get(session_id) for session_id in own] == [None] * 5
    assert store.get(other) is not None


def test_logging_out_everywhere_is_fine_for_somebody_who_never_came(store):
    log_out_everywhere(store, "nobody")


def test_logins_at_the_same_time_are_all_noted(store):
    run_together(*[lambda: [log_in(store, "ada") for _ in range(5)]] * 8)
    log_out_everywhere(store, "ada")
    log_out_everywhere(store, "ada")
    assert len(list(store)) == 1  # the list, which is empty now


def test_a_request_that_is_under_way_does_not_bring_its_session_back(store):
    session = Session.load(store, log_in(store, "ada"))
    session["late"] = True
    log_out_everywhere(store, "ada")
    try:
        session.save()
    except SessionGone:
        assert store.get(session.id) is None
    else:
        raise AssertionError("it was saved")


def test_every_session_can_be_found_and_ended(store):
    ids = {stored_session(store, n=n) for n in range(3)}
    assert set(store) == ids
    for session_id in store:
        store.destroy(session_id)
    assert list(store) == []
