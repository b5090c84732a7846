"""sessionlab does what express-session does, in scenarios that were written by hand.

Express's side was recorded from the real package (`record.py`), so that this runs without Node;
with Node, it is also asked whether it still does what was recorded.
"""

from collections import Counter

import pytest
from differences import for_caches, rows
from record import read_all
from runs import difference, run, show
from scenarios import TOPICS
from sides import Express, RecordingStore, Sessionlab

import sessionlab.cookies
import sessionlab.middleware
import sessionlab.session
from sessionlab import Record
from sessionlab.policy import Verdict

EVERY = [scenario for scenarios in TOPICS.values() for scenario in scenarios]
RECORDED = read_all()
EQUAL = [scenario for scenario in EVERY if scenario.row is None]
CACHES = ("no `Vary`", "a shared cache may keep a response that sends the cookie")
DIFFERENT = [scenario for scenario in EVERY if scenario.row is not None]


def named(scenarios):
    return [pytest.param(scenario, id=scenario.name) for scenario in scenarios]


@pytest.fixture(scope="module")
def here():
    with Sessionlab() as side:
        yield side


@pytest.fixture(scope="module")
def express():
    with Express() as side:
        yield side


def disagreement(scenario, express, here):
    """Return what is wrong with the two traces of a scenario, as text; empty if nothing is."""
    if scenario.row is None:
        express = for_caches(express, scenario.options.get("name", "connect.sid"))
        is_right = express == here
    else:
        if scenario.row not in CACHES:
            express, here = without_caches(express), without_caches(here)
        is_right = difference(express, here) == (scenario.express, scenario.here)
    return "" if is_right else show(scenario, express, here)


def without_caches(trace):
    told = {"vary", "cache_control"}
    return [{key: value for key, value in entry.items() if key not in told} for entry in trace]


# The comparison.


@pytest.mark.parametrize("scenario", named(EQUAL))
def test_it_does_what_express_does(scenario, here):
    wrong = disagreement(scenario, RECORDED[scenario.name], run(scenario, here))
    assert not wrong, wrong


@pytest.mark.parametrize("scenario", named(DIFFERENT))
def test_it_differs_from_express_in_what_is_said_and_in_nothing_else(scenario, here):
    wrong = disagreement(scenario, RECORDED[scenario.name], run(scenario, here))
    assert not wrong, wrong


@pytest.mark.parametrize("topic", TOPICS)
def test_express_still_does_what_was_recorded(topic, express):
    for scenario in TOPICS[topic]:
        before, now = RECORDED[scenario.name], run(scenario, express)
        if now != before:
            text = show(scenario, before, now).replace("\n  here ", "\n  now  ")
            pytest.fail(f"read it, and run tests/express/record.py: {text}")


# What there is to compare.


def test_each_scenario_is_recorded_and_has_a_name_of_its_own():
    names = Counter(scenario.name for scenario in EVERY)
    assert [name for name, count in names.items() if count > 1] == []
    assert set(RECORDED) == set(names)


def test_each_row_of_the_readme_has_a_scenario_that_shows_it():
    assert rows(), "the README has no table of differences any more"
    assert [row for row in rows() if row not in {one.row for one in DIFFERENT}] == []


def test_each_difference_names_a_row_of_the_readme():
    assert [one.row for one in DIFFERENT if one.row not in rows()] == []


def test_each_difference_says_what_the_two_do():
    assert [one.name for one in DIFFERENT if not one.express and not one.here] == []


# A comparison that finds nothing is worth nothing unless it can find something: each of these
# faults is put in, and has to be found.


class Overwrites(RecordingStore):
    """What a store with a blind ``set`` does."""

    def replace(self, session_id, old, new, expires_at):
        self.store.destroy(session_id)
        return self._set(self.store.create(session_id, new, expires_at), session_id)


class ForgetsToTouch(RecordingStore):
    def touch(self, session_id, expires_at):
        self.calls.append(f"touch {session_id}")
        return True


class NeverDestroys(RecordingStore):
    def destroy(self, session_id):
        self.calls.append(f"destroy {session_id}")


class CutsFractions(RecordingStore):
    def get(self, session_id):
        record = super().get(session_id)
        return record and Record(record.text, float(int(record.expires_at)))


def deciding(change):
    """A policy whose decision, or whose options, are altered."""

    def plant(monkeypatch):
        right = sessionlab.middleware.decide
        monkeypatch.setattr(sessionlab.middleware, "decide", lambda *given: change(right, *given))

    return plant


