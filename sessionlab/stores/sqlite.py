"""A store in one SQLite file, which survives a restart.  Notebook: 03-stores.

The rules of this file: each method is one statement and so one transaction, for SQLite refuses a
transaction that has read and then, beside another writer, wants to write. A connection works for
one thread at a time, and none is open while the process forks.
"""

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock, RLock
from typing import Any, TypeVar
from weakref import WeakSet

from . import Record, StoreError

T = TypeVar("T")
Value = str | float

_APPLICATION = 0x736C6162  # "slab" in ASCII
_VERSION = 1
_TABLES = f"""
BEGIN EXCLUSIVE;
CREATE TABLE IF NOT EXISTS sessions (
    sid TEXT NOT NULL PRIMARY KEY,
    sess TEXT NOT NULL CHECK (typeof(sess) = 'text'),
    expires_at REAL NOT NULL CHECK (typeof(expires_at) = 'real'));
CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires_at);
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
COMMIT;
"""
_GET = "SELECT sess, expires_at FROM sessions WHERE sid = ? AND expires_at > ?"
_CREATE = """
INSERT INTO sessions (sid, sess, expires_at) VALUES (?, ?, ?) ON CONFLICT (sid) DO UPDATE
SET sess = excluded.sess, expires_at = excluded.expires_at WHERE sessions.expires_at <= ?"""
_REPLACE = """
UPDATE sessions SET sess = ?, expires_at = ? WHERE sid = ? AND sess = ? AND expires_at > ?"""
_TOUCH = "UPDATE sessions SET expires_at = ? WHERE sid = ? AND expires_at > ?"
_SWEEP = """
DELETE FROM sessions WHERE rowid IN
(SELECT rowid FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT 16)"""
_CREATES_PER_SWEEP = 8
_ONE_WAIT = 0.001  # seconds
_ADVICE = {
    sqlite3.SQLITE_BUSY: "another program holds its lock; find that, or raise busy_timeout",
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_IOERR: "the disk fails; see whether it is full or broken",
    sqlite3.SQLITE_READONLY: "it can't be written; see who may write it, and in its folder",
    sqlite3.SQLITE_READONLY_ROLLBACK: "a crash left a -journal beside it; if new, delete both",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened; see that it is there, and who may open it",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put a copy in its place, or delete it and its -wal",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database; give the store a file of its own",
}


class _Seat:
    """Room for one connection, which works for whoever holds the lock."""

    def __init__(self) -> None:
        self.lock = RLock()  # a signal handler may come back to the thread that holds it
        self.connection: sqlite3.Connection | None = None
        self.file: tuple[int, int] | None = None

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    __del__ = close


class _Queue:
    """Threads take turns in the order in which they came.

    A ``Lock`` goes to the quickest, which is the one that has just had it. And SQLite's own lock is
    taken each time one may look: a thread leaves others the interpreter just while it writes.
    """

    def __init__(self) -> None:
        self._mutex = Lock()
        self._turns: deque[Lock] = deque()

    def join(self) -> Lock:
        """Return a lock that is free as soon as it is one's turn."""
        turn = Lock()
        with self._mutex:
            if self._turns:
                turn.acquire()
            self._turns.append(turn)
        return turn

    def leave(self, turn: Lock) -> None:
        with self._mutex:
            is_first = self._turns[0] is turn
            self._turns.remove(turn)
            if is_first and self._turns:
                self._turns[0].release()


