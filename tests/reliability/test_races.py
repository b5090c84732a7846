"""Rows C1 to C6: many requests of one session at the same time, in threads.

Each harness takes a store, and must catch one whose ``replace`` is the blind ``set`` that other
libraries have (row T1). Nobody sleeps: threads meet at barriers, and then spin for a random while,
so that either may come first.
"""

import random
import sys
import threading
from collections import Counter

import pytest

from sessionlab import (
    MemoryStore,
    Session,
    SessionGone,
    SessionMiddleware,
    SessionSettings,
    decode_record,
    sign,
)

SECRET = "a secret of more than thirty-two bytes, for these tests"


class BlindSet:
    """Any store, with the one fault that most have: to replace is to overwrite."""

    def __init__(self, store):
        self._store = store
        self.get, self.create = store.get, store.create
        self.touch, self.destroy = store.touch, store.destroy

    def replace(self, session_id, old, new, expires_at):
        while not self._store.create(session_id, new, expires_at):
            self._store.destroy(session_id)
        return True


@pytest.fixture(autouse=True)
def eager_threads(store):
    """Let threads take turns after a few bytecodes, where no waiting for a store makes them."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5 if isinstance(store, MemoryStore) else interval)
    yield
    sys.setswitchinterval(interval)


def run_together(*works):
    """Run all functions at the same time; raise what any of them raised."""
    failures = []

    def run(work):
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def spin():
    for _ in range(random.randrange(400)):
        pass


def stored_session(store, **data):
    session = Session(store)
    session.update(data)
    session.save()
    return session.id


def race(store, count, first, second, judge):
    """Race two actions on a new session, ``count`` times; return how often each outcome came.

    Each action gets its own ``Session``. In a third of the races the first waits for the second, in
    a third the second for the first, and else nobody does. ``judge`` gets the id and both results.
    """
    barrier = threading.Barrier(2)
    outcomes = Counter()
    ids = [stored_session(store, name="Ada") for _ in range(count)]
    waiting = [random.choice((0, 1, None)) for _ in ids]
    done = [(threading.Event(), threading.Event()) for _ in ids]
    results = {}

    def run(number, action):
        for session_id, who_waits, events in zip(ids, waiting, done, strict=True):
            session = Session.load(store, session_id)
            barrier.wait()
            if who_waits == number:
                events[1 - number].wait(10)
            spin()
            results[session_id, number] = action(session)
            events[number].set()

    run_together(lambda: run(0, first), lambda: run(1, second))
    for session_id in ids:
        outcomes[judge(session_id, results[session_id, 0], results[session_id, 1])] += 1
    return outcomes


def save_a_change(session):
    session["n"] = 1
    try:
        session.save()
    except SessionGone:
        return "gone"
    return "saved"


def races_of_logout(store, count):
    def judge(session_id, saved, _):
        return saved if store.get(session_id) is None else "resurrected"

    return race(store, count, save_a_change, Session.destroy, judge)


def test_a_logout_is_final(store, sizes, figure):
    """C1: of many races between a logout and a save, none brings the session back."""
    count = sizes(10_000)
    outcomes = races_of_logout(store, count)
    figure.tried(count, "races of logout and save")
    figure.found(outcomes["resurrected"], "resurrected")
    assert outcomes["resurrected"] == 0
    assert min(outcomes["saved"], outcomes["gone"]) >= count / 10, outcomes


def test_the_race_of_logouts_catches_a_blind_set(store):
    """C1, T1."""
    assert races_of_logout(BlindSet(store), 200)["resurrected"] > 10


def races_of_login(store, count):
    def regenerate(session):
        old = session.id
        session.regenerate(keep_data=True)
        session.save()
        return old, session.id

    def judge(session_id, saved, ids):
        if store.get(session_id) is not None:
            return "old id alive"
        kept = "n" in decode_record(store.get(ids[1]).text)[1]
        return saved if kept == (saved == "saved") else f"{saved}, but kept is {kept}"

    return race(store, count, save_a_change, regenerate, judge)


def test_the_old_id_is_dead_after_a_login_and_no_change_is_lost(store, sizes, figure):
    """C2: and a change that was saved before is taken along, one that came too late is refused."""
    count = sizes(3_000)
    outcomes = races_of_login(store, count)
    figure.tried(count, "races of regenerate and save")
    figure.found(outcomes["old id alive"], "reads of the old id")
    figure.found(count - outcomes["saved"] - outcomes["gone"], "changes lost or kept in part")
    assert set(outcomes) <= {"saved", "gone"}, outcomes
    assert min(outcomes["saved"], outcomes["gone"]) >= count / 10, outcomes


def test_the_race_of_logins_catches_a_blind_set(store):
    """C2, T1."""
    outcomes = races_of_login(BlindSet(store), 200)
    assert outcomes.keys() - {"saved", "gone"}


def keys_kept(store, threads, keys):
    """Let each thread write its own keys, a request a key; return how many of them were kept."""
    session_id = stored_session(store)
    barrier = threading.Barrier(threads)

    def write(thread):
        barrier.wait()
        for key in range(keys):
            session = Session.load(store, session_id)
            if session is not None:  # a store that sets blindly has none for a moment
                session[f"{thread} {key}"] = key
                session.save()

    run_together(*(lambda thread=thread: write(thread) for thread in range(threads)))
    return len(decode_record(store.get(session_id).text)[1])


def test_distinct_keys_are_never_lost(store, figure):
    """C3: 32 threads write 30 keys each."""
    figure.tried(960, "keys written by 32 threads")
    kept = keys_kept(store, 32, 30)
    figure.found(kept, "kept")
    assert kept == 960


def test_the_count_of_keys_catches_a_blind_set(store):
    """C3, T1. It is a matter of luck in which of a few runs it overwrites."""
    assert any(keys_kept(BlindSet(store), 8, 10) < 80 for _ in range(20))


def counted(store, threads, times, count):
    session_id = stored_session(store)

    def work():
        session = Session.load(store, session_id)
        for _ in range(times):
            count(session)

    run_together(*[work] * threads)
    return decode_record(store.get(session_id).text)[1]["n"]


def count_atomically(session):
    session.atomic(lambda data: data.update(n=data.get("n", 0) + 1))


def count_with_a_merge(session):
    session.reload()
    session["n"] = session.get("n", 0) + 1
    session.save()


def test_atomic_counters_are_exact(store, sizes, figure):
    """C4: 32 threads count in one session."""
    times = sizes(1_000, per_thread=True)
    result = counted(store, 32, times, count_atomically)
    figure.tried(32 * times, "counts by 32 threads")
    figure.found(result, "counted")
    assert result == 32 * times


def test_the_counter_catches_a_count_by_hand(store):
    """C4, T1: without ``atomic``, the last one wins, as the documentation says."""
    assert counted(store, 8, 50, count_with_a_merge) < 400


def takeovers(store, threads, times, ids):
    """Let all threads create sessions under few ids; count those of another owner's that change."""
    lost = []
    barrier = threading.Barrier(threads)

    def create(thread):
        names = random.Random(thread)
        settings = SessionSettings(genid=lambda: f"id {names.randrange(ids)}")
        for number in range(times):
            session = Session(store, settings)
            session["owner"] = owner = f"{thread} {number}"
            session.save()
            barrier.wait()  # now everybody has one
            record = store.get(session.id)
            if record is None or decode_record(record.text)[1]["owner"] != owner:
                lost.append(owner)
            barrier.wait()
            session.destroy()

    run_together(*(lambda thread=thread: create(thread) for thread in range(threads)))
    return lost


