"""Rows D1 and D4: the store in a file, killed amid its work, and out of room.

Each harness is given how a store is made. It is also given stores with a planted bug, which it has
to catch: there it raises ``AssertionError``.
"""

import json
import os
import random
import resource
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from statistics import median
from urllib.parse import unquote
from wsgiref.util import setup_testing_defaults

import pytest

from sessionlab import SessionMiddleware, StoreError
from sessionlab.stores import sqlite
from sessionlab.stores.sqlite import SQLiteStore

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

LATER = 9e9
SECRET = "a secret of the tests, which is long enough"


def is_intact(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# D1: kill -9


def changes(seed, state):
    """Yield, for ever, changes of the records in ``state``, and make them there.

    Each is a function of a store that returns whether the store did it. Texts are of up to 20,000
    characters, so that one change writes several pages, which a crash could tear apart.
    """
    chance = random.Random(seed)
    while True:
        session_id = f"id {chance.randrange(10)}"
        text = f"{chance.random()} " * chance.randrange(1, 1000)
        expires_at = LATER + chance.randrange(1000)
        record = state.get(session_id)
        if record is None:
            change = ("create", session_id, text, expires_at)
            state[session_id] = (text, expires_at)
        elif chance.random() < 0.2:
            change = ("destroy", session_id)
            del state[session_id]
        elif chance.random() < 0.3:
            change = ("touch", session_id, expires_at)
            state[session_id] = (record[0], expires_at)
        else:
            change = ("replace", session_id, record[0], text, expires_at)
            state[session_id] = (text, expires_at)
        yield lambda store, change=change: getattr(store, change[0])(*change[1:]) is not False


def work_until_killed(make_store, path, seed, state, acknowledge):
    store = make_store(path)
    for change in changes(seed, state):
        if not change(store):
            os.write(acknowledge, b"X")
        os.write(acknowledge, b".")


def kill_amid_work(make_store, path, seed, state):
    """Return what a child had acknowledged when it was killed; ``seed`` chooses the moment."""
    chance = random.Random(-seed)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        with suppress(BaseException):
            work_until_killed(make_store, path, seed, dict(state), writing)
        os._exit(1)
    os.close(writing)
    heard = b""
    for _ in range(chance.randrange(1, 30)):
        heard += os.read(reading, 1)
    for _ in range(chance.randrange(5000)):  # up to about as long as one change takes
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reading, 4096):
        heard += more
    os.close(reading)
    return heard


def crash(make_store, path, cycles):
    """D1: kill a writer ``cycles`` times, and see that the file holds what was acknowledged.

    And up to ten times as often, until a kill came after a write and before it was acknowledged: on
    a slow machine few do. The one change that was begun and not yet acknowledged may be there or
    not. Returns the counts of what was seen, up to the first loss.
    """
    state, seen = {}, Counter()
    while seen["kills"] < cycles or (not seen["one more"] and seen["kills"] < 10 * cycles):
        seen["kills"] += 1
        seed = seen["kills"]
        heard = kill_amid_work(make_store, path, seed, state)
        assert heard == b"." * len(heard), "the store refused what it should have done"
        before, after = dict(state), dict(state)
        steps = changes(seed, after)
        for _ in heard:
            next(steps)
            before = dict(after)
        next(steps)
        with closing(SQLiteStore(path)) as store:
            state = {session_id: tuple(store.get(session_id)) for session_id in store}
        seen["acknowledged"] += len(heard)
        seen["one more"] += state == after
        seen["lost or torn"] += state not in (before, after)
        seen["damaged"] += not is_intact(path)
        if seen["lost or torn"] or seen["damaged"]:
            break
    return seen


def test_no_acknowledged_write_is_lost_or_torn_by_kill_9(tmp_path, request, figure):
    """D1: 0 lost, 0 torn, the file intact; and the kills do come amid the writes."""
    cycles = 2000 if request.config.getoption("--full") else 60
    seen = crash(SQLiteStore, tmp_path / "sessions.db", cycles)
    figure.tried(seen["kills"], "kills amid writes")
    for what in ("acknowledged", "lost or torn", "damaged"):
        figure.found(seen[what], what)
    print(f"D1: {dict(seen)}")
    assert (seen["lost or torn"], seen["damaged"]) == (0, 0)
    assert seen["acknowledged"] > 5 * seen["kills"]
    assert 0 < seen["one more"] < seen["kills"]