class SQLiteStore:
    """Keeps records in one file, which the processes of one machine may share.

    What a method has stored when it returns survives ``kill -9`` and a power failure. It waits for
    other writers at most ``busy_timeout`` seconds; who reads waits for nobody. A connection is
    opened when the others are all at work, and kept: as many as there were threads at once.

    ``path``: where it is relative, from the folder of this moment. A new file is its owner's alone.
    ``-wal`` and ``-shm`` beside it are part of it; no network share can hold it. ``":memory:"``
    is gone with its process, and a child process goes on with a copy of its own.

    Format, version 1: ``application_id`` 0x736C6162, ``user_version`` 1, one table ``sessions``:
    ``sid`` (text, compared byte by byte), ``sess`` (the record's text), ``expires_at`` (Unix time,
    seconds). A file that is anything else is refused and left as it is. Every eighth ``create``
    deletes up to 16 expired records; the file never shrinks, but their room is used again.
    Raises: ``StoreError`` that says what to do about the file, and nothing of any session.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        now: Callable[[], float] = time.time,
        busy_timeout: float = 0.5,
    ) -> None:
        if not 0 < busy_timeout <= 60:
            raise ValueError(f"busy_timeout={busy_timeout!r}: write seconds, at most 60")
        self._is_memory = path == ":memory:"
        self._path = ":memory:" if self._is_memory else str(Path(path).absolute())
        self._now = now
        self._busy_timeout = busy_timeout
        self._creates = count()
        self._queue = _Queue()
        self._seats: list[_Seat] = []
        self._refusal = ""
        with _gate:
            _stores.add(self)
            self._attempt(time.monotonic() + busy_timeout, self._make)

    def get(self, session_id: str) -> Record | None:
        rows = self._find(_GET, session_id, self._now())
        return Record(*rows[0]) if rows else None

    def create(self, session_id: str, text: str, expires_at: float) -> bool:
        now = self._now()
        if next(self._creates) % _CREATES_PER_SWEEP == 0:
            self._change(_SWEEP, now)
        return self._change(_CREATE, session_id, text, expires_at, now)

    def replace(self, session_id: str, old: str, new: str, expires_at: float) -> bool:
        return self._change(_REPLACE, new, expires_at, session_id, old, self._now())

    def touch(self, session_id: str, expires_at: float) -> bool:
        return self._change(_TOUCH, expires_at, session_id, self._now())

    def destroy(self, session_id: str) -> None:
        self._change("DELETE FROM sessions WHERE sid = ?", session_id)

    def clear(self) -> None:
        """Forget every record."""
        self._change("DELETE FROM sessions")

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids of the sessions that are alive now."""
        rows = self._find("SELECT sid FROM sessions WHERE expires_at > ?", self._now())
        return iter([session_id for (session_id,) in rows])

    def __len__(self) -> int:
        rows = self._find("SELECT count(*) FROM sessions WHERE expires_at > ?", self._now())
        return int(rows[0][0])

    def close(self) -> None:
        """Close the file, once what is at work has ended; the store can't be used any more."""
        self._refusal = "the store was closed; make another one"
        for seat in self._seats:
            with seat.lock:
                seat.close()

    def _find(self, sql: str, *values: Value) -> list[Any]:
        return self._run(time.monotonic() + self._busy_timeout, sql, values)[0]

    def _change(self, sql: str, *values: Value) -> bool:
        deadline = time.monotonic() + self._busy_timeout
        turn = self._queue.join()
        try:
            if not turn.acquire(timeout=self._busy_timeout):
                raise self._error(
                    "earlier writers took all its time; see what is slow, or raise busy_timeout"
                )
            return self._run(deadline, sql, values)[1] > 0
        finally:
            self._queue.leave(turn)

    def _run(self, deadline: float, sql: str, values: tuple[Value, ...]) -> tuple[list[Any], int]:
        # Returns the rows that were found, and how many were changed.
        seat = self._take_seat()
        try:
            return self._attempt(deadline, self._execute, seat, sql, values)
        except StoreError:
            if not self._is_memory:
                seat.close()  # and whoever comes next opens what is there then
            raise
        finally:
            seat.lock.release()

    def _take_seat(self) -> _Seat:
        for seat in self._seats:
            if seat.lock.acquire(blocking=self._is_memory):  # there, all share one connection
                return seat
        with _gate:
            seat = _Seat()
            seat.lock.acquire()
            self._seats.append(seat)
        return seat

    def _attempt(self, deadline: float, act: Callable[..., T], *arguments: Any) -> T:
        # SQLite's own wait grows from try to try, and newcomers overtake: so many short ones.
        while True:
            try:
                return act(*arguments)
            except (sqlite3.Error, OSError) as error:
                code = getattr(error, "sqlite_errorcode", 0)
                if code & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    # Not SQLite's own words: they may quote what is stored.
                    reason = error.strerror if isinstance(error, OSError) else f"SQLite says {code}"
                    advice = _ADVICE.get(code) or _ADVICE.get(code & 0xFF) or str(reason)
                    raise self._error(advice) from error

    def _error(self, advice: str) -> StoreError:
        return StoreError(f"{self._path}: {advice}")

    def _execute(self, seat: _Seat, sql: str, values: tuple[Value, ...]) -> tuple[list[Any], int]:
        if seat.connection is None:
            if self._refusal:
                raise self._error(self._refusal)
            seat.file = self._identify()
            seat.connection = self._open("rw")
        cursor = seat.connection.execute(sql, values)
        rows = cursor.fetchall()
        if seat.file != self._identify():
            # A deleted file goes on working for whoever has it open, and for nobody else.
            raise self._error("it was deleted or replaced; put it back, or restart")
        return rows, cursor.rowcount

    def _open(self, mode: str, is_new: bool = False) -> sqlite3.Connection:
        uri = self._path if self._is_memory else f"{Path(self._path).as_uri()}?mode={mode}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=_ONE_WAIT, isolation_level=None, check_same_thread=False
        )
        # Bytes that are no text, left there by another program, make a record that can't be read:
        # one visitor's misfortune, and no failure of the store.
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        try:
            connection.execute("PRAGMA synchronous = FULL")
            if not is_new:
                self._check(connection)
        except (sqlite3.Error, StoreError):
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION:
            raise self._error("it is another program's; give the store a file of its own")
        if version != _VERSION:
            raise self._error(
                f"it has format {version}, and this sessionlab knows {_VERSION};"
                " use the sessionlab that made it, or another file"
            )

    def _make(self) -> None:
        # Makes what is missing, and refuses what isn't ours.
        if self._is_memory:
            self._seats.append(_Seat())
            connection = self._seats[0].connection = self._open("memory", is_new=True)
            connection.executescript(_TABLES)
            return
        folder = os.path.dirname(self._path)
        if not os.path.isdir(folder):
            raise StoreError(f"there is no folder {folder}; make it first")
        with suppress(FileExistsError):
            # Whoever reads the file, reads every session. (If it is there, it is left alone: where
            # a database is open, to open and close its file takes this process's locks off it.)
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL, 0o600))
        if os.stat(self._path).st_size == 0:
            with closing(self._open("rw", is_new=True)) as connection:
                connection.executescript(_TABLES)
        self._open("ro").close()  # else to open and close it may write what its log still holds
        with closing(self._open("rw")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")

    def _identify(self) -> tuple[int, int] | None:
        if self._is_memory:
            return None
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino


_gate = RLock()  # held while a seat is added, and from before a fork until after it
_held: list[Any] = []
_inherited: list[_Seat] = []
_stores: WeakSet[SQLiteStore] = WeakSet()


def _before_fork() -> None:
    # A child that inherits an open connection takes the parent's locks for its own, and opens the
    # next one without any. When the parent closes the file, nobody else seems to have it open, and
    # SQLite removes the log, with all that the child was told is stored.
    # Source: sqlite.org/howtocorrupt.html section 2.6; the loss is a test of ours.
    _hold(_gate)
    for store in _stores:
        for seat in store._seats:
            _hold(seat.lock)
            if not store._is_memory:
                seat.close()


def _hold(lock: Any) -> None:
    lock.acquire()
    _held.append(lock)


def _after_fork() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    for store in _stores:
        store._queue = _Queue()  # other threads, which may have had the turn, are not here
        if not store._is_memory and any(seat.connection for seat in store._seats):
            _inherited.extend(store._seats)  # not even closed: that would do the same harm
            store._seats = []
            store._refusal = "a server in C forked while it was in use; make the store afterwards"
    _after_fork()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork,
        after_in_child=_after_fork_in_child,
    )
