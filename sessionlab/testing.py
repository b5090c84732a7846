"""The contract of a store, as tests that any store can be asked.  Notebook: 03-stores.

Subclass ``StoreContract`` in a file that pytest collects, and say how your store is made:

    class TestMyStore(StoreContract):
        def make_store(self, now):
            return MyStore(now=now)

A store that goes by a clock of its own, as a server does, also sets ``tolerance`` and overrides
``advance``.
"""

import threading
from collections.abc import Callable

from .stores import Store


class Clock:
    """A clock that stands still until ``advance``: Unix time in seconds, to be passed as ``now``.

    It starts in October 2096: browsers, and requests, drop a cookie whose ``Expires`` is past by
    *their* clock, so that one which is behind it would log everybody out.
    """

    def __init__(self, start: float = 4_000_000_000.0) -> None:
        self._time = start

    def __call__(self) -> float:
        return self._time

    def advance(self, seconds: float) -> None:
        """Move the hands, forward or back."""
        self._time += seconds


class StoreContract:
    """What every store promises. A test's name says the promise."""

    tolerance = 0.0
    """Seconds by which ``expires_at`` may be off, for a clock that no test can stop."""

    def make_store(self, now: Callable[[], float]) -> Store:
        """Return an empty store that reads the time from ``now``."""
        raise NotImplementedError("return your store here")

    def advance(self, seconds: float) -> None:
        """Let time pass, for the store as for ``now``."""
        self.clock.advance(seconds)

    def expect(self, session_id: str, text: str, expires_at: float) -> None:
        """Fail unless the store holds just this."""
        record = self.store.get(session_id)
        assert record is not None
        assert record.text == text
        assert abs(record.expires_at - expires_at) <= self.tolerance

    def setup_method(self) -> None:
        self.clock = Clock()
        self.store = self.make_store(self.clock)
        self.later = self.clock() + 3600

    def test_an_unknown_id_is_none_and_no_error(self) -> None:
        assert self.store.get("nobody") is None

    def test_what_was_created_comes_back_as_it_was(self) -> None:
        text = '{"cookie":{},"name":"Zoë ☕ \U0001f600","path":"a/b\\\\c\\u0000"}'
        assert self.store.create("id", text, self.later)
        self.expect("id", text, self.later)

    def test_create_never_overwrites(self) -> None:
        assert self.store.create("id", "mine", self.later)
        assert not self.store.create("id", "yours", self.later + 1)
        self.expect("id", "mine", self.later)

    def test_an_expired_id_may_be_created_again(self) -> None:
        self.store.create("id", "old", self.later)
        self.advance(3601)
        assert self.store.create("id", "new", self.clock() + 60)
        self.expect("id", "new", self.clock() + 60)

    def test_replace_puts_new_text_and_expiry_in_place_of_the_old(self) -> None:
        self.store.create("id", "old", self.later)
        assert self.store.replace("id", "old", "new", self.later + 5)
        self.expect("id", "new", self.later + 5)

    def test_replace_refuses_when_the_text_is_no_longer_the_old_one(self) -> None:
        self.store.create("id", "theirs", self.later)
        assert not self.store.replace("id", "base", "mine", self.later + 5)
        self.expect("id", "theirs", self.later)

    def test_replace_never_brings_back_a_destroyed_record(self) -> None:
        self.store.create("id", "old", self.later)
        self.store.destroy("id")
        assert not self.store.replace("id", "old", "new", self.later)
        assert self.store.get("id") is None

    def test_touch_moves_the_expiry_and_leaves_the_text(self) -> None:
        self.store.create("id", "text", self.later)
        assert self.store.touch("id", self.later + 100)
        self.expect("id", "text", self.later + 100)

    def test_touch_can_shorten_a_life(self) -> None:
        self.store.create("id", "text", self.later)
        assert self.store.touch("id", self.clock() + 1)
        self.advance(2)
        assert self.store.get("id") is None

    def test_touch_never_makes_a_record(self) -> None:
        assert not self.store.touch("nobody", self.later)
        assert self.store.get("nobody") is None

    def test_a_destroyed_record_is_gone(self) -> None:
        self.store.create("id", "text", self.later)
        self.store.destroy("id")
        assert self.store.get("id") is None

    def test_destroying_what_is_gone_is_fine(self) -> None:
        self.store.destroy("nobody")
        assert self.store.get("nobody") is None

    def test_a_record_ends_at_its_instant_and_not_before(self) -> None:
        self.store.create("id", "text", self.later)
        self.advance(3599)
        assert self.store.get("id") is not None
        self.advance(1)
        assert self.store.get("id") is None

    def test_an_expired_record_can_be_neither_replaced_nor_touched(self) -> None:
        self.store.create("id", "text", self.later)
        self.advance(3601)
        assert not self.store.replace("id", "text", "new", self.clock() + 60)
        assert not self.store.touch("id", self.clock() + 60)
        assert self.store.get("id") is None

    def test_ids_do_not_share_anything(self) -> None:
        self.store.create("id", "lower", self.later)
        self.store.create("ID", "upper", self.later)
        self.store.destroy("id")
        self.expect("ID", "upper", self.later)

    def test_a_megabyte_comes_back_whole(self) -> None:
        text = "x" * 1_000_000
        self.store.create("id", text, self.later)
        self.expect("id", text, self.later)

    def test_of_many_replacing_the_same_text_one_wins(self) -> None:
        self.store.create("id", "base", self.later)
        gate = threading.Barrier(8)
        wins: list[str] = []

        def race(mine: str) -> None:
            gate.wait()
            if self.store.replace("id", "base", mine, self.later):
                wins.append(mine)

        threads = [threading.Thread(target=race, args=(f"mine {n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(wins) == 1
        self.expect("id", wins[0], self.later)
