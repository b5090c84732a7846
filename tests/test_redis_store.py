"""``RedisStore`` on real servers: one Valkey, a cluster, Sentinel; nothing is imitated."""
# ruff: noqa: F811 (a fixture is imported, and then an argument)

import asyncio
import logging
import queue
import re
import ssl
import subprocess
import sys
import threading
import time
import traceback
from contextlib import closing
from wsgiref.util import setup_testing_defaults

import pytest
import redis
from valkey import Valkey
from valkey_server import Sentinel, Server, cluster, valkey  # noqa: F401

from sessionlab import SessionMiddleware, StoreError, sign
from sessionlab.stores.redis import RedisStore
from sessionlab.testing import StoreContract

SECRET = "correct horse battery staple correct horse"
PASSWORD = "open%20sesame-Zoë"
TEXT = (  # as connect-redis 9 writes it
    '{"cookie":{"originalMaxAge":3600000,"expires":"2026-11-24T00:00:54.481Z",'
    '"httpOnly":true,"path":"/"},"name":"Zoë"}'
)
NO_TEXT = b'{"cookie":{"originalMaxAge":null,"expires":null,"path":"/"},"name":"Zo\xeb"}'  # latin-1


@pytest.fixture
def server(valkey):
    valkey.ask("FLUSHALL")
    return valkey


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture
def store(client):
    return RedisStore(client)


# The contract. A server's clock can't be stopped or set: instead of letting an hour pass, each key
# is brought an hour nearer to its end.


class RedisContract(StoreContract):
    tolerance = 0.9

    def make_store(self, now):
        self.client = self.make_client()
        self.client.flushall()
        return RedisStore(self.client, now=now)

    def teardown_method(self):
        self.client.close()

    def advance(self, seconds):
        super().advance(seconds)
        for key in self.client.scan_iter():
            self.client.pexpire(key, self.client.pttl(key) - round(seconds * 1000))


@pytest.fixture(scope="class")
def one_server(request, valkey):
    request.cls.server = valkey


@pytest.fixture(scope="class")
def sentinel(request, valkey, tmp_path_factory):
    with Sentinel(tmp_path_factory.mktemp("sentinel"), valkey) as request.cls.server:
        yield


@pytest.fixture(scope="class")
def three_primaries(request, cluster):
    request.cls.server = cluster


@pytest.mark.usefixtures("one_server")
class TestOneServer(RedisContract):
    def make_client(self):
        return self.server.client()


@pytest.mark.usefixtures("one_server")
class TestAClientThatDecodes(RedisContract):
    def make_client(self):
        return self.server.client(decode_responses=True)


@pytest.mark.usefixtures("one_server")
class TestTheOlderProtocol(RedisContract):
    def make_client(self):
        return self.server.client(protocol=2)


@pytest.mark.usefixtures("one_server")
class TestValkeyPy(RedisContract):
    def make_client(self):
        return Valkey(port=self.server.port)


@pytest.mark.usefixtures("sentinel")
class TestSentinel(RedisContract):
    def make_client(self):
        return redis.Sentinel([("127.0.0.1", self.server.port)]).master_for("main")


@pytest.mark.usefixtures("three_primaries")
class TestCluster(RedisContract):
    def make_client(self):
        return self.server.client()


# What is stored


def test_a_record_is_one_key_with_the_text_as_value_and_a_ttl_in_milliseconds(store, client):
    now = time.time()
    assert store.create("4711", TEXT, now + 90.5)
    assert client.keys() == [b"sess:4711"]
    assert client.get("sess:4711") == TEXT.encode()
    assert 90_000 < client.pttl("sess:4711") <= 90_501


def test_what_connect_redis_wrote_is_read(store, client):
    client.set("sess:4711", TEXT, ex=3600)
    text, expires_at = store.get("4711")
    assert text == TEXT
    assert expires_at == pytest.approx(time.time() + 3600, abs=0.9)


