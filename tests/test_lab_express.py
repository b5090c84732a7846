"""Express beside a notebook's own server: the recording always, the real one where Node is."""

import sys
from pathlib import Path

import pytest
import requests
from node import find_node
from valkey_server import valkey  # noqa: F401  (a fixture)

from sessionlab import RedisStore, SessionMiddleware
from sessionlab.lab import SHARED_SECRET, anatomy, fixed_ids, serve, serve_express
from sessionlab.lab.demo import shop_app
from sessionlab.lab.recording import FILE

sys.path.append(str(Path(__file__).parent / "express"))
from make_recordings import CONVERSATIONS, converse

NO_NODE = "/no/such/folder"


@pytest.fixture
def redis_url(valkey):  # noqa: F811
    valkey.ask("FLUSHALL")
    return valkey.url


@pytest.fixture(params=["recording", "Express"])
def express(request, redis_url, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a kernel does, of every program
    if request.param == "Express":
        find_node()
    is_recording = request.param == "recording"
    with serve_express(redis_url, node_modules=NO_NODE if is_recording else None) as it:
        assert it.is_recording == is_recording
        yield it


@pytest.fixture
def python(redis_url):
    store = RedisStore.from_url(redis_url)
    with serve(SessionMiddleware(shop_app(), SHARED_SECRET, store=store, genid=fixed_ids())) as it:
        yield it


@pytest.fixture
def browser():
    with requests.Session() as session:
        yield session


def ask(browser, server, line):
    """Send ``POST /cart item=tea``, say, and return what the JSON of the answer says."""
    method, path, *fields = line.split(" ")
    data = dict(field.split("=") for field in fields)
    response = browser.request(method, server.url + path, data=data, timeout=10)
    response.raise_for_status()
    return response.json()


def test_a_login_in_python_is_one_in_express_and_the_reverse(python, express, browser):
    ask(browser, python, "POST /login name=Ada")
    assert ask(browser, express, "GET /whoami") == {"user": "Ada", "cart": []}
    ask(browser, express, "POST /cart item=tea")
    assert ask(browser, python, "GET /cart") == {"cart": ["tea"]}
    ask(browser, python, "POST /cart item=milk")
    assert ask(browser, express, "GET /whoami") == {"user": "Ada", "cart": ["tea", "milk"]}
    ask(browser, express, "POST /logout")
    assert ask(browser, python, "GET /whoami") == {"user": None, "cart": []}

    ask(browser, express, "POST /login name=Ada")
    assert ask(browser, python, "GET /whoami") == {"user": "Ada", "cart": []}
    ask(browser, python, "POST /logout")
    assert ask(browser, express, "GET /whoami") == {"user": None, "cart": []}


def test_the_fields_may_come_as_json(express, browser):
    response = browser.post(express.url + "/login", json={"name": "Ada"}, timeout=10)
    assert response.json() == {"user": "Ada"}


def test_its_cookie_is_signed_with_the_shared_secret(express, browser):
    ask(browser, express, "POST /login name=Ada")
    assert "fits" in str(anatomy(express.last.set_cookies[0], SHARED_SECRET))
    assert fixed_id(1) in express.last.set_cookies[0]


def fixed_id(number):
    genid = fixed_ids("express")
    return [genid() for _ in range(number + 1)][-1]


def test_a_record_has_the_life_that_connect_redis_gives_it(express, browser, valkey):  # noqa: F811
    ask(browser, express, "POST /login name=Ada")
    assert 86390 < valkey.ask("TTL", "sess:" + fixed_id(1)) <= 86400


def test_a_read_renews_the_record(express, browser, valkey):  # noqa: F811
    ask(browser, express, "POST /login name=Ada")
    valkey.ask("EXPIRE", "sess:" + fixed_id(1), 100)
    ask(browser, express, "GET /whoami")
    assert 86390 < valkey.ask("TTL", "sess:" + fixed_id(1)) <= 86400


def test_an_exchange_says_who_answered_and_what_became_of_the_store(express, browser):
    ask(browser, express, "POST /login name=Ada")
    text = str(express.last)
    assert "browser → Express" in text
    assert "Express → browser" in text
    assert '{"user": "Ada"}' in text
    assert "server" not in text


def test_no_port_no_date_and_no_end_is_displayed(express, browser):
    ask(browser, express, "POST /login name=Ada")
    ask(browser, express, "GET /whoami")
    shown = repr(express) + str(express.exchanges) + str(express.last)
    assert express.url.rpartition(":")[2] not in shown
    assert "later" not in shown
    assert "GMT" not in shown


def test_a_forged_cookie_is_a_stranger_s(express, browser):
    ask(browser, express, "POST /login name=Ada")
    cookie = browser.cookies.get("connect.sid")
    browser.cookies.clear()
    browser.cookies.set("connect.sid", cookie[:-1] + ("A" if cookie[-1] != "A" else "B"))
    assert ask(browser, express, "GET /whoami")["user"] is None


def test_its_program_can_be_shown(express):
    bundle = express.source._repr_mimebundle_()
    assert bundle["text/markdown"].startswith("```javascript\n// sessionlab/lab/express.js\n")
    assert "req.session.regenerate" in str(express.source)
    assert "createClient" not in str(express.source)


def test_a_server_of_the_same_name_is_stopped_first(redis_url):
    first = serve_express(redis_url, node_modules=NO_NODE)
    with serve_express(redis_url, node_modules=NO_NODE) as second:
        assert repr(first) == "<Express 'express': a recording, stopped>"
        assert repr(second) == "<Express 'express': a recording, running>"


class TestRecording:
    @pytest.fixture
    def express(self, redis_url):
        with serve_express(redis_url, node_modules=NO_NODE) as it:
            yield it

    @pytest.mark.parametrize("name", CONVERSATIONS)
    def test_every_recorded_conversation_can_be_had(self, redis_url, name):
        statuses = [
            response.status_code
            for _, _, response, _ in converse(CONVERSATIONS[name], redis_url, NO_NODE)
        ]
        assert statuses
        assert set(statuses) == {200}

    def test_what_was_not_recorded_is_answered_kindly_with_501(self, express, browser):
        response = browser.post(express.url + "/login", data={"name": "Eve"}, timeout=10)
        assert response.status_code == 501
        assert "Install Node 20" in response.text
        assert "POST /login" in response.text

    @pytest.mark.parametrize("body", [b"{", b"\xff", b"name=%FF"])
    def test_a_body_that_makes_no_sense_is_not_in_the_recording(self, express, browser, body):
        headers = {"Content-Type": "application/json"}
        response = browser.post(f"{express.url}/login", data=body, headers=headers, timeout=10)
        assert response.status_code == 501
        assert not express.errors

    def test_a_record_that_express_never_saw_is_not_answered_for(self, express, browser, valkey):  # noqa: F811
        ask(browser, express, "POST /login name=Ada")
        valkey.ask("SET", "sess:" + fixed_id(1), '{"cookie":{},"user":"Eve"}')
        assert browser.get(express.url + "/whoami", timeout=10).status_code == 501

    def test_it_holds_no_session_id(self):
        text = FILE.read_text(encoding="utf-8")
        assert not any(fixed_id(number) in text for number in range(5))


class TestRealExpress:
    @pytest.fixture(autouse=True)
    def node(self):
        find_node()

    def test_repr_says_that_it_runs(self, redis_url):
        with serve_express(redis_url) as express:
            assert repr(express) == "<Express 'express': running>"
        assert repr(express) == "<Express 'express': stopped>"

    def test_its_process_ends_with_it(self, redis_url):
        with serve_express(redis_url) as express:
            process = express._express._process
            assert process.poll() is None
        assert process.poll() is not None

    def test_without_a_redis_it_says_so(self):
        with pytest.raises(RuntimeError, match=r"Express can't start: .*ECONNREFUSED"):
            serve_express("redis://127.0.0.1:1")

    def test_what_express_complains_of_is_among_the_errors(self, redis_url, browser):
        with serve_express(redis_url) as express:
            headers = {"Content-Type": "application/json"}
            response = browser.post(express.url + "/login", data="{", headers=headers, timeout=10)
            assert (response.status_code, express.last.status) == (400, "400 Bad Request")
        assert "SyntaxError" in express.errors.text  # all of it is there when it has stopped
