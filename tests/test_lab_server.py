"""The lab's server: real sockets, real requests."""

import gc
import os
import socket
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from bottle import Bottle, HTTPResponse, request

from sessionlab import MemoryStore, SessionMiddleware, StoreError
from sessionlab.lab import Clock, fixed_ids, serve

SECRET = "0123456789abcdef0123456789abcdef"


def get(url, **options):
    return requests.get(url, timeout=10, **options)


def answer(body=b"hello", status="200 OK", headers=()):
    def app(environ, start_response):
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return body if isinstance(body, list) else [body]

    return app


def counter(**options):
    """An application that counts its visitor's requests, behind the middleware."""
    app = Bottle()

    @app.get("/")
    def count():
        request.session["n"] = request.session.get("n", 0) + 1
        return str(request.session["n"])

    @app.get("/look")
    def look():
        return str(request.session.get("n"))

    @app.get("/raise")
    def fail():
        return 1 / 0

    @app.post("/out")
    def log_out():
        request.session.destroy()
        return "bye"

    return SessionMiddleware(app, secret=SECRET, genid=fixed_ids(), **options)


@pytest.fixture(autouse=True)
def nothing_is_printed(capfd):
    yield
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def server():
    with serve(counter()) as server:
        yield server


@pytest.fixture
def browser():
    with requests.Session() as session:
        yield session


class TestServing:
    def test_an_answer_comes_from_127_0_0_1(self, server):
        assert server.url.startswith("http://127.0.0.1:")
        assert get(server.url).text == "1"

    def test_a_browser_keeps_its_session(self, server, browser):
        assert [browser.get(server.url, timeout=10).text for _ in range(3)] == ["1", "2", "3"]

    def test_repr_has_no_port(self, server):
        assert repr(server) == "<Server 'lab': running>"

    def test_a_stopped_server_says_so_and_refuses(self, server):
        server.stop()
        assert repr(server) == "<Server 'lab': stopped>"
        with pytest.raises(requests.ConnectionError):
            get(server.url)

    def test_stopping_twice_is_fine(self, server):
        server.stop()
        server.stop()

    def test_the_port_is_free_when_stop_returns(self, server):
        get(server.url)
        port = int(server.url.rpartition(":")[2])
        server.stop()
        with serve(answer(), port=port) as other:
            assert other.url == server.url
            assert get(other.url).text == "hello"

    def test_the_same_name_stops_the_earlier_server(self, server):
        with serve(answer(b"new")) as later:
            assert get(later.url).text == "new"
            with pytest.raises(requests.ConnectionError):
                get(server.url)

    def test_two_names_run_side_by_side(self):
        with serve(answer(b"one"), "one") as one, serve(answer(b"two"), "two") as two:
            assert (get(one.url).text, get(two.url).text) == ("one", "two")
            assert [len(one.exchanges), len(two.exchanges)] == [1, 1]

    def test_a_port_in_use_is_an_os_error(self):
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="use"):
            serve(answer(), "elsewhere", port=taken.getsockname()[1])

    def test_twenty_requests_run_at_once(self):
        together = threading.Barrier(20, timeout=10)

        def app(environ, start_response):
            together.wait()  # nobody passes before all are here
            return answer()(environ, start_response)

        with serve(app) as server, ThreadPoolExecutor(20) as pool:
            texts = [reply.text for reply in pool.map(get, [server.url] * 20)]
            assert texts == ["hello"] * 20
            assert [exchange.number for exchange in server.exchanges] == list(range(1, 21))

    def test_a_handler_may_call_its_own_server(self):
        def app(environ, start_response):
            inner = get(server.url + "/inner").text if environ["PATH_INFO"] == "/" else "inner"
            return answer(f"outer({inner})".encode())(environ, start_response)

        with serve(app) as server:
            assert get(server.url).text == "outer(outer(inner))"
            assert [exchange.path for exchange in server.exchanges] == ["/inner", "/"]

    def test_a_large_body_that_nobody_reads_does_not_break_the_answer(self, server):
        port = int(server.url.rpartition(":")[2])
        body = b"x" * 1_000_000
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"POST /nowhere HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body))
            client.sendall(body)
            with client.makefile("rb") as reply:  # which a reset would end with an exception
                assert reply.read().startswith(b"HTTP/1.0 404 ")

    def test_an_application_is_told_that_threads_run(self):
        def app(environ, start_response):
            return answer(str(environ["wsgi.multithread"]).encode())(environ, start_response)

        with serve(app) as server:
            assert get(server.url).text == "True"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, ("127.0.0.1", "127.0.0.1"), id="none"),
        pytest.param({"no_proxy": "a"}, ("a,127.0.0.1", "a,127.0.0.1"), id="small letters"),
        pytest.param({"NO_PROXY": "b"}, ("b,127.0.0.1", "b,127.0.0.1"), id="capitals"),
        pytest.param(
            {"no_proxy": "a", "NO_PROXY": "b"}, ("a,127.0.0.1", "b,127.0.0.1"), id="both differ"
        ),
        pytest.param({"no_proxy": "127.0.0.1"}, ("127.0.0.1", "127.0.0.1"), id="there already"),
        pytest.param({"no_proxy": "*"}, ("*", "*"), id="all hosts already"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="Windows has one variable for both spellings")
