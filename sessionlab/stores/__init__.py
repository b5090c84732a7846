"""What a session store is.  Notebook: 03-stores.

A store keeps text under an id until an instant. It knows nothing of HTTP, JSON or cookies.

There is no ``set`` that overwrites, on purpose: with it, two requests of one session lose each
other's changes, and a slow request brings back a session that was logged out meanwhile. ``replace``
names the text that it replaces, and says False when that is no longer what the store holds.
"""

from typing import NamedTuple, Protocol


class Record(NamedTuple):
    """What a store holds under one session id."""

    text: str
    """The JSON that express-session would store."""
    expires_at: float
    """Unix time, seconds."""


class StoreError(Exception):
    """The store could not be asked, or could not do it. An unknown or expired session is no
    error."""


class Store(Protocol):
    """The contract; ``sessionlab.testing.StoreContract`` tests it. ``expires_at`` is Unix time in
    seconds.

    Each method is one atomic step, may be called from any thread, and raises ``StoreError`` when
    the store can't be reached. A store may also have ``__iter__`` over its ids, ``__len__`` and
    ``clear()``; note that an empty store with ``__len__`` is false.
    """

    def get(self, session_id: str) -> Record | None:
        """Return the record; None for an id that is unknown or has expired."""

    def create(self, session_id: str, text: str, expires_at: float) -> bool:
        """Keep a new record. False, and nothing is changed, when the id is taken."""

    def replace(self, session_id: str, old: str, new: str, expires_at: float) -> bool:
        """Put ``new`` in the place of ``old``. False, and nothing is changed, when it isn't ``old``
        or is gone."""

    def touch(self, session_id: str, expires_at: float) -> bool:
        """Move the expiry and leave the text. False when the record is gone; never makes one."""

    def destroy(self, session_id: str) -> None:
        """Forget the record, for good. Gone already is fine."""


from .memory import MemoryStore  # noqa: E402  (it stands on the names above)

__all__ = ["MemoryStore", "Record", "Store", "StoreError"]
