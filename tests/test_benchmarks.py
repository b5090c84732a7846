"""The table of ``benchmarks/peers.py`` tells right from wrong, without any of the peers.

Each of its rows says yes of one library here and no of another: sessionlab, and two that are wrong
on purpose.
"""

import argparse
import base64
import json
import pickle
import secrets
import threading
from contextlib import suppress
from http.cookies import SimpleCookie
from typing import ClassVar

import pytest
from benchmarks import contestants, throughput
from benchmarks.contestants import SECRET, Peer, Sessionlab, WSGIPeer, send_asgi
from benchmarks.drawing import bars
from benchmarks.peers import (
    ROWS,
    Finding,
    ask,
    claim,
    differences,
    experiment,
    installed,
    paragraphs,
    run,
)
from benchmarks.report import FIGURES, README, Spread, as_markdown, as_text, read_part, write_part

from sessionlab import BadSignature, SessionGone, sign, unsign


class Planted(Peer):
    @classmethod
    def version(cls):
        return "0"


class TextValues(dict):
    """Keeps JSON, so that a change to what was taken out is a change to a copy."""

    def __getitem__(self, key):
        return json.loads(super().__getitem__(key))

    def __setitem__(self, key, value):
        super().__setitem__(key, json.dumps(value))

    def get(self, key, default=None):
        return self[key] if key in self else default  # noqa: SIM401


class Naive(Planted, WSGIPeer):
    """All that a session middleware should not do."""

    name = package = "naive"
    store = "a dict"

    def __init__(self, folder):
        super().__init__(folder)
        self.records, self.is_down = {}, False
        self.app = self.middleware

    def middleware(self, environ, start_response):
        cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("id")
        sent = None if cookie is None else cookie.value
        is_found = sent is not None and not self.is_down
        environ["id"] = sent if is_found else secrets.token_hex(8)
        environ["session"] = TextValues(self.records.get(sent, {}) if is_found else {})
        body = self.serve(environ["PATH_INFO"], environ)
        text = "id=x; Max-Age=0" if "logout" in environ else f"id={environ['id']}"
        start_response("200 OK", [("Set-Cookie", text)])
        yield from (body[:1], body[1:])
        if not self.is_down:
            self.records[environ["id"]] = dict(environ["session"])

    def session(self, request):
        return request["session"]

    def logout(self, request):
        request["logout"] = True

    def login(self, request):
        request["id"] = secrets.token_hex(8)

    def break_store(self):
        self.is_down = True

    def mend_store(self):
        self.is_down = False


