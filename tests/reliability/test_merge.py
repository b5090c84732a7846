"""Row C7: the merge of two requests' changes, and a session against a model of it."""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from test_races import stored_session

from sessionlab import Session, SessionGone, decode_record, merge

KEYS = st.sampled_from("abcd")
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.text("xy", max_size=2),
    st.lists(st.integers(0, 1)),
)
DATA = st.dictionaries(KEYS, VALUES, max_size=4)


def same(one, other):
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def flaws(merge, base, mine, theirs):
    """Yield each law of the merge that does not hold."""
    merged = merge(base, mine, theirs)
    if not same(merge(base, mine, base), mine):
        yield "nobody else changed anything, and mine is not what comes out"
    if not same(merge(base, base, theirs), theirs):
        yield "I changed nothing, and theirs is not what comes out"
    if not same(merge(base, mine, mine), mine):
        yield "both did the same, and something else comes out"
    for key in base.keys() | mine.keys() | theirs.keys():
        missing = object()
        was, my, their, now = (data.get(key, missing) for data in (base, mine, theirs, merged))
        is_mine = (was is missing) != (my is missing) or (my is not missing and not same(was, my))
        expected = my if is_mine else their
        if (expected is missing) != (now is missing) or (
            now is not missing and not same(expected, now)
        ):
            yield f"{key} is {now}, expected {expected}"


def look_for_flaws(merge):
    """Return how many merges of any three were tried, and the flaws of the smallest wrong one."""
    tried, found = [], []

    @settings(max_examples=500, deadline=None, database=None)
    @given(DATA, DATA, DATA)
    def check(base, mine, theirs):
        tried.append(True)
        before = json.dumps([base, mine, theirs])
        found[:] = flaws(merge, base, mine, theirs)
        if json.dumps([base, mine, theirs]) != before:
            found.append(f"it changes what it is given: {before}")
        assert not found

    with suppress(AssertionError):
        check()
    return len(tried), found


def test_the_merge_is_right(figure):
    """C7: key by key, for any three."""
    tried, found = look_for_flaws(merge)
    figure.tried(tried, "merges of any three")
    figure.found(len(found), "counterexamples")
    assert found == []


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda base, mine, theirs: {**theirs, **mine}, id="two-way"),
        pytest.param(lambda base, mine, theirs: mine, id="last one wins it all"),
        pytest.param(
            lambda base, mine, theirs: {
                **theirs,
                **{k: v for k, v in mine.items() if base.get(k) != v},
            },
            id="forgets deletions, and takes 1 for true",
        ),
        pytest.param(
            lambda base, mine, theirs: theirs.update(merge(base, mine, theirs)) or theirs,
            id="into theirs",
        ),
    ],
)
def test_the_laws_catch_a_wrong_merge(wrong):
    """C7, T1."""
    assert look_for_flaws(wrong)[1]


class TwoRequests(RuleBasedStateMachine):
    """Two requests of one session that come and go in any order, beside a model made of dicts."""

    store = None
    merge = staticmethod(merge)
    runs = 0

    @initialize(data=DATA)
    def begin(self, data):
        type(self).runs += 1
        self.id = stored_session(self.store, **data)
        self.stored = dict(data)  # None once it has been logged out
        self.requests = {}

    @rule(who=st.booleans())
    def load(self, who):
        session = Session.load(self.store, self.id)
        assert (session is None) == (self.stored is None)
        if session is not None:
            self.requests[who] = (session, dict(self.stored), dict(self.stored))

    @rule(who=st.booleans(), key=KEYS, value=VALUES)
    def write(self, who, key, value):
        if who in self.requests:
            session, _, mine = self.requests[who]
            session[key] = mine[key] = value

    @rule(who=st.booleans(), key=KEYS)
    def delete(self, who, key):
        if who in self.requests:
            session, _, mine = self.requests[who]
            assert session.pop(key, None) == mine.pop(key, None)

    @rule(who=st.booleans())
    def save(self, who):
        if who in self.requests:
            session, base, mine = self.requests.pop(who)
            try:
                session.save()
            except SessionGone:
                assert self.stored is None
            else:
                self.stored = type(self).merge(base, mine, self.stored)

    @rule(who=st.booleans())
    def log_out(self, who):
        if who in self.requests:
            self.requests.pop(who)[0].destroy()
            self.stored = None

    @invariant()
    def the_store_holds_what_the_model_says(self):
        if hasattr(self, "id"):
            record = self.store.get(self.id)
            found = None if record is None else decode_record(record.text)[1]
            assert same(found, self.stored)


def run_machine(a_store, model_merge, examples, phases=tuple(Phase)):
    """Return how often the machine was run, and the error of the run that failed."""
    machine = type(
        "Machine", (TwoRequests,), {"store": a_store, "merge": staticmethod(model_merge)}
    )
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    limits = settings(
        max_examples=examples,
        phases=phases,
        deadline=None,
        suppress_health_check=checks,
        database=None,
    )
    error = None
    try:
        run_state_machine_as_test(machine, settings=limits)
    except AssertionError as failed:
        error = failed
    return machine.runs, error


def test_two_requests_do_what_the_model_does(store, sizes, figure):
    """C7: on each store."""
    runs, error = run_machine(store, merge, sizes(1_000))
    figure.tried(runs, "runs of a state machine")
    figure.found(error is not None, "counterexamples")
    if error is not None:
        raise error
    assert runs >= sizes(1_000) / 2


def test_the_machine_catches_a_model_with_a_two_way_merge(store):
    """C7, T1."""

    def two_way(base, mine, theirs):
        return {**(theirs or {}), **mine}

    assert run_machine(store, two_way, 1_000, phases=[Phase.generate])[1]  # found is enough