class AcknowledgesFirst:
    """A store that writes behind: what it said is stored, is stored when the next one comes."""

    def __init__(self, path):
        self._store = SQLiteStore(path)
        self._delayed = lambda: True

    def __getattr__(self, name):
        def later(*arguments):
            self._delayed()
            self._delayed = lambda: getattr(self._store, name)(*arguments)
            return True

        return later


class ReplacesInTwoSteps(SQLiteStore):
    def replace(self, session_id, old, new, expires_at):
        self.destroy(session_id)
        return self.create(session_id, new, expires_at)


class KeepsItInMemory(SQLiteStore):
    def __init__(self, path):
        super().__init__(path)
        self._is_memory, self._path = True, ":memory:"
        self._make()
        self._seats.reverse()


@pytest.mark.parametrize("broken", [AcknowledgesFirst, ReplacesInTwoSteps, KeepsItInMemory])
def test_the_harness_of_d1_catches_a_store_that_loses(tmp_path, broken):
    """D1, T1: the same harness on a planted bug."""
    assert crash(broken, tmp_path / "sessions.db", 200)["lost or torn"] == 1


def seconds_of_a_start(path):
    began = time.monotonic()
    SQLiteStore(path).close()
    return time.monotonic() - began


def starts_cut_short(folder, times):
    """D1: end the very first start ``times``, from its beginning to its end, and start again.

    Returns how often it had ended by itself; and else, how often there was no file yet, the file
    worked, or the store refused it and said what to do, upon which it worked.
    """
    seconds = median(seconds_of_a_start(folder / f"start {number}.db") for number in range(5))
    outcomes = Counter()
    for number in range(1, times + 1):
        path = folder / f"sessions {number}.db"
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            signal.setitimer(signal.ITIMER_REAL, 1.2 * seconds * number / times)
            SQLiteStore(path)
            os.write(writing, b".")
            signal.pause()
        # Nobody handles SIGALRM, so it ends a process as SIGKILL does.
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGALRM
        os.close(writing)
        outcome = start_again(path)
        outcomes["ended by itself" if os.read(reading, 1) else outcome] += 1
        os.close(reading)
    return outcomes


def start_again(path):
    outcome = "works" if path.exists() else "not there yet"
    for _ in range(2):
        try:
            with closing(SQLiteStore(path)) as store:
                assert store.create("id", "text", LATER)
            return outcome
        except StoreError as error:
            assert "if new, delete both" in str(error), error  # noqa: PT017
            outcome = "refused"
            for each in (path, path.with_name(f"{path.name}-journal")):
                each.unlink()
    raise AssertionError("it did what it was told, and is refused again")


def test_a_kill_while_the_file_is_made_leaves_one_that_works_or_says_what_to_do(tmp_path, figure):
    """D1: the same, at the very first start."""
    times = 40
    outcomes = starts_cut_short(tmp_path, times)
    amid = outcomes["works"] + outcomes["refused"]
    figure.tried(amid, "first starts cut short amid the file")
    figure.found(outcomes["refused"], "of them refused, with words that help")
    assert amid >= times / 10, outcomes


def test_the_first_starts_catch_a_file_that_is_made_in_steps(tmp_path, monkeypatch):
    """D1, T1: without a transaction around them all."""
    steps = sqlite._TABLES.replace("BEGIN EXCLUSIVE;", "").replace("COMMIT;", "")
    monkeypatch.setattr(sqlite, "_TABLES", steps)
    with pytest.raises(AssertionError, match="another program's"):
        starts_cut_short(tmp_path, 40)


# D4: no room