class Pickled(Planted):
    """An ASGI middleware that keeps all in the cookie; Secure, and no more."""

    name = package = "pickled"
    store = "none"
    has_store = False

    async def app(self, scope, receive, send):
        cookie = SimpleCookie(dict(scope["headers"])[b"cookie"].decode()).get("data")
        scope["session"] = {}
        with suppress(BadSignature, AttributeError):
            data = base64.urlsafe_b64decode(unsign(cookie.value, SECRET))
            scope["session"] = pickle.loads(data)  # noqa: S301
        body = self.serve(scope["path"], scope)
        text = base64.urlsafe_b64encode(pickle.dumps(scope["session"])).decode()
        cookie = f'data="{sign(text, SECRET)}"; Secure'
        headers = [(b"set-cookie", cookie.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def send(self, request, on_first_byte):
        return send_asgi(self.app, request, on_first_byte)

    def session(self, request):
        return request["session"]


class Locking(Naive):
    """Lets one request at a time in."""

    name = package = "locking"

    def __init__(self, folder):
        super().__init__(folder)
        self.lock = threading.Lock()
        self.app = self.one_at_a_time

    def one_at_a_time(self, environ, start_response):
        with self.lock:
            return list(self.middleware(environ, start_response))


class Raising(Naive):
    name = package = "raising"

    def serve(self, path, request):
        raise SessionGone("planted")


class Missing(Planted):
    name = package = "missing"

    def __init__(self, folder):
        raise ImportError("No module named 'missing'")


# What a peer of today does, in the order of ROWS: sessionlab, Naive, Pickled.
EXPECTED = {
    "keeps_both_changes": "yes no no",
    "reads_undo_nothing": "yes no no",
    "counts_exactly": "yes no no",
    "logout_ends_the_cookie": "yes no no",
    "logout_is_final": "yes no no",
    "login_ends_the_old_id": "yes no —",
    "refuses_a_made_up_id": "yes no yes",
    "refuses_an_ended_id": "yes no yes",
    "tells_of_a_failed_save": "yes no yes",
    "outage_logs_nobody_out": "yes no yes",
    "saves_before_the_first_byte": "yes no yes",
    "finds_its_cookie_among_odd_ones": "yes no no",
    "keeps_a_nested_change": "yes no yes",
    "varies_with_the_cookie": "yes no no",
    "is_hidden_from_scripts": "yes no no",
    "is_kept_from_other_sites": "yes no no",
    "is_secure_over_https": "yes no yes",
    "keeps_dates": "no no yes",
    "keeps_naive_dates": "no no yes",
    "serves_asgi": "no no yes",
    "needs_no_storage": "no no yes",
}


@pytest.fixture(scope="module")
def table():
    return run([Sessionlab, Naive, Pickled])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_a_row_tells_a_good_library_from_a_bad_one(row, table):
    answers = " ".join(map(str, table[claim(row)]))
    assert answers == EXPECTED[row.__name__], table[claim(row)]
    assert {"yes", "no"} <= set(answers.split())


def test_the_status_of_a_refused_request_is_told(table):
    notes = {finding.note for findings in table.values() for finding in findings}
    assert {"the slow request is answered 409", "answered 503", "answered 200"} <= notes


def test_a_library_that_lets_requests_wait_is_told_apart_from_one_that_loses_changes(monkeypatch):
    monkeypatch.setattr(contestants, "_LONGEST_WAIT", 0.05)
    found = experiment(ROWS[0], Locking)
    assert (str(found), found.note) == (
        "?",
        "can't tell: TimeoutError: requests of one session wait for each other",
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_an_experiment_that_does_not_come_about_tells_nothing(row):
    found = experiment(row, Raising)
    if row.__name__ == "serves_asgi":
        assert str(found) == "no"  # it is for WSGI, raising or not
    else:
        assert (str(found), "planted" in found.note) == ("?", True)


def test_a_library_that_is_not_there_is_left_out_by_name(capsys):
    assert list(installed([Missing, Naive])) == [Naive]
    assert capsys.readouterr().out == "missing is left out: No module named 'missing'\n"


FOUND = {
    "It works": [Finding(True), Finding(False, "it broke")],
    "It runs": [Finding(None)] * 2,
}


def test_both_forms_of_the_table_say_the_same():
    versions = "Versions. naive 0, a dict; pickled 0, none. "
    text = paragraphs(FOUND, [Naive, Pickled], as_text)
    assert text[:-1] == [
        "          naive  pickled\nIt works  yes    no [1]\nIt runs   —      —",
        "1. it broke",
    ]
    page = paragraphs(FOUND, [Naive, Pickled], as_markdown)
    assert page[:-1] == [
        "|  | naive | pickled |\n| --- | --- | --- |\n"
        "| It works | yes | no [1] |\n| It runs | — | — |",
        "1. it broke",
    ]
    assert text[-1] == page[-1]
    assert text[-1].startswith(versions)


class Settable(Naive):
    """Keeps a date where it is told to."""

    otherwise: ClassVar = {"with pickle=True": {"pickles": True}}

    def __init__(self, folder, pickles=False):
        super().__init__(folder)
        self.do_date = (lambda request: None) if not pickles else self.do_fill
        self.do_read = lambda request: {"name": "Ada", "is_date": pickles}


def test_a_setting_that_turns_an_answer_round_is_noted():
    rows = {row.__name__: row for row in ROWS}
    assert ask(rows["keeps_dates"], Settable) == Finding(False, "yes with pickle=True")
    assert ask(rows["logout_is_final"], Settable) == experiment(rows["logout_is_final"], Settable)


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- peers -->\n...\n<!-- end of peers -->\nafter\n", "utf-8")
    return path


def test_a_table_that_was_written_to_a_page_is_found_there(page):
    write_part(page, "peers", paragraphs(FOUND, [Naive, Pickled], as_markdown))
    assert differences(FOUND, [Naive, Pickled], page) == []
    text = page.read_text("utf-8")
    assert text.startswith("before\n<!-- peers -->\n|  | naive |")
    assert text.endswith("\n<!-- end of peers -->\nafter\n")


def test_an_answer_that_the_page_does_not_have_is_told(page):
    write_part(page, "peers", paragraphs(FOUND, [Naive, Pickled], as_markdown))
    now = {**FOUND, "It runs": [Finding(True), Finding(None)]}
    assert differences(now, [Naive, Pickled], page) == ["| It runs | yes | — |"]


def test_a_page_without_the_part_is_refused(page):
    with pytest.raises(ValueError, match="no part between <!-- cost --> and <!-- end of cost -->"):
        read_part(page, "cost")


def test_the_readme_has_the_rows_that_are_asked():
    lines = read_part(README, "peers").splitlines()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    assert rows[2:] == [claim(row) for row in ROWS]
    assert not [line for line in lines if "?" in line]


def test_the_pages_have_the_figures_that_the_benchmarks_write():
    for page in (README, FIGURES):
        assert "| first read |" in read_part(page, "cost")
        assert "| floor |" in read_part(page, "cost")
    assert "| Bottle, sessionlab |" in read_part(FIGURES, "throughput")
    assert "| memory |" in read_part(FIGURES, "growth")


def test_a_spread_is_the_median_and_the_quartiles():
    assert Spread.of([1, 2, 3, 4, 100]).text() == "3.0 (2.0, 4.0)"
    assert Spread.of([7]).text(0) == "7 (7, 7)"


def test_a_bar_has_its_number_and_a_line_between_the_quartiles():
    picture = bars("Cost", {"read": {"ours": Spread(1, 2, 4), "theirs": Spread(5, 6, 7)}}, "ours")
    scale = (640 - 150) / 7
    assert f'width="{2 * scale:.1f}"' in picture
    assert f'd="M{150 + scale:.1f} 79h{3 * scale:.1f}"' in picture
    assert ">2.0</text>" in picture


RATES = {
    (name, kind): [rate, 2 * rate, 4 * rate]
    for name, rate in {throughput.BARE: 100, throughput.OURS: 80, throughput.BEAKER: 160}.items()
    for kind in throughput.KINDS
}


def test_a_ratio_is_that_of_one_round():
    _, parts = throughput.tables(RATES)
    found = {line[0]: line[1] for line in parts}
    assert found["Bottle, sessionlab : Bottle"] == "0.80 (0.80, 0.80)"
    assert found["Bottle, sessionlab : Bottle, Beaker"] == "0.50 (0.50, 0.50)"


def options(client=None, is_quick=False):
    return argparse.Namespace(client=client, quick=is_quick)


def test_without_wrk_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="apt-get install wrk"):
        throughput.find_client(options())
    for choice in (options(client="python"), options(is_quick=True)):
        assert throughput.find_client(choice)[0] == "a client in Python"


def test_express_is_left_out_by_name_where_there_is_no_node(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert throughput.contestants() == [throughput.BARE, throughput.OURS, throughput.BEAKER]
    assert capsys.readouterr().out.startswith("Express is left out: no Node")