def test_the_ttl_counts_and_not_the_expiry_in_the_text(store, client):
    client.set("sess:4711", TEXT.replace("2026", "1999"), ex=60)
    client.expire("sess:4711", 7200)  # as connect-redis renews: the text stays behind
    assert store.get("4711").expires_at == pytest.approx(time.time() + 7200, abs=0.9)


def test_a_key_without_a_ttl_lives_on_until_it_is_touched_or_replaced(store, client):
    client.set("sess:4711", TEXT)
    assert store.get("4711").expires_at == pytest.approx(time.time() + 86400, abs=0.9)
    assert client.ttl("sess:4711") == -1
    assert store.touch("4711", time.time() + 60)
    assert 50 < client.ttl("sess:4711") <= 60
    client.persist("sess:4711")
    assert store.replace("4711", TEXT, "new", time.time() + 60)
    assert 50 < client.ttl("sess:4711") <= 60


def test_the_clock_only_turns_a_ttl_into_an_instant(client):
    store = RedisStore(client, now=lambda: 1000.0)
    assert store.create("id", "text", 1060.0)
    assert 59_000 < client.pttl("sess:id") <= 60_000
    assert store.get("id").expires_at == pytest.approx(1060, abs=0.9)


def test_an_end_that_is_past_keeps_nothing(store, client):
    past = time.time() - 1
    assert store.create("id", "text", past)
    assert client.keys() == []
    for end in (lambda: store.touch("id", past), lambda: store.replace("id", "text", "new", past)):
        assert store.create("id", "text", time.time() + 60)
        assert not store.create("id", "another", past)
        assert client.get("sess:id") == b"text"
        assert end()
        assert client.keys() == []


# Round trips


def count_trips(server, action):
    """Return how often the server had to read from the network while ``action`` ran."""
    with server.client() as observer:
        before = observer.info("stats")["total_reads_processed"]
        action()
        return observer.info("stats")["total_reads_processed"] - before - 1  # the last is ours


def shop(environ, start_response):
    """An application that does what the path says to its session."""
    session = environ["sessionlab.session"]
    match environ["PATH_INFO"]:
        case "/look":
            session.get("n")
        case "/count":
            session["n"] = session.get("n", 0) + 1
        case "/logout":
            session.destroy()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(session.get("n") if not session.is_destroyed else None).encode()]


def visit(app, path, session_id=None):
    """Return the status, the ``Set-Cookie`` if any, and the body of one request."""
    environ = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    if session_id is not None:
        environ["HTTP_COOKIE"] = f"connect.sid=s:{sign(session_id, SECRET)}"
    seen = []
    body = app(environ, lambda status, headers: seen.append((status[:3], dict(headers))))
    status, headers = seen[0]
    return status, headers.get("Set-Cookie"), b"".join(body).decode()


@pytest.mark.parametrize(
    ("path", "visitor", "trips"),
    [
        pytest.param("/untouched", None, 0, id="a stranger who leaves nothing"),
        pytest.param("/count", None, 1, id="a new visitor: create"),
        pytest.param("/untouched", "known", 1, id="a session nobody looks at: load"),
        pytest.param("/look", "known", 1, id="a read: load"),
        pytest.param("/look", "ageing", 2, id="a read that renews: load, touch"),
        pytest.param("/count", "known", 2, id="a write: load, replace"),
        pytest.param("/logout", "known", 2, id="a logout: load, destroy"),
        pytest.param("/look", "unknown", 1, id="an id the server does not know: load"),
    ],
)
def test_a_request_costs_one_round_trip_to_load_and_at_most_one_to_commit(
    server, store, path, visitor, trips
):
    app = SessionMiddleware(shop, SECRET, store=store)
    record = '{"cookie":{"originalMaxAge":null,"expires":null,"path":"/"},"n":1}'
    for session_id, life in (("known", 86400), ("ageing", 80000), ("warm", 86400)):
        store.create(session_id, record, time.time() + life)
    visit(app, "/count", "warm")  # connects, and teaches the server both scripts
    answers = []
    assert count_trips(server, lambda: answers.append(visit(app, path, visitor))) == trips
    assert answers[0][0] == "200"


