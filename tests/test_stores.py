"""The stores keep the contract; what is theirs alone is tested beside it."""

import threading

import pytest

from sessionlab import MemoryStore, StoreError
from sessionlab.testing import Clock, StoreContract


class TestMemoryStore(StoreContract):
    def make_store(self, now):
        return MemoryStore(now=now)


class Overwriting(MemoryStore):
    """A store as most of them are: ``replace`` is a blind set."""

    def replace(self, session_id, old, new, expires_at):
        self.destroy(session_id)
        return self.create(session_id, new, expires_at)


class NeverExpiring(MemoryStore):
    def __init__(self, now):
        super().__init__(now=lambda: 0.0)


class TouchingCreates(MemoryStore):
    def touch(self, session_id, expires_at):
        return super().touch(session_id, expires_at) or self.create(session_id, "", expires_at)


@pytest.mark.parametrize(
    ("broken", "at_least"), [(Overwriting, 3), (NeverExpiring, 4), (TouchingCreates, 2)]
)
def test_the_contract_catches_a_broken_store(broken, at_least):
    class Contract(StoreContract):
        def make_store(self, now):
            return broken(now=now)

    failed = []
    for name in dir(Contract):
        if name.startswith("test_"):
            contract = Contract()
            contract.setup_method()
            try:
                getattr(contract, name)()
            except AssertionError:
                failed.append(name)
    assert len(failed) >= at_least


def fill(store, count, expires_at, start=0):
    for number in range(start, start + count):
        assert store.create(f"id {number}", "text", expires_at)


def test_expired_records_are_swept_as_others_are_created():
    clock = Clock()
    store = MemoryStore(now=clock)
    fill(store, 1000, clock() + 60)
    clock.advance(61)
    fill(store, 500, clock() + 60, start=1000)
    assert len(store._records) == 500


def test_the_sweep_spares_every_record_that_is_alive():
    clock = Clock()
    store = MemoryStore(now=clock)
    fill(store, 1000, clock() + 3600)
    fill(store, 3000, clock() + 1, start=1000)
    clock.advance(2)
    fill(store, 3000, clock() + 3600, start=4000)
    assert len(store) == 4000
    assert all(store.get(f"id {number}") for number in range(1000))


def test_a_full_store_refuses_a_new_session_and_keeps_the_old_ones():
    clock = Clock()
    store = MemoryStore(now=clock, max_sessions=3)
    fill(store, 3, clock() + 60)
    with pytest.raises(StoreError, match="3 sessions"):
        store.create("one more", "text", clock() + 60)
    assert sorted(store) == ["id 0", "id 1", "id 2"]


def test_a_full_store_has_room_again_when_sessions_have_expired():
    clock = Clock()
    store = MemoryStore(now=clock, max_sessions=3)
    fill(store, 3, clock() + 60)
    clock.advance(61)
    assert store.create("one more", "text", clock() + 60)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nobody_in_is_refused(limit):
    with pytest.raises(ValueError, match="1 or more"):
        MemoryStore(max_sessions=limit)


def test_iterating_and_counting_see_what_is_alive():
    clock = Clock()
    store = MemoryStore(now=clock)
    fill(store, 2, clock() + 60)
    fill(store, 1, clock() + 600, start=2)
    clock.advance(61)
    assert list(store) == ["id 2"]
    assert len(store) == 1


def test_clear_forgets_everything():
    store = MemoryStore()
    fill(store, 5, 9e9)
    store.clear()
    assert len(store) == 0


def test_a_live_record_is_never_missed_while_others_are_swept():
    clock = Clock()
    store = MemoryStore(now=clock)
    store.create("alive", "text", clock() + 3600)
    misses = []
    done = threading.Event()

    def read():
        while not done.is_set():
            if store.get("alive") is None:
                misses.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    fill(store, 20_000, clock() + 3600)
    done.set()
    reader.join()
    assert not misses