class OverwritingCreate(BlindSet):
    def __init__(self, store):
        super().__init__(store)
        self.create = lambda *args: store.destroy(args[0]) or store.create(*args)


def test_create_never_overwrites(store, sizes, figure):
    """C5: 8 threads whose ids collide most of the time."""
    times = sizes(1_000, per_thread=True)
    lost = takeovers(store, 8, times, 24)
    figure.tried(8 * times, "sessions of 24 ids by 8 threads")
    figure.found(len(lost), "takeovers")
    assert lost == []


def test_the_count_of_takeovers_catches_a_create_that_overwrites(store):
    """C5, T1."""

    assert takeovers(OverwritingCreate(store), 8, 5, 24)


def app_of(act):
    def app(environ, start_response):
        act(environ["sessionlab.session"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    return app


def request(middleware, session_id):
    cookie = f"connect.sid=s%3A{sign(session_id, SECRET)}"
    environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET", "wsgi.url_scheme": "http"}
    answer = []
    middleware({**environ, "HTTP_COOKIE": cookie}, lambda *args: answer.append(args))
    assert answer[0][0] == "200 OK"


def data_after_reads_and_writes(store, count, read):
    """The stored text after writes beside reads, and the one that the writes alone would leave."""
    session_id = stored_session(store, n=0, cart=["tea"])
    reading = SessionMiddleware(app_of(read), SECRET, store=store, touch_after=0)
    writing = SessionMiddleware(app_of(lambda s: s.update(n=s["n"] + 1)), SECRET, store=store)
    before = store.get(session_id).text
    run_together(
        lambda: [request(reading, session_id) for _ in range(count)],
        lambda: [request(writing, session_id) for _ in range(count)],
    )
    return store.get(session_id).text, before.replace('"n":0', f'"n":{count}')


def test_a_request_that_only_reads_writes_no_data(store, sizes, figure):
    """C6: even when each of them renews the record."""
    count = sizes(1_000)
    stored, expected = data_after_reads_and_writes(store, count, lambda s: s["cart"])
    figure.tried(count, "reads, beside as many writes")
    figure.found(stored != expected, "records other than the writes alone make them")
    assert stored == expected


def test_the_reads_and_writes_catch_a_read_that_writes(store):
    """C6, T1: as an application does that notes each visit."""
    stored, expected = data_after_reads_and_writes(store, 50, lambda s: s.update(seen=True))
    assert stored != expected