def test_a_server_that_has_forgotten_the_scripts_is_sent_them_again_once(server, store, client):
    store.create("id", "old", time.time() + 60)
    store.get("id")
    client.script_flush()
    assert count_trips(server, lambda: store.get("id")) == 2
    assert count_trips(server, lambda: store.get("id")) == 1
    client.script_flush()
    assert count_trips(server, lambda: store.replace("id", "old", "new", time.time() + 60)) == 2
    assert store.get("id").text == "new"


def test_scripts_are_sent_again_to_a_server_that_was_restarted(tmp_path):
    with Server(tmp_path) as server, server.client() as client:
        store = RedisStore(client)
        store.create("id", "old", time.time() + 60)
        assert store.replace("id", "old", "new", time.time() + 60)
        server.kill()
        server.start()
        store.create("id", "old", time.time() + 60)
        assert store.replace("id", "old", "new", time.time() + 60)
        assert store.get("id").text == "new"


# The prefix


def test_without_a_prefix_clear_would_empty_the_server_and_so_it_is_refused(client):
    with pytest.raises(ValueError, match="prefix"):
        RedisStore(client, prefix="")


@pytest.mark.parametrize("prefix", ["sess:", "s*", "s?[a-z]", "a\\b:", "[", "Zoë:"])
def test_a_store_sees_and_clears_only_what_has_its_prefix(client, prefix):
    mine, others = RedisStore(client, prefix), RedisStore(client, "another:")
    for name in ("sess", "sx", "sxa", "ab:", "a\\bx", "z", "zoe:1"):
        others.create(name, "text", time.time() + 60)
        if prefix:
            client.set(name, "of another program")
    count = client.dbsize()
    for number in range(3):
        mine.create(f"id {number}", "text", time.time() + 60)
    if prefix:
        assert sorted(mine) == ["id 0", "id 1", "id 2"]
        assert len(mine) == 3
    assert mine.get("id 0")
    assert others.get("id 0") is None
    mine.clear()
    assert client.dbsize() == (count if prefix else 0)


@pytest.mark.parametrize("decode_responses", [False, True])
def test_thousands_of_ids_are_each_seen_once(server, decode_responses):
    with server.client(decode_responses=decode_responses) as client:
        store = RedisStore(client)
        ids = [f"id {number} ☕" for number in range(2500)]
        for session_id in ids:
            store.create(session_id, "text", time.time() + 60)
        assert sorted(store) == sorted(ids)
        assert len(store) == 2500
        store.clear()
        assert len(store) == 0


def test_on_a_cluster_every_primary_is_asked_for_its_ids(cluster):
    with closing(cluster.client()) as client:
        client.flushall()
        store = RedisStore(client)
        for number in range(300):
            store.create(f"id {number}", "text", time.time() + 60)
        assert all(node.ask("DBSIZE") > 50 for node in cluster.primaries)
        assert sorted(store) == sorted(f"id {number}" for number in range(300))
        store.clear()
        assert len(store) == 0


# What is no record


@pytest.mark.parametrize("decode_responses", [False, True])
@pytest.mark.parametrize("kind", ["latin-1", "a list", "empty"])
@pytest.mark.parametrize("path", ["/untouched", "/look", "/count"])
def test_a_key_that_holds_no_text_makes_its_visitor_anonymous(
    server, decode_responses, kind, path, caplog
):
    with server.client(decode_responses=decode_responses) as client:
        if kind == "a list":
            client.rpush("sess:broken", "x")
        else:
            client.set("sess:broken", NO_TEXT if kind == "latin-1" else b"")
        client.expire("sess:broken", 86400)
        before = client.dump("sess:broken")
        app = SessionMiddleware(shop, SECRET, store=RedisStore(client))
        status, cookie, _ = visit(app, path, "broken")
        assert status == "200"
        assert (cookie is not None) == (path == "/count")
        assert "broken" not in (cookie or "") + caplog.text
        assert len(caplog.records) == 1
        assert client.dump("sess:broken") == before
        assert visit(app, "/count")[0] == "200"