def test_a_proxy_is_bypassed_and_its_exceptions_kept(monkeypatch, before, after):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, hosts in before.items():
        monkeypatch.setenv(name, hosts)
    serve(answer()).stop()
    assert (os.environ.get("no_proxy"), os.environ.get("NO_PROXY")) == after


class TestExchange:
    def test_request_and_response_are_taken_down(self, server, browser):
        browser.get(server.url, timeout=10)
        browser.get(server.url + "/look?a=1&b=%20", timeout=10)
        first, second = server.exchanges
        assert (first.method, first.path, first.cookie, first.status) == ("GET", "/", "", "200 OK")
        assert len(first.set_cookies) == 1
        assert second.set_cookies == []
        assert second.path == "/look?a=1&b=%20"
        assert second.cookie == first.set_cookies[0].partition(";")[0]
        assert (second.body, second.vary) == ("1", "Cookie")

    def test_a_path_stands_as_it_was_sent(self, server):
        get(server.url + "/z%C3%BCrich/a%20b")
        assert server.last.path == "/z%C3%BCrich/a%20b"

    def test_last_is_an_index_error_before_the_first(self, server):
        with pytest.raises(IndexError, match="no request"):
            server.last  # noqa: B018

    def test_the_store_is_seen_before_and_after(self, browser):
        application = counter()
        with serve(application) as server:
            browser.get(server.url, timeout=10)
            browser.get(server.url, timeout=10)
            browser.post(server.url + "/out", timeout=10)
        came, changed, went = server.exchanges
        (session_id,) = came.after
        assert came.before == went.after == {}
        assert changed.before == came.after
        assert '"n":2' in changed.after[session_id].text
        assert went.before == changed.after

    def test_a_store_below_other_middleware_is_found(self, browser):
        class Wrapper:
            def __init__(self, app):
                self.app = app

            def __call__(self, environ, start_response):
                return self.app(environ, start_response)

        with serve(Wrapper(Wrapper(counter()))) as server:
            get(server.url)
            assert len(server.last.after) == 1

    def test_the_decision_is_taken_down(self, server):
        get(server.url)
        assert server.last.decision.save
        assert server.last.decision.save.why == "it is new and was written to"

    def test_an_application_without_sessions_has_neither(self):
        with serve(answer()) as server:
            get(server.url)
            assert (server.last.before, server.last.after, server.last.decision) == (None,) * 3

    def test_every_exchange_is_complete_when_its_client_has_the_response(self, server, browser):
        for number in range(1, 201):
            text = browser.get(server.url, timeout=10).text
            exchange = server.last
            assert (exchange.number, exchange.body) == (number, text)
            assert f'"n":{text}' in next(iter(exchange.after.values())).text
            assert exchange.decision.save

    @pytest.mark.parametrize(
        ("method", "headers", "body"),
        [
            pytest.param("GET", [], [b"ab", b"c"], id="list"),
            pytest.param(
                "GET", [("Content-Length", "3")], [b"ab", b"c"], id="list of known length"
            ),
            pytest.param("GET", [], [], id="empty list"),
            pytest.param("GET", [("Content-Length", "0")], [b""], id="nothing, of known length"),
            pytest.param("HEAD", [("Content-Length", "3")], [], id="head"),
            pytest.param("HEAD", [("Content-Length", "3")], [b"abc"], id="head with a body"),
        ],
    )
    def test_whatever_the_body_the_exchange_is_there_first(self, method, headers, body):
        app = answer(body, headers=headers)
        with serve(app) as server:
            for number in range(1, 31):
                requests.request(method, server.url, timeout=10)
                assert (server.last.number, server.last.body) == (number, b"".join(body).decode())

    @pytest.mark.parametrize(("method", "length"), [("GET", "3"), ("HEAD", "9")])
    def test_what_a_next_request_stores_is_not_in_the_exchange_before(self, method, length):
        may_end = threading.Event()

        def app(environ, start_response):
            if environ["PATH_INFO"] == "/store":
                environ["sessionlab.session"]["n"] = 1
            start_response("200 OK", [("Content-Length", length)])
            yield b"abc"  # the client has it all now
            if environ["PATH_INFO"] == "/slow":
                may_end.wait(10)

        with serve(SessionMiddleware(app, secret=SECRET)) as server:
            requests.request(method, server.url + "/slow", timeout=10)
            requests.request(method, server.url + "/store", timeout=10)
            may_end.set()
            for thread in threading.enumerate():
                if "process_request" in thread.name:
                    thread.join(10)
        assert [len(exchange.after) for exchange in server.exchanges] == [0, 1]

    def test_only_the_last_500_are_kept(self):
        with serve(answer()) as server:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(get, [server.url] * 503))
            assert [server.exchanges[0].number, server.last.number] == [4, 503]

    def test_a_slice_is_a_list_of_exchanges(self, server):
        for _ in range(3):
            get(server.url)
        assert [exchange.number for exchange in server.exchanges[-2:]] == [2, 3]
        assert "exchanges" in str(server.exchanges[-2:])

    def test_headers_that_differ_in_each_run_are_not_shown(self, server):
        get(server.url, auth=("ada", "lovelace"), headers={"User-Agent": "secret-agent"})
        bundle = server.last._repr_mimebundle_()
        shown = (bundle["text/plain"] + bundle["text/html"]).lower()
        for word in ("authorization", "agent", "date:", "server:", "127.0.0.1", "content-length"):
            assert word not in shown