def always(**parts):
    verdicts = {part: Verdict(value, "a fault") for part, value in parts.items()}
    return deciding(lambda decide, facts, options: decide(facts, options)._replace(**verdicts))


def with_options(**changed):
    return deciding(lambda decide, facts, options: decide(facts, options._replace(**changed)))


def with_facts(**changed):
    return deciding(lambda decide, facts, options: decide(facts._replace(**changed), options))


def replacing(owner, name, make):
    def plant(monkeypatch):
        monkeypatch.setattr(owner, name, make(getattr(owner, name)))

    return plant


FAULTS = {
    "the cookie is always sent": always(set_cookie=True),
    "the cookie is never cleared": always(clear_cookie=False),
    "every session is saved": always(save=True),
    "no session is touched": always(touch=False),
    "rolling is forgotten": with_options(rolling=False),
    "resave is forgotten": with_options(resave=False),
    "saveUninitialized is forgotten": with_options(save_uninitialized=False),
    "a change of the cookie is no change": with_facts(is_cookie_changed=False),
    "a dated cookie is taken for an undated one": with_facts(has_expiry=False),
    "Secure is forgotten": with_facts(is_insecure=False),
    "a retired secret is not renewed": with_facts(is_secret_retired=False),
    "a nested change is not noticed": replacing(
        sessionlab.session.Session, "__getitem__", lambda _: lambda self, key: self.look()[key]
    ),
    "any signature will do": replacing(
        sessionlab.middleware, "unsign", lambda _: lambda text, _: text.rpartition(".")[0]
    ),
    "the first secret alone verifies": replacing(
        sessionlab.middleware, "_verify", lambda right: lambda text, keys: right(text, keys[:1])
    ),
    "the last secret signs": replacing(
        sessionlab.middleware, "sign", lambda right: lambda value, _: right(value, "another secret")
    ),
    "a slash in the value is not escaped": replacing(
        sessionlab.cookies, "_encode", lambda right: lambda value: right(value).replace("%2F", "/")
    ),
    "Expires is a second late": replacing(
        sessionlab.cookies, "format_date_time", lambda right: lambda moment: right(moment + 1)
    ),
    "a record says seconds and no fraction": replacing(
        sessionlab.cookies, "_to_iso", lambda right: lambda moment: right(moment)[:-5] + "Z"
    ),
    "the data comes before the cookie": replacing(
        sessionlab.session,
        "_join",
        lambda _: lambda cookie, data: f'{data[:-1]}{"," * (data != "{}")}"cookie":{cookie}}}',
    ),
    "paths match by their beginning": replacing(
        sessionlab.middleware,
        "path_matches",
        lambda _: lambda path, cookie: path.startswith(cookie),
    ),
    "regenerate keeps the id": replacing(
        sessionlab.session.Session, "regenerate", lambda _: lambda self, keep_data=False: None
    ),
    "reload does nothing": replacing(
        sessionlab.session.Session, "reload", lambda _: lambda self: None
    ),
}


def found(side):
    """Whether any scenario finds a fault; each is tried alone, until one does."""
    for scenario in EVERY:
        trace = run(scenario, side)
        if disagreement(scenario, RECORDED[scenario.name], trace):
            return scenario.name
    return None


def test_without_a_fault_nothing_is_found(here):
    assert found(here) is None


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault, here, monkeypatch):
    FAULTS[fault](monkeypatch)
    # What is kept from before would hide it.
    sessionlab.cookies._write.cache_clear()
    assert found(here) is not None
    sessionlab.cookies._write.cache_clear()


@pytest.mark.parametrize("store", [Overwrites, ForgetsToTouch, NeverDestroys, CutsFractions])
def test_a_store_that_does_not_keep_its_contract_is_found(store):
    with Sessionlab(store) as side:
        assert found(side) is not None


def test_a_disagreement_is_shown_side_by_side(here):
    scenario = next(one for one in EQUAL if one.name == "a change is stored")
    ours = run(scenario, here)
    altered = [*ours[:-1], {**ours[-1], "status": 500}]
    text = disagreement(scenario, RECORDED[scenario.name], altered)
    assert "  express  3 status: 200\n" in text
    assert "  here     3 status: 500\n" in text
    assert "  both     3 saw: read views: 2\n" in text