def test_bytes_that_are_no_text_can_be_replaced_by_whoever_has_read_them(store, client):
    client.set("sess:id", NO_TEXT, ex=60)
    assert store.replace("id", store.get("id").text, "new", time.time() + 60)
    assert store.get("id").text == "new"


def test_a_list_is_in_the_way_of_a_new_record_and_can_be_destroyed(store, client):
    client.rpush("sess:id", "x")
    assert not store.create("id", "text", time.time() + 60)
    with pytest.raises(StoreError, match="ResponseError"):
        store.replace("id", "", "new", time.time() + 60)
    store.destroy("id")
    assert store.get("id") is None


# Errors


def text_of(error):
    """What a log would show of it, traceback and causes included."""
    return "".join(traceback.format_exception(error))


OPERATIONS = {
    "get": lambda store: store.get("my-id"),
    "create": lambda store: store.create("my-id", "my text", time.time() + 60),
    "replace": lambda store: store.replace("my-id", "my text", "new", time.time() + 60),
    "touch": lambda store: store.touch("my-id", time.time() + 60),
    "destroy": lambda store: store.destroy("my-id"),
    "iterate": list,
    "count": len,
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


@every_operation
def test_a_server_that_is_not_there_is_a_store_error_that_says_where(tmp_path, operation):
    server = Server(tmp_path)
    store = RedisStore.from_url(server.url)
    with pytest.raises(StoreError, match=rf"ConnectionError: .*127\.0\.0\.1:{server.port}"):
        operation(store)


def test_clearing_a_store_whose_server_goes_away_is_a_store_error(tmp_path):
    with Server(tmp_path) as server, server.client() as client:
        store = RedisStore(client)
        store.create("id", "text", time.time() + 60)
        server.kill()
        with pytest.raises(StoreError):
            store.clear()


@every_operation
def test_a_server_that_refuses_a_command_is_a_store_error_without_id_and_data(tmp_path, operation):
    conf = tmp_path / "conf"
    names = ("EVALSHA", "SET", "PEXPIRE", "UNLINK", "SCAN")
    conf.write_text("".join(f'rename-command {name} ""\n' for name in names))
    with Server(tmp_path, include=conf) as server, pytest.raises(StoreError) as caught:
        operation(RedisStore.from_url(server.url))
    assert str(caught.value) == "ResponseError"


def test_a_server_without_memory_refuses_a_new_session_and_keeps_the_old_ones(tmp_path):
    with Server(tmp_path) as server, server.client() as client:
        store = RedisStore(client)
        assert store.create("id", "old", time.time() + 60)
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreError, match="OutOfMemoryError"):
            store.create("one more", "text", time.time() + 60)
        with pytest.raises(StoreError):
            store.replace("id", "old", "new", time.time() + 60)
        client.config_set("maxmemory", 0)
        assert store.get("id").text == "old"


@pytest.mark.parametrize("thing", ["redis://:open@localhost", None])
def test_what_is_no_client_is_refused_at_once(thing):
    with pytest.raises(TypeError, match=r"from_url\(url\)") as caught:
        RedisStore(thing)
    assert "open" not in str(caught.value)