class TestStreaming:
    def test_a_chunk_arrives_before_the_next_is_made(self):
        may_go_on = threading.Event()

        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"first "
            may_go_on.wait(10)
            yield b"second"

        with serve(app) as server, get(server.url, stream=True) as reply:
            chunks = reply.iter_content(6)
            assert next(chunks) == b"first "
            assert (server.last.body, server.last.status) == ("first ", "200 OK")
            may_go_on.set()
            assert b"".join(chunks) == b"second"
            assert server.last.body == "first second"

    def test_what_is_saved_after_the_last_chunk_is_seen(self, browser):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            environ["sessionlab.session"]["n"] = 1
            yield b"x"
            environ["sessionlab.session"]["n"] = 2

        with serve(SessionMiddleware(app, secret=SECRET)) as server:
            get(server.url)
            assert '"n":2' in next(iter(server.last.after.values())).text

    def test_the_body_is_closed(self):
        closed = threading.Event()

        class Body:
            def __iter__(self):
                return iter([b"x"])

            def close(self):
                closed.set()

        def app(environ, start_response):
            start_response("200 OK", [])
            return Body()

        with serve(app) as server:
            get(server.url)
        assert closed.is_set()

    def test_what_is_written_the_old_way_is_taken_down(self):
        def app(environ, start_response):
            write = start_response("200 OK", [("Content-Type", "text/plain")])
            write(b"written ")
            return [b"returned"]

        with serve(app) as server:
            assert get(server.url).text == server.last.body == "written returned"

    def test_a_long_body_is_passed_on_whole_and_kept_in_part(self):
        with serve(answer([b"x" * 1500] * 3)) as server:
            assert len(get(server.url).text) == 4500
            assert server.last.body == "x" * 2000 + "… (4500 bytes)"

    def test_of_a_picture_the_size_is_kept(self):
        headers = [("Content-Type", "image/png")]

        def app(environ, start_response):
            start_response("200 OK", headers)
            return [b"\x89PNG"]

        with serve(app) as server:
            get(server.url)
            assert server.last.body == "(4 bytes of image/png)"

    def test_a_client_that_leaves_is_no_error(self):
        gone, ended = threading.Event(), threading.Event()

        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            try:
                yield b"first"
                gone.wait(10)
                while True:
                    yield b"x" * 65536
            finally:
                ended.set()

        with serve(app) as server:
            with get(server.url, stream=True) as reply:
                next(reply.iter_content(5))
            gone.set()
            assert ended.wait(10)
            assert str(server.errors) == "no errors"