def application(environ, start_response):
    session = environ["sessionlab.session"]
    if environ["REQUEST_METHOD"] == "POST":
        session["value"] = unquote(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [session.get("value", "nothing").encode()]


def ask(app, cookie="", value=None):
    """Return the status, the cookie to come back with, and the body; with a value, store it."""
    environ = {"REQUEST_METHOD": "GET", "HTTP_COOKIE": cookie}
    if value is not None:
        environ.update(REQUEST_METHOD="POST", QUERY_STRING=value)
    setup_testing_defaults(environ)
    head = []
    body = b"".join(app(environ, lambda *arguments: head.extend(arguments)))
    cookies = [text.split(";")[0] for name, text in head[1] if name == "Set-Cookie"]
    return int(head[0][:3]), cookies[0] if cookies else cookie, body.decode()


def run_out_of_room(store, limit, lift):
    """D4: fill the disk with one session's value; everybody else's, and the old one, stay.

    Returns what came of three tries, and of one when there is room again.
    """
    app = SessionMiddleware(application, SECRET, store=store)
    _, cookie, _ = ask(app, value="old")
    _, neighbour, _ = ask(app, value="mine")
    seen = Counter(dict.fromkeys(WITHOUT_ROOM, 0))
    limit()
    for _ in range(3):
        status, same, _ = ask(app, cookie, value="x" * 500_000)
        seen["refused with 503"] += (status, same) == (503, cookie)
        seen["old values lost"] += ask(app, cookie) != (200, cookie, "old")
        seen["old values lost"] += ask(app, neighbour) != (200, neighbour, "mine")
    lift()
    is_done = ask(app, cookie, value="y" * 500_000)[0] == 200
    there = ask(app, cookie)[2], ask(app, neighbour)[2]
    seen["writes done then"] += is_done and there == ("y" * 500_000, "mine")
    return seen


WITHOUT_ROOM = {"refused with 503": 3, "old values lost": 0, "writes done then": 1}


def say(figure, seen, how):
    figure.tried(3, f"writes without room, {how}")
    for what, number in seen.items():
        figure.found(number, what)


class Crowded(SQLiteStore):
    """A store whose file may have so many pages of 4096 bytes."""

    pages = 1_000_000

    def _execute(self, seat, sql, values):
        if seat.connection is None:
            super()._execute(seat, "SELECT 1", ())
        seat.connection.execute(f"PRAGMA max_page_count = {self.pages}")
        return super()._execute(seat, sql, values)


class SwallowsErrors(Crowded):
    def replace(self, *arguments):
        with suppress(StoreError):
            super().replace(*arguments)
        return True


class MakesRoom(Crowded):
    """A store that throws the record away before it writes the new one."""

    def replace(self, session_id, old, new, expires_at):
        self.destroy(session_id)
        return self.create(session_id, new, expires_at)


def fill_the_pages(make_store, path):
    def set_pages(pages):
        store.pages = pages

    with closing(make_store(path)) as store:
        return run_out_of_room(store, lambda: set_pages(20), lambda: set_pages(1_000_000))


def test_no_page_left_is_503_and_passes(tmp_path, figure):
    """D4: ``max_page_count``."""
    seen = fill_the_pages(Crowded, tmp_path / "sessions.db")
    say(figure, seen, "max_page_count")
    assert seen == WITHOUT_ROOM
    assert is_intact(tmp_path / "sessions.db")


@pytest.mark.parametrize(
    ("broken", "seen"),
    [
        (SwallowsErrors, {**WITHOUT_ROOM, "refused with 503": 0}),
        (MakesRoom, {**WITHOUT_ROOM, "old values lost": 3, "writes done then": 0}),
    ],
)
def test_the_harness_of_d4_catches_a_store_that_lies_or_forgets(tmp_path, broken, seen):
    """D4, T1: the same harness on a planted bug."""
    assert fill_the_pages(broken, tmp_path / "sessions.db") == seen


def fill_the_disk(make_store, path):
    """Run in a child, whose files may not grow beyond 100 KB, and return what it said."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        answer = "it did not end"
        try:
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            with closing(make_store(path)) as store:
                answer = run_out_of_room(
                    store,
                    lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard)),
                    lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)),
                )
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            os.write(writing, json.dumps(answer).encode())
            os._exit(0)
    os.close(writing)
    with open(reading) as answers:
        answer = json.load(answers)
    os.waitpid(child, 0)
    return answer


def test_a_file_that_may_not_grow_is_503_and_passes(tmp_path, figure):
    """D4: ``RLIMIT_FSIZE``, where the write itself fails, amid a transaction."""
    path = tmp_path / "sessions.db"
    seen = fill_the_disk(SQLiteStore, path)
    say(figure, seen, "RLIMIT_FSIZE")
    assert seen == WITHOUT_ROOM
    assert is_intact(path)


def test_the_harness_in_the_child_catches_a_store_that_lies(tmp_path):
    """D4, T1: the same harness on a planted bug."""
    assert fill_the_disk(SwallowsErrors, tmp_path / "sessions.db")["refused with 503"] == 0