# From a URL


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server with a password."""
    with Server(tmp_path_factory.mktemp("guarded"), requirepass="open sesame-Zoë") as server:
        yield server


def test_a_password_and_a_database_may_stand_in_the_url(guarded):
    address = f"127.0.0.1:{guarded.port}"
    store = RedisStore.from_url(f"redis://:{PASSWORD}@{address}/3", prefix="app:")
    assert store.create("id", "text", time.time() + 60)
    assert store.get("id").text == "text"
    with guarded.client(db=3) as client:
        assert client.keys() == [b"app:id"]
    with_name = RedisStore.from_url(f"redis://default:{PASSWORD}@{address}/3", prefix="app:")
    assert with_name.get("id").text == "text"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("redis://:hush-hush@127.0.0.1:{port}", id="a wrong password"),
        pytest.param("redis://me:hush-hush@127.0.0.1:{port}/2", id="a wrong user"),
        pytest.param("redis://:hush-hush@127.0.0.1:1", id="a wrong port"),
        pytest.param("rediss://:hush-hush@127.0.0.1:{port}", id="TLS with who speaks none"),
        pytest.param("redis://127.0.0.1:{port}/?password=hush-hush", id="in the query"),
        pytest.param("unix://hush-hush@/no/such/socket?password=hush-hush", id="no such socket"),
        pytest.param("http://:hush-hush@127.0.0.1", id="a wrong scheme"),
        pytest.param(":hush-hush@127.0.0.1", id="no scheme"),
        pytest.param("redis://:hush-hush@127.0.0.1:port", id="a port that is no number"),
        pytest.param("redis://:hush#hush@127.0.0.1", id="a # that is not quoted"),
        pytest.param("redis://:1023/hush@127.0.0.1/0", id="a / that is not quoted"),
        pytest.param("redis://me:1023?hush@127.0.0.1", id="a ? that is not quoted"),
        pytest.param("redis://:[hush@127.0.0.1", id="a [ that is not quoted"),
        pytest.param("redis://:hush-hush@127.0.0.1?socket_timeout=soon", id="a wrong option"),
    ],
)
def test_no_password_is_in_an_error_a_repr_or_a_log(guarded, caplog, url):
    caplog.set_level(logging.DEBUG)
    shown = []

    def use():
        store = RedisStore.from_url(url.format(port=guarded.port))
        answer = visit(SessionMiddleware(shop, SECRET, store=store), "/count", "id")
        assert answer[:2] == ("503", None)
        shown.extend([repr(store), *answer])
        store.get("id")

    with pytest.raises((StoreError, ValueError)) as caught:
        use()
    assert caught.type is StoreError or "write redis://" in str(caught.value)
    shown.append(text_of(caught.value))
    shown += [record.getMessage() for record in caplog.records]
    assert not [text for text in shown if re.search(r"hush|\b1023\b", str(text))]


def test_with_a_client_of_ones_own_no_password_is_shown_either(server, caplog):
    caplog.set_level(logging.DEBUG)
    with server.client(password="hush-hush", username="me") as client:
        store = RedisStore(client)
        with pytest.raises(StoreError, match="AuthenticationError") as caught:
            store.get("id")
    shown = [repr(store), text_of(caught.value), *(r.getMessage() for r in caplog.records)]
    assert not [text for text in shown if "hush" in text]


def test_the_url_may_ask_for_longer_time_outs(server):
    url = f"{server.url}?socket_timeout=2&socket_connect_timeout=3"
    settings = RedisStore.from_url(url)._client.connection_pool.connection_kwargs
    assert (settings["socket_timeout"], settings["socket_connect_timeout"]) == (2, 3)


def test_without_redis_py_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"pip install 'sessionlab\[redis\]'"):
        RedisStore.from_url("redis://localhost")


def test_importing_the_store_does_not_import_redis_py():
    code = "import sys, sessionlab.stores.redis; print({'redis', 'valkey'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@pytest.fixture
def tls(server, tmp_path):
    """The file of a certificate, and a port where TLS is spoken, with the server behind it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def relay(reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async def serve():
        door = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
        ports.put(door.sockets[0].getsockname()[1])
        await asyncio.to_thread(is_over.wait)
        door.close()

    ports, is_over = queue.Queue(), threading.Event()
    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    yield certificate, ports.get(timeout=10)
    is_over.set()
    thread.join()


def test_rediss_is_tls_and_an_unknown_certificate_is_refused(tls):
    certificate, port = tls
    url = f"rediss://127.0.0.1:{port}"
    with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED"):
        RedisStore.from_url(url).get("id")
    store = RedisStore.from_url(f"{url}?ssl_ca_certs={certificate}")
    assert store.create("id", "text", time.time() + 60)
    assert store.get("id").text == "text"
    store._client.close()
