"""Rows C1 to C6: many requests of one session at the same time, in threads.

Each harness takes a store, and must catch one whose ``replace`` is the blind ``set`` that other
libraries have (row T1). Nobody sleeps: threads meet at barriers, and then spin for a random while,
so that either may come first.
"""

import random
import sys
import threading
from collections import Counter
from wsgiref.validate import validator

import pytest
from wsgi_server import TEXT, ask

from sessionlab import (
    MemoryStore,
    Session,
    SessionGone,
    SessionMiddleware,
    SessionSettings,
    decode_record,
    parse_cookies,
    sign,
    unsign,
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


def cookie_for(session_id, secret=SECRET):
    return "connect.sid=s%3A" + sign(session_id, secret)


def app_of(act):
    def app(environ, start_response):
        act(environ["sessionlab.session"])
        start_response("200 OK", TEXT)
        return [b"done"]

    return validator(app)


def race(store, count, first, second, judge):
    """Race two works on a new session, ``count`` times.

    A work gets the id, and ``meet``, which it calls once it has loaded the session: there both set
    off. In a third of the races the first then waits until the second is done, in a third the
    second for the first: so both orders come for certain. In the others nobody waits. ``judge``
    gets the id and both results. Returns how often each outcome came, and how often in the free
    races.
    """
    barrier = threading.Barrier(2, timeout=30)
    ids = [stored_session(store, name="Ada") for _ in range(count)]
    waiting = [random.choice((0, 1, None)) for _ in ids]
    done = [(threading.Event(), threading.Event()) for _ in ids]
    results = {}

    def run(number, work):
        for session_id, who_waits, events in zip(ids, waiting, done, strict=True):

            def meet(who_waits=who_waits, events=events):
                barrier.wait()
                if who_waits == number:
                    events[1 - number].wait(10)
                spin()

            results[session_id, number] = work(session_id, meet)
            events[number].set()

    run_together(lambda: run(0, first), lambda: run(1, second))
    outcomes, free = Counter(), Counter()
    for session_id, who_waits in zip(ids, waiting, strict=True):
        outcome = judge(session_id, results[session_id, 0], results[session_id, 1])
        outcomes[outcome] += 1
        free[outcome] += who_waits is None
    return outcomes, free


def on_a_session(store, action):
    def work(session_id, meet):
        session = Session.load(store, session_id)
        meet()
        return action(session)

    return work


def in_a_request(store, action, middleware_class=SessionMiddleware):
    """The same through the middleware; the result is the answer."""

    def work(session_id, meet):
        def act(session):
            meet()
            action(session)

        return ask(middleware_class(app_of(act), SECRET, store=store), cookie_for(session_id))

    return work


def say_both_orders(figure, outcomes, free):
    """Of the free races, what comes of chance alone is said; of all, it is certain."""
    figure.tried(free.total(), "of them free of any order")
    figure.found(min(free["saved"], free["gone"]), "free ones in the rarer order")
    assert min(outcomes["saved"], outcomes["gone"]) >= outcomes.total() / 10, outcomes


def write(session):
    session["n"] = 1


def save_a_change(session):
    write(session)
    try:
        session.save()
    except SessionGone:
        return "gone"
    return "saved"


def races_of_logout(store, count):
    def judge(session_id, saved, _):
        return saved if store.get(session_id) is None else "resurrected"

    works = [on_a_session(store, action) for action in (save_a_change, Session.destroy)]
    return race(store, count, *works, judge)


def test_a_logout_is_final(store, sizes, figure):
    """C1: of many races between a logout and a save, none brings the session back."""
    count = sizes(10_000)
    outcomes, free = races_of_logout(store, count)
    figure.tried(count, "races of logout and save")
    figure.found(outcomes["resurrected"], "resurrected")
    assert outcomes["resurrected"] == 0
    say_both_orders(figure, outcomes, free)


def test_the_race_of_logouts_catches_a_blind_set(store):
    """C1, T1."""
    assert races_of_logout(BlindSet(store), 200)[0]["resurrected"] > 10


def races_of_login(store, count, keep_data, regenerate=Session.regenerate):
    """Race a login that regenerates with a save; return what came of it."""

    def log_in(session):
        regenerate(session, keep_data)
        session.save()
        return session.id

    def judge(session_id, saved, new_id):
        return what_is_left(store, session_id, new_id, saved, keep_data)

    works = [on_a_session(store, action) for action in (save_a_change, log_in)]
    return race(store, count, *works, judge)


def what_is_left(store, old_id, new_id, saved, keep_data):
    if store.get(old_id) is not None:
        return "old id alive"
    is_kept = "n" in decode_record(store.get(new_id).text)[1]
    return saved if is_kept == (keep_data and saved == "saved") else f"{saved}, kept: {is_kept}"


def races_of_login_requests(
    store,
    count,
    keep_data,
    regenerate=Session.regenerate,
    middleware_class=SessionMiddleware,
):
    """The same with two requests: no response may set or delete the cookie for the old id."""

    def log_in(session):
        regenerate(session, keep_data)

    def judge(session_id, saved, login):
        said = {200: "saved", 409: "gone"}.get(saved.status, f"answered {saved.status}")
        ids = [
            unsign(value[2:], SECRET) if value else "deleted"
            for text in saved.all("Set-Cookie") + login.all("Set-Cookie")
            for _, value in parse_cookies(text.partition(";")[0])
        ]
        if login.status != 200:
            return f"login answered {login.status}"
        if saved.all("Set-Cookie") or len(ids) != 1 or ids[0] in (session_id, "deleted"):
            return "a cookie for the old id"
        return what_is_left(store, session_id, ids[0], said, keep_data)

    works = [in_a_request(store, action, middleware_class) for action in (write, log_in)]
    return race(store, count, *works, judge)


RACES = pytest.mark.parametrize("races", [races_of_login, races_of_login_requests])
KEEP_DATA = pytest.mark.parametrize("keep_data", [True, False], ids=["kept", "not kept"])


@RACES
@KEEP_DATA
def test_the_old_id_is_dead_after_a_login_and_no_change_is_lost(
    store, sizes, figure, races, keep_data
):
    """C2: and a change that was saved before is taken along, one that came too late is refused."""
    count = sizes(3_000)
    outcomes, free = races(store, count, keep_data)
    figure.tried(count, "races of regenerate and save")
    figure.found(outcomes["old id alive"], "reads of the old id")
    if races is races_of_login_requests:
        figure.tried(2 * count, "responses in them")
        figure.found(outcomes["a cookie for the old id"], "that set or delete its cookie")
    others = outcomes.keys() - {"saved", "gone", "old id alive", "a cookie for the old id"}
    figure.found(sum(outcomes[other] for other in others), "changes lost or kept in part")
    assert set(outcomes) <= {"saved", "gone"}, outcomes
    say_both_orders(figure, outcomes, free)


@RACES
@KEEP_DATA
def test_the_race_of_logins_catches_a_blind_set(store, races, keep_data):
    """C2, T1."""
    outcomes, _ = races(BlindSet(store), 200, keep_data)
    assert outcomes.keys() - {"saved", "gone"}


def begin_beside(session, keep_data):
    """Regenerate, and leave the old record where it is."""
    data = dict(session) if keep_data else {}
    session._begin()
    session.update(data)
    session.is_new, session._loaded = True, None


@RACES
@KEEP_DATA
def test_the_race_of_logins_catches_an_old_record_that_is_left(store, races, keep_data):
    """C2, T1."""
    assert races(store, 10, keep_data, begin_beside)[0]["old id alive"] == 10


class DeletesTheCookie(SessionMiddleware):
    """Tells a browser that its session has ended: which has another one by now."""

    def __call__(self, environ, start_response):
        def start(status, headers, *exc_info):
            if status.startswith("409"):
                headers = [*headers, ("Set-Cookie", "connect.sid=; Max-Age=0")]
            return start_response(status, headers, *exc_info)

        return super().__call__(environ, start)


class SetsTheCookie(SessionMiddleware):
    """Sends the cookie that came with each response."""

    def __init__(self, *args, **options):
        super().__init__(*args, rolling=True, **options)


@pytest.mark.parametrize("broken", [DeletesTheCookie, SetsTheCookie])
@KEEP_DATA
def test_the_race_of_logins_catches_a_cookie_for_the_old_id(store, broken, keep_data):
    """C2, T1."""
    outcomes, _ = races_of_login_requests(store, 50, keep_data, middleware_class=broken)
    assert outcomes["a cookie for the old id"] > 5


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
    times = sizes(1_000, on_redis=100)
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
    times = sizes(1_000)
    lost = takeovers(store, 8, times, 24)
    figure.tried(8 * times, "sessions of 24 ids by 8 threads")
    figure.found(len(lost), "takeovers")
    assert lost == []


def test_the_count_of_takeovers_catches_a_create_that_overwrites(store):
    """C5, T1."""

    assert takeovers(OverwritingCreate(store), 8, 5, 24)


def data_after_reads_and_writes(store, count, read):
    """The stored text after writes beside reads, and the one that the writes alone would leave."""
    session_id = stored_session(store, n=0, cart=["tea"])
    reading = SessionMiddleware(app_of(read), SECRET, store=store, touch_after=0)
    writing = SessionMiddleware(app_of(lambda s: s.update(n=s["n"] + 1)), SECRET, store=store)
    before, cookie = store.get(session_id).text, cookie_for(session_id)
    run_together(
        lambda: [ask(reading, cookie) for _ in range(count)],
        lambda: [ask(writing, cookie) for _ in range(count)],
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