class TestErrors:
    def test_a_handler_that_raises_is_a_500_with_its_traceback_kept(self, server):
        assert get(server.url + "/raise").status_code == 500
        assert "ZeroDivisionError: division by zero" in server.errors.text
        assert server.last.status == "500 Internal Server Error"

    def test_the_readers_own_lines_are_shown_without_folders(self, server):
        get(server.url + "/raise")
        lines = str(server.errors).splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[1].startswith("  test_lab_server.py, line ")
        assert lines[1].endswith(", in fail")
        assert lines[2:] == ["    return 1 / 0", "ZeroDivisionError: division by zero"]

    def test_the_port_in_an_error_page_is_left_out(self, server):
        page = get(server.url + "/raise").text
        assert server.url.removeprefix("http://") in page
        assert server.last.body.startswith(page.replace(server.url, "http://127.0.0.1")[:800])

    def test_they_are_shown_as_text_and_as_html(self, server):
        get(server.url + "/raise")
        bundle = server.errors._repr_mimebundle_()
        assert bundle["text/plain"] == str(server.errors)
        assert "ZeroDivisionError" in bundle["text/html"]

    def test_without_an_error_it_says_so(self, server):
        get(server.url)
        assert not server.errors
        assert str(server.errors) == "no errors"

    def test_plain_wsgi_that_raises_is_taken_down(self):
        def app(environ, start_response):
            raise LookupError("no such page")

        with serve(app) as server:
            reply = get(server.url)
            assert (reply.status_code, reply.text) == (500, server.last.body)
            assert "LookupError: no such page" in str(server.errors)

    @pytest.mark.parametrize(
        ("app", "message"),
        [
            pytest.param(lambda environ, start: [b"x"], "start_response", id="no start_response"),
            pytest.param(lambda environ, start: [], "start_response", id="nothing at all"),
            pytest.param(lambda environ, start: None, "not iterable", id="None"),
            pytest.param(answer("text"), "it must be bytes", id="text for bytes"),
            pytest.param(answer(headers=[("X", 1)]), "AssertionError", id="a number for a header"),
        ],
    )
    def test_what_breaks_wsgi_is_told(self, app, message):
        with serve(app) as server:
            assert get(server.url).status_code == 500
            assert message in server.errors.text

    def test_a_header_that_can_not_be_sent_is_told(self):
        with serve(answer(headers=[("X", "\u20ac")])) as server:
            get(server.url)
            assert "UnicodeEncodeError" in str(server.errors)

    def test_an_error_amid_the_body_breaks_off_and_is_kept(self):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "9")])
            yield b"first"
            raise LookupError("lost the rest")

        with serve(app) as server:
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                get(server.url)
            assert str(server.errors).count("LookupError: lost the rest") == 1
            assert server.last.body == "first"

    def test_errors_of_threads_do_not_mix(self):
        together = threading.Barrier(10, timeout=10)

        def app(environ, start_response):
            together.wait()
            raise LookupError("at once")

        with serve(app) as server, ThreadPoolExecutor(10) as pool:
            list(pool.map(get, [server.url] * 10))
            traceback = str(server.errors)[: len(str(server.errors)) // 10]
            assert str(server.errors) == "\n".join([traceback.rstrip("\n")] * 10)

    def test_what_an_application_logs_is_kept(self):
        def app(environ, start_response):
            print("a line of the application's", file=environ["wsgi.errors"], flush=True)
            return answer()(environ, start_response)

        with serve(app) as server:
            get(server.url)
            assert str(server.errors) == "a line of the application's"


class Unlisted:
    """A store without ``__iter__``."""

    def __init__(self):
        self._store = MemoryStore()
        for name in ("get", "create", "replace", "touch", "destroy"):
            setattr(self, name, getattr(self._store, name))


class TestStores:
    def test_a_store_that_lists_no_ids_is_not_looked_at(self):
        with serve(counter(store=Unlisted())) as server:
            assert get(server.url).text == "1"
            assert server.last.after is None

    def test_a_store_of_more_than_100_is_not_looked_at(self):
        store = MemoryStore()
        for number in range(101):
            store.create(str(number), "{}", 4e9)
        with serve(counter(store=store)) as server:
            assert get(server.url).text == "1"
            assert server.last.after is None

    @pytest.mark.parametrize("error", [StoreError("away"), KeyError("a learner's own")])
    def test_a_store_that_fails_is_the_applications_to_meet(self, error, browser):
        class Failing(MemoryStore):
            is_away = False

            def get(self, session_id):
                if self.is_away:
                    raise error
                return super().get(session_id)

        store = Failing()
        with serve(counter(store=store)) as server:
            browser.get(server.url, timeout=10)
            store.is_away = True
            status = browser.get(server.url, timeout=10).status_code
            assert status == (503 if isinstance(error, StoreError) else 500)
            assert server.last.after is None
            assert server.last.decision is None


def test_redirects_and_several_cookies_are_taken_down():
    app = Bottle()

    @app.get("/")
    def go():
        reply = HTTPResponse(status=303, headers={"Location": "/there"})
        reply.set_cookie("a", "1")
        reply.set_cookie("b", "2")
        return reply

    @app.get("/there")
    def there():
        return "there"

    with serve(app) as server:
        assert get(server.url).text == "there"
        first, second = server.exchanges
        assert first.set_cookies == ["a=1", "b=2"]
        assert second.path == "/there"


def test_a_lesson_is_the_same_each_time():
    def lesson():
        clock = Clock()
        with serve(counter(now=clock)) as server, requests.Session() as browser:
            browser.get(server.url, timeout=10)
            clock.advance(3600)
            browser.get(server.url, timeout=10)
            browser.get(server.url + "/raise", timeout=10)
        return [display._repr_mimebundle_() for display in (*server.exchanges, server.errors)]

    assert lesson() == lesson()


def test_no_socket_is_left_open():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with serve(answer()) as server:
            get(server.url)
        del server
        gc.collect()
