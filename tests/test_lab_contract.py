"""The contract before a reader's eyes: a right store keeps it, a wrong one is told where it does
not, and nothing that a store does comes out as an error."""

import sys
import threading

import pytest

from sessionlab import MemoryStore, Record, SQLiteStore, StoreError
from sessionlab.lab import contract
from sessionlab.testing import StoreContract


class BlindSet(MemoryStore):
    def replace(self, session_id, old, new, expires_at):
        self.destroy(session_id)
        return self.create(session_id, new, expires_at)


class TouchCreates(MemoryStore):
    def touch(self, session_id, expires_at):
        return super().touch(session_id, expires_at) or self.create(session_id, "", expires_at)


class NeverExpires(MemoryStore):
    def __init__(self, now):
        super().__init__(now=lambda: 0.0)


class Racing(MemoryStore):
    """Looks first and writes then; all who race have looked before one of them writes."""

    def __init__(self, now):
        super().__init__(now)
        self.gate = threading.Barrier(8)

    def replace(self, session_id, old, new, expires_at):
        record = self.get(session_id)
        if record is None or record.text != old:
            return False
        if old == "base":  # the text of the race, and of no other promise that comes this far
            self.gate.wait(timeout=10)
        self.destroy(session_id)
        self.create(session_id, new, expires_at)
        return True


class CutsOff(MemoryStore):
    def create(self, session_id, text, expires_at):
        return super().create(session_id, text[:1000], expires_at)


class Lingers(MemoryStore):
    def create(self, session_id, text, expires_at):
        return super().create(session_id, text, expires_at + 5)


@pytest.mark.parametrize(
    "make_store",
    [MemoryStore, lambda now: SQLiteStore(":memory:", now=now)],
    ids=["memory", "sqlite"],
)
def test_a_right_store_keeps_every_promise(make_store):
    shown = contract(make_store)
    assert shown
    assert shown.broken == {}
    promised = [name for name in dir(StoreContract) if name.startswith("test_")]
    assert len(shown.promises) == len(promised)
    assert str(shown).startswith(
        f"the contract: {len(promised)} of {len(promised)} promises kept\n\npromise "
    )
    assert "what went wrong" not in str(shown)


@pytest.mark.parametrize(
    ("store", "promise", "problem"),
    [
        pytest.param(
            BlindSet,
            "replace refuses when the text is no longer the old one",
            'assert not store.replace("id", "base", "mine", later + 5)',
            id="blind set",
        ),
        pytest.param(
            BlindSet,
            "replace never brings back a destroyed record",
            'assert not store.replace("id", "old", "new", later)',
            id="blind set brings back",
        ),
        pytest.param(
            TouchCreates,
            "touch never makes a record",
            'assert not store.touch("nobody", later)',
            id="touch that creates",
        ),
        pytest.param(
            NeverExpires,
            "a record ends at its instant and not before",
            'assert store.get("id") is None',
            id="expired comes back",
        ),
        pytest.param(
            Racing,
            "of many replacing the same text one wins",
            "assert len(wins) == 1",
            id="not thread-safe",
        ),
        pytest.param(
            CutsOff,
            "a megabyte comes back whole",
            f"expect(\"id\", text, later): there is '{'x' * 20}…'",
            id="text cut off",
        ),
        pytest.param(
            Lingers,
            "what was created comes back as it was",
            'expect("id", text, later): it ends +5 s off',
            id="expiry moved",
        ),
    ],
)
def test_a_wrong_store_is_caught_at_the_promise_meant_for_it(store, promise, problem):
    shown = contract(store)
    assert not shown
    assert shown.broken[promise] == problem
    assert promise in shown._repr_mimebundle_()["text/html"]
    assert "an unknown id is none and no error" not in shown.broken


@pytest.mark.parametrize(("store", "count"), [(TouchCreates, 2), (Racing, 1), (CutsOff, 1)])
def test_a_flaw_breaks_its_own_promises_and_no_others(store, count):
    assert len(contract(store).broken) == count


class Fails(MemoryStore):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def get(self, session_id):
        raise self.error

    replace = get


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (StoreError("no answer"), "StoreError: no answer"),
        (StoreError("/var/lib/app/x.db: it is damaged"), "StoreError: x.db: it is damaged"),
        (OSError("C:\\Users\\ada\\x.db: no"), "OSError: x.db: no"),
        (ValueError("<Lock object at 0x7f3c5c1d>"), "ValueError: <Lock object>"),
        (KeyError(), "KeyError"),
        (RuntimeError("one\ntwo"), "RuntimeError: one"),
        (AssertionError("my own"), "AssertionError: my own"),
        (SystemExit(3), "SystemExit: 3"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_a_store_raises_is_shown_in_a_line_and_not_raised(error, problem, capfd):
    shown = contract(lambda now: Fails(error))
    assert shown.broken["an unknown id is none and no error"] == problem
    assert capfd.readouterr() == ("", "")


def test_an_error_in_the_race_is_the_stores_own_words_and_is_not_printed(capfd):
    class Busy(MemoryStore):
        def replace(self, session_id, old, new, expires_at):
            raise TypeError("replace() can't")

    usual = threading.excepthook
    shown = contract(Busy)
    problem = shown.broken["of many replacing the same text one wins"]
    assert problem == "TypeError: replace() can't"
    assert capfd.readouterr() == ("", "")
    assert threading.excepthook is usual


def test_a_class_that_is_no_store_breaks_every_promise():
    shown = contract(lambda now: None)
    assert len(shown.broken) == len(shown.promises)
    assert not contract(lambda: MemoryStore())


def test_a_dict_of_records_is_told_what_it_lacks():
    class Bare:
        def __init__(self, now):
            self.records = {}

        def get(self, session_id):
            return self.records.get(session_id)

        def create(self, session_id, text, expires_at):
            self.records[session_id] = Record(text, expires_at)
            return True

    problem = contract(Bare).broken["destroying what is gone is fine"]
    assert problem == "AttributeError: 'Bare' object has no attribute 'destroy'"


def test_a_store_that_never_answers_is_left_behind(monkeypatch):
    never = threading.Event()

    class Waits(MemoryStore):
        def destroy(self, session_id):
            never.wait()

    monkeypatch.setattr(sys.modules["sessionlab.lab.contract"], "_LIMIT", 0.2)
    shown = contract(Waits)
    never.set()
    assert shown.broken["a destroyed record is gone"] == "no answer within 0.2 seconds"
    assert "touch can shorten a life" not in shown.broken


def test_the_table_says_it_with_words_and_escapes_what_a_store_says():
    shown = contract(lambda now: Fails(ValueError("<script>")))
    html = shown._repr_mimebundle_()["text/html"]
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
    rows = [" ".join(line.split()) for line in str(shown).split("\n")]
    assert "an unknown id is none and no error no ValueError: <script>" in rows
    assert "destroying what is gone is fine no ValueError: <script>" in rows
