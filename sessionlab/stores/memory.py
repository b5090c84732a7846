"""A store in the memory of one process.  Notebook: 03-stores."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from threading import Lock

from . import Record, StoreError


class MemoryStore:
    """Keeps records in a dict: for one process, and gone when it ends.

    Expired records are swept as others are created, two looked at for each, so that the store
    stays within about twice the most that were ever alive at once. ``max_sessions`` bounds it:
    beyond, ``create`` looks at 1000 records for an expired one and then raises ``StoreError``; no
    session is thrown out for another.
    """

    def __init__(
        self, now: Callable[[], float] = time.time, max_sessions: int | None = None
    ) -> None:
        if max_sessions is not None and max_sessions < 1:
            raise ValueError(
                f"max_sessions={max_sessions!r}: write 1 or more, or None for no limit"
            )
        self._now = now
        self._max_sessions = max_sessions
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._lock = Lock()

    def get(self, session_id: str) -> Record | None:
        record = self._records.get(session_id)  # one step, so it needs no lock
        return None if record is None or record.expires_at <= self._now() else record

    def create(self, session_id: str, text: str, expires_at: float) -> bool:
        with self._lock:
            self._sweep(2)
            if self.get(session_id) is not None:
                return False
            if self._max_sessions is not None and len(self._records) >= self._max_sessions:
                # Not all of a million, for each stranger who comes to a full store.
                self._sweep(1000)
                if len(self._records) >= self._max_sessions:
                    raise StoreError(
                        f"the store is full: {self._max_sessions} sessions; raise max_sessions"
                    )
            self._records[session_id] = Record(text, expires_at)
            return True

    def replace(self, session_id: str, old: str, new: str, expires_at: float) -> bool:
        with self._lock:
            record = self.get(session_id)
            if record is None or record.text != old:
                return False
            self._records[session_id] = Record(new, expires_at)
            return True

    def touch(self, session_id: str, expires_at: float) -> bool:
        with self._lock:
            record = self.get(session_id)
            if record is None:
                return False
            self._records[session_id] = Record(record.text, expires_at)
            return True

    def destroy(self, session_id: str) -> None:
        with self._lock:
            self._records.pop(session_id, None)

    def clear(self) -> None:
        """Forget every record."""
        with self._lock:
            self._records.clear()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids of the sessions that are alive now."""
        with self._lock:
            return iter(
                [session_id for session_id in self._records if self.get(session_id) is not None]
            )

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _sweep(self, count: int) -> None:
        # The dict is a ring here: a record that is looked at and alive goes to its end, without
        # leaving it for a moment, since ``get`` takes no lock. (The first key of a plain dict is
        # slow to find once many are deleted.)
        for _ in range(min(count, len(self._records))):
            session_id = next(iter(self._records))
            if self._records[session_id].expires_at > self._now():
                self._records.move_to_end(session_id)
            else:
                del self._records[session_id]
