"""Row F4 on a cluster: a primary is killed while requests run, and its replica takes over."""

import threading
import time
from collections import Counter
from contextlib import suppress
from wsgiref.util import setup_testing_defaults

import pytest
from valkey_server import Cluster, Server, wait_until

from sessionlab import Record, SessionMiddleware, StoreError, sign
from sessionlab.stores.redis import RedisStore

SECRET = "a secret of more than thirty-two bytes, for these tests"
USERS, WORKERS, ROUNDS = 60, 4, 5


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture
def cluster(nodes):
    """An empty cluster, which a test may leave with an heir in the place of a primary."""
    with nodes.client() as client:
        client.flushall()
    yield nodes
    nodes.restore()


def application(environ, start_response):
    """Puts the number of the query into the session, and answers with the one that was there."""
    session = environ["sessionlab.session"]
    before = session.get("n")
    session["n"] = int(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(before).encode()]


class User:
    """Writes 1, 2, 3 ... into a session, and looks whether the last acknowledged is still there."""

    def __init__(self, app, session_id):
        self.app = app
        self.cookie = f"connect.sid=s:{sign(session_id, SECRET)}"
        self.answers = []  # start and length in seconds, status
        self.written = self.kept = 0  # the newest number that was tried, that was acknowledged
        self.kept_at = 0.0  # when that request began
        self.losses = []  # when the requests began that were acknowledged and lost
        self.odd = []  # what should never be seen

    def write(self):
        self.written += 1
        environ = {"HTTP_COOKIE": self.cookie, "QUERY_STRING": str(self.written)}
        setup_testing_defaults(environ)
        seen, start = [], time.monotonic()
        body = b"".join(self.app(environ, lambda *answer: seen.extend(answer)))
        status, headers = int(seen[0][:3]), dict(seen[1])
        self.answers.append((start, time.monotonic() - start, status))
        if status not in (200, 503) or "Set-Cookie" in headers:
            self.odd.append((status, headers))
        elif status == 200:
            if not self.kept <= int(body) < self.written:
                self.losses.append(self.kept_at)
            self.kept, self.kept_at = self.written, start


def lose_a_primary(cluster, store, stop):
    """Stop a primary while users write; return the users, and when that began, ended and healed."""
    app = SessionMiddleware(application, SECRET, store=store)
    cookie = '{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}'
    for number in range(USERS):
        assert store.create(f"id-{number}", f'{{"cookie":{cookie},"n":0}}', time.time() + 86400)
    users = [User(app, f"id-{number}") for number in range(USERS)]
    wait_until(cluster.is_copied, "copied")
    is_over, answered = threading.Event(), threading.Condition()

    def work(mine):
        while not is_over.is_set():
            for user in mine:
                user.write()
            with answered:
                answered.notify()

    def wait_for_rounds(since):
        def is_done(user):
            times = [start for start, _, status in list(user.answers) if status == 200]
            return sum(start > since for start in times) >= ROUNDS

        with answered:
            assert answered.wait_for(lambda: all(map(is_done, users)), timeout=20)

    threads = [threading.Thread(target=work, args=[users[n::WORKERS]]) for n in range(WORKERS)]
    for thread in threads:
        thread.start()
    try:
        wait_for_rounds(0)
        stopping = time.monotonic()
        stop(cluster.primaries[0])
        stopped = time.monotonic()
        wait_until(cluster.is_promoted, "promoted")
        inherited = time.monotonic()
        wait_for_rounds(inherited)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    return users, stopping, stopped, inherited


def tally(users, stopping, stopped, inherited):
    losses = [start for user in users for start in user.losses]
    answers = [answer for user in users for answer in user.answers]
    refused = [answer for answer in answers if answer[2] == 503]
    last = max((start for start, _, _ in refused), default=stopped)
    return {
        **Counter(status for _, _, status in answers),
        "odd": [answer for user in users for answer in user.odd],
        "lost by the store": sum(start >= stopped for start in losses),
        "lost by the failover": sum(start < stopped for start in losses),
        "refused before": sum(start + length < stopping for start, length, _ in refused),
        "slowest": max(length for _, length, _ in answers),
        "failover took": inherited - stopped,
        "last refused after": last - inherited,
    }


class RemembersItself:
    """A store that answers from the memory of this process when the server can't be asked."""

    def __init__(self, store):
        self._store, self._records = store, {}
        self.create, self.touch, self.destroy = store.create, store.touch, store.destroy

    def get(self, session_id):
        with suppress(StoreError):
            self._records[session_id] = self._store.get(session_id)
        return self._records[session_id]

    def replace(self, session_id, old, new, expires_at):
        is_done = True
        with suppress(StoreError):
            is_done = self._store.replace(session_id, old, new, expires_at)
        if is_done:
            self._records[session_id] = Record(new, expires_at)
        return is_done


@pytest.mark.parametrize("stop", [Server.kill, Server.freeze], ids=["killed", "frozen"])
def test_a_failover_keeps_every_success_that_the_store_told_of(cluster, stop, figure):
    """F4: 200 and kept, or 503; what the failover itself lost is reported; all recovers."""
    with cluster.client() as client:
        seen = tally(*lose_a_primary(cluster, RedisStore(client), stop))
    figure.tried(seen[200] + seen[503], "requests amid a failover")
    figure.found(seen["lost by the store"], "successes lost by the store")
    print("F4 cluster:", seen)
    assert seen["odd"] == []
    assert seen["lost by the store"] == seen["refused before"] == 0
    assert seen[503] > 0
    assert seen["last refused after"] < 1.0
    assert seen["slowest"] < 2.0  # a time-out, and then a look for the heir


def test_a_store_that_makes_up_for_a_server_is_noticed(cluster):
    """F4, T1: the harness sees a success of which nothing is kept."""
    with cluster.client() as client:
        store = RemembersItself(RedisStore(client))
        seen = tally(*lose_a_primary(cluster, store, Server.kill))
    assert seen["lost by the store"] > 0


def test_a_failover_loses_what_the_replica_had_not_seen(cluster):
    """F4: acknowledged writes are undone and a destroyed session is back, as the docs say."""
    with cluster.client() as client:
        store, ends = RedisStore(client), time.time() + 3600
        first, last = [f"id-{n}" for n in range(100) if client.keyslot(f"sess:id-{n}") < 5461][:2]
        for session_id in (first, last):
            store.create(session_id, "old", ends)
        wait_until(cluster.is_copied, "copied")
        cluster.replica.freeze()
        cluster.primaries[0].ask("CLIENT", "KILL", "TYPE", "replica")  # nothing is under way to it
        assert store.replace(first, "old", "new", ends)
        store.destroy(last)
        cluster.primaries[0].kill()
        cluster.replica.thaw()
        wait_until(cluster.is_promoted, "promoted")
        with suppress(StoreError):
            store.get(first)  # the client learns of the heir
        assert store.get(first).text == store.get(last).text == "old"
