"""What the lab shows: the same facts as text and as HTML, nothing of an attacker's as markup."""

import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
import requests

from sessionlab import (
    MemoryStore,
    Record,
    SessionMiddleware,
    Store,
    format_set_cookie,
    sign,
    signing,
    unsign,
)
from sessionlab.lab import Clock, Row, Table, anatomy, contents, fixed_ids, serve, show

SECRET = "0123456789abcdef0123456789abcdef"
ID = "G4CEJ5LwYGFUL01oBgVBMvE9k0IRMYR4"
SIGNED = "s:" + sign(ID, SECRET)
HEADER = format_set_cookie("connect.sid", SIGNED)
SENT = HEADER.split(";")[0]
SIGNATURE = SIGNED.rpartition(".")[2]

HOSTILE = [
    pytest.param("<script>alert(1)</script>", id="script"),
    pytest.param("\"'><img src=x onerror=alert(1)>", id="quotes"),
    pytest.param("a\x00b\x1b[31mc\r\nd\x7f", id="controls"),
    pytest.param("user\u202egnp.exe\u200b", id="direction of writing"),
    pytest.param("\udc80\ud83d", id="half characters"),
    pytest.param("$x^2$ and $$y$$ and \\(z\\)", id="formulas"),
    pytest.param("&amp;&lt;", id="entities"),
    pytest.param("=;=;;=", id="signs without names"),
    pytest.param("s:.;s:", id="signed nothing"),
    pytest.param("%", id="broken escape"),
    pytest.param("", id="nothing"),
    pytest.param("x" * 5000, id="long"),
]


class Cells(HTMLParser):
    """The texts of captions, headings and cells, in order."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.tags, self.attributes = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag in ("caption", "th", "td"):
            self.texts.append("")

    def handle_data(self, data):
        self.texts[-1] += data


def squeeze(text):
    return "".join(text.split())


def columns(text):
    """What stands in the columns of an aligned table, each without the breaks of its lines."""
    lines = text.split("\n")
    rule = next(line for line in lines if re.fullmatch(r"-+(  -+)*", line))
    spans = [match.span() for match in re.finditer("-+", rule)]
    return [squeeze("".join(line[a:b] for line in lines[2:])) for a, b in spans]


def assert_says_the_same(display):
    """Every fact of the HTML stands in the text."""
    bundle = display._repr_mimebundle_()
    assert bundle["text/plain"] == str(display)
    for table in display.tables():
        text = "".join([squeeze(table.caption), *columns(table.text())])
        for fact in Cells(table.html()).texts:
            assert squeeze(fact) in text
        assert max(map(len, table.text().split("\n")[1:])) <= 100


def rows(display):
    """The cells of the only table, by heading of their row."""
    (table,) = display.tables()
    return {row.cells[0]: row.cells[1:] for row in table.rows}


class TestTable:
    table = Table(
        "a caption",
        ["one", "two"],
        [Row(["first", "short"]), Row(["second", ["several", "lines"]])],
    )

    def test_the_text_is_aligned(self):
        assert str(self.table) == (
            "a caption\n\n"
            "one     two\n"
            "------  -------\n"
            "first   short\n"
            "second  several\n"
            "        lines"
        )

    def test_the_html_has_caption_and_scopes(self):
        html = self.table.html()
        assert Cells(html).tags.count("caption") == 1
        assert html.count('<th scope="col"') == 2
        assert html.count('<th scope="row"') == 2

    def test_the_html_stands_alone(self):
        found = Cells(self.table._repr_mimebundle_()["text/html"])
        assert {"style", "script", "link"}.isdisjoint(found.tags)
        assert {name for name, _ in found.attributes} == {"style", "scope"}
        for _, style in found.attributes:
            assert "var(" not in style
            assert not re.search(r"(^|;)color:", style)
            assert not re.search(r"[,(]\.\d", style), "JupyterLab drops .25, and keeps 0.25"

    def test_what_is_long_is_wrapped_and_not_cut(self):
        table = Table("long", ["a", "b", "c"], [Row(["x" * 500, "y" * 500, "some words " * 40])])
        assert_says_the_same(table)
        assert "x" * 17 not in table.html()  # JupyterLab always lets <wbr> through

    def test_a_short_word_is_not_broken_by_a_long_neighbour(self):
        text = str(Table("", ["part", "value"], [Row(["signature", "x" * 500])]))
        assert "signature  xxx" in text

    def test_many_wide_columns_still_fit(self):
        assert_says_the_same(Table("wide", list("abcdef"), [Row(["x" * 40] * 6)]))

    @pytest.mark.parametrize("text", HOSTILE)
    def test_nothing_hostile_is_markup_or_invisible(self, text):
        table = Table(text, ["a", "b"], [Row([text, [text, text]])])
        found = Cells(table.html())
        allowed = {"table", "caption", "thead", "tbody", "tr", "th", "td", "code"}
        assert set(found.tags) - {"wbr"} == allowed
        assert {name for name, _ in found.attributes} == {"style", "scope"}
        for line in (table.text() + table.html()).split("\n"):
            assert line.isprintable()
        assert_says_the_same(table)

    def test_controls_are_shown_as_escapes(self):
        assert "a\\x1b[31mb\\u202e" in str(Table("", ["a"], [Row(["a\x1b[31mb\u202e"])]))

    def test_no_formula_is_made_of_dollar_signs(self):
        html = Table("$c$", ["a", "b"], [Row(["$x$", "$y$"])]).html()
        assert re.findall(r"<code[^>]*>(\$.\$)</code>", html) == ["$c$", "$x$", "$y$"]


class TestAnatomy:
    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("Set-Cookie: " + HEADER, id="Set-Cookie header"),
            pytest.param(HEADER, id="its value"),
            pytest.param("cookie:" + SENT, id="Cookie header"),
            pytest.param(f"lang=de; {SENT}; theme=dark", id="one of several"),
            pytest.param(SENT, id="name=value"),
            pytest.param(f"connect.sid={SIGNED}", id="name=value, decoded"),
            pytest.param(SENT.partition("=")[2], id="bare value"),
            pytest.param(SIGNED, id="bare value, decoded"),
            pytest.param(f'connect.sid="{SIGNED}"', id="in quotes"),
        ],
    )
    def test_whatever_is_at_hand_is_taken_apart(self, text):
        parts = rows(anatomy(text, SECRET))
        assert parts["s:"][0] == "s:"
        assert parts["id"][0] == ID
        assert parts["signature"][0] == SIGNATURE
        assert parts["check"][0] == "fits"

    def test_id_and_signature_are_measured(self):
        parts = rows(anatomy(HEADER))
        assert "192 bits" in parts["id"][1]
        assert "43 characters" in parts["signature"][1]

    def test_what_was_sent_stands_beside_what_is_read(self):
        parts = rows(anatomy(HEADER))
        assert parts["as sent"][0].startswith("s%3A")
        assert parts["decoded"][0] == SIGNED

    def test_without_a_secret_nothing_is_checked(self):
        assert "check" not in rows(anatomy(HEADER))

    @pytest.mark.parametrize(
        "signed",
        [
            pytest.param(SIGNED.replace(ID[:4], "AAAA"), id="another id"),
            pytest.param(SIGNED[:-5], id="signature cut short"),
            pytest.param("s:" + ID, id="no signature"),
        ],
    )
    def test_a_forged_one_does_not_fit(self, signed):
        assert rows(anatomy(signed, SECRET))["check"][0] == "does not fit"

    def test_any_of_several_secrets_may_fit(self):
        assert rows(anatomy(SIGNED, ["new" * 12, SECRET]))["check"][0] == "fits"

    def test_the_secret_is_not_shown(self):
        assert SECRET not in str(anatomy(HEADER, SECRET))

    def test_every_attribute_has_its_meaning(self):
        header = (
            f"{SENT}; Domain=example.com; Path=/app; Expires=Thu, 01 Jan 2099 00:00:00 GMT; "
            "Max-Age=60; HttpOnly; Secure; Partitioned; Priority=High; SameSite=None; Sparkling"
        )
        parts = rows(anatomy(header))
        assert parts["Path"][0] == "/app"
        assert parts["Expires"][0] == "Thu, 01 Jan 2099 00:00:00 GMT"
        assert "every site" in parts["SameSite"][1]
        assert "no attribute" in parts["Sparkling"][1]
        assert all(meaning for _, meaning in parts.values())

    def test_a_cookie_without_expiry_goes_with_the_browser(self):
        assert rows(anatomy(HEADER))["Expires"] == ["(none)", "goes when the browser closes"]

    def test_a_cleared_cookie_says_so(self):
        parts = rows(anatomy(format_set_cookie("connect.sid", "", expires=0)))
        assert parts["value"][0] == "(empty)"
        assert "1970" in parts["Expires"][0]

    @pytest.mark.parametrize(
        ("text", "part", "said"),
        [
            pytest.param(None, "cookie", "there is no cookie", id="None"),
            pytest.param("", "cookie", "there is no cookie", id="empty"),
            pytest.param("user=ada", "s:", "missing", id="not signed"),
            pytest.param("a=s:" + ID, ".", "missing", id="no dot"),
            pytest.param("a=s:x.y", "signature", "1 characters", id="short signature"),
            pytest.param("a=s:x.y", "id", "1 characters", id="short id"),
        ],
    )
    def test_what_is_missing_is_said(self, text, part, said):
        assert said in rows(anatomy(text))[part][1]

    @pytest.mark.parametrize("text", HOSTILE)
    @pytest.mark.parametrize("before", ["", "a=", "a=s:", "Set-Cookie: a=b; ", "a=b; Path="])
    def test_hostile_text_is_taken_apart_too(self, text, before):
        display = anatomy(before + text, SECRET)
        assert_says_the_same(display)
        assert "<script" not in display.html()


def record(expires_at=4e9 + 86400):
    return Record('{"cookie":{},"n":1}', expires_at)


class TestContents:
    def test_a_record_is_id_data_cookie_and_end(self):
        display = contents({ID: record()}, Clock())
        assert rows(display) == {ID: ['{"n": 1}', "{}", "in 24 h"]}
        assert_says_the_same(display)

    def test_an_empty_store_says_so(self):
        assert "the store is empty" in str(contents(MemoryStore()))

    def test_a_store_that_lists_no_ids_says_so(self):
        class Unlisted:
            def get(self, session_id):
                return None

        assert "does not list its ids" in str(contents(Unlisted()))

    def test_a_text_that_is_no_session_stands_as_it_is(self):
        display = contents({ID: Record("<b>no json", 4e9 + 60)}, Clock())
        data, cookie, ends = rows(display)[ID]
        assert (data, ends) == ("<b>no json", "in 60 s")
        assert re.fullmatch(r"\(.+\)", cookie)  # why it can't be read
        assert "<b>" not in display.html()

    def test_of_many_records_100_are_shown(self):
        table = contents({str(number): record() for number in range(101)}, Clock())
        assert [len(table.rows), table.rows[-1].cells[0]] == [101, "…"]

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "has ended"),
            (1, "in 1 s"),
            (119, "in 119 s"),
            (1800, "in 30 min"),
            (86399.98, "in 24 h"),
            (14 * 86400, "in 14 days"),
        ],
    )
    def test_the_end_is_told_in_a_fitting_unit(self, seconds, text):
        display = contents({ID: record(expires_at=4e9 + seconds)}, Clock())
        assert rows(display)[ID][-1] == text


class TestExchangeDisplay:
    @pytest.fixture
    def server(self):
        def app(environ, start_response):
            session, path = environ["sessionlab.session"], environ["PATH_INFO"]
            if path == "/out":
                session.destroy()
            elif path != "/look":
                session["n"] = session.get("n", 0) + 1
            start_response("200 OK", [("Content-Type", "text/plain"), ("Vary", "Accept")])
            return [f"<b>{session.get('n')}</b>".encode()]

        self.clock = Clock()
        application = SessionMiddleware(app, secret=SECRET, genid=fixed_ids(), now=self.clock)
        with serve(application, "displays") as server:
            yield server

    def visit(self, server, *paths):
        with requests.Session() as browser:
            for path in paths:
                browser.get(server.url + path, timeout=10)
        return server.last

    def test_it_reads_from_the_request_to_the_reason(self, server):
        exchange = self.visit(server, "/")
        assert str(exchange) == FIRST_VISIT
        assert_says_the_same(exchange)

    def test_a_change_is_marked_before_and_after(self, server):
        text = str(self.visit(server, "/", "/"))
        assert re.search(r'~ G4CEJ5Lw… data +{"n": 1} +{"n": 2}', text)

    def test_a_renewal_is_told_in_seconds(self, server):
        with requests.Session() as browser:
            browser.get(server.url, timeout=10)
            self.clock.advance(100)
            browser.get(server.url + "/look", timeout=10)
        assert re.search(r'= G4CEJ5Lw… data +{"n": 1} +the same', str(server.last))
        assert re.search(r"~ G4CEJ5Lw… ends +100 s later", str(server.last))

    def test_an_end_is_marked(self, server):
        exchange = self.visit(server, "/", "/out")
        assert re.search(r'− G4CEJ5Lw… data +{"n": 1} +\(none\)', str(exchange))
        assert re.search(r"clear cookie +yes", str(exchange))

    def test_many_unchanged_records_are_counted(self, server):
        for _ in range(5):
            self.visit(server, "/")
        assert "= 4 records" not in str(server.exchanges[3])
        assert re.search(r"= 4 records +the same", str(server.exchanges[4]))

    def test_markup_in_a_body_is_shown_as_text(self, server):
        html = self.visit(server, "/")._repr_mimebundle_()["text/html"]
        assert "&lt;b&gt;1&lt;/b&gt;" in html

    def test_a_long_page_is_shown_in_part(self):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/html")])
            return [b"<p>\n" * 20]

        with serve(app, "displays") as server:
            assert "… (12 more lines)" in str(self.visit(server, "/"))

    def test_a_hostile_request_is_shown_harmlessly(self, server):
        cookie = "a=<script>alert(1)</script>$x$; connect.sid=s:\x80'\""
        requests.get(server.url + "/%3Cscript%3E?<b>", headers={"Cookie": cookie}, timeout=10)
        for display in (server.last, server.exchanges):
            assert_says_the_same(display)
            assert "<script" not in display._repr_mimebundle_()["text/html"]

    def test_repr_is_short(self, server):
        assert repr(self.visit(server, "/look?a=1")) == "<Exchange 1: GET /look?a=1 → 200 OK>"

    def test_the_table_of_all_has_a_row_each(self, server):
        self.visit(server, "/", "/look", "/out")
        assert_says_the_same(server.exchanges)
        assert str(server.exchanges) == THREE_VISITS

    def test_the_table_of_none_says_so(self, server):
        assert "no request came yet" in str(server.exchanges)


FIRST_VISIT = """\
GET / → 200 OK

message           what it says
----------------  ----------------------------------------------------------------------------------
browser → server  GET /
                  Cookie: (none)
server → browser  200 OK
                  Set-Cookie: connect.sid=s%3AG4CEJ5LwYGFUL01oBgVBMvE9k0IRMYR4.Gw79cR%2Bnc6gVjYvgtdV
                  1Q5U%2FqI%2BbRYxlnYYlF5i%2Bz1o; Path=/; HttpOnly; SameSite=Lax
                  Vary: Accept, Cookie

                  <b>1</b>

the store, before → after

key                 before  after
------------------  ------  ------------------------------------------------------------------------
+ G4CEJ5Lw… data    (none)  {"n": 1}
+ G4CEJ5Lw… cookie  (none)  {"originalMaxAge": null, "expires": null, "secure": false, "httpOnly":
                            true, "path": "/", "sameSite": "lax"}

why

part          done  reason
------------  ----  ----------------------------------------
save          yes   it is new and was written to
touch         no    it is new
set cookie    yes   the browser does not know the new id yet
clear cookie  no    this request did not destroy it"""

THREE_VISITS = """\
exchanges

#  request    Cookie                   status  Set-Cookie               changed in the store
-  ---------  -----------------------  ------  -----------------------  --------------------
1  GET /                               200     connect.sid=s:G4CEJ5Lw…  + G4CEJ5Lw… {"n": 1}
2  GET /look  connect.sid=s:G4CEJ5Lw…  200
3  GET /out   connect.sid=s:G4CEJ5Lw…  200     connect.sid=(empty)      − G4CEJ5Lw…"""


class TestShow:
    def test_a_function_stands_under_the_name_of_its_file(self):
        assert str(show(sign)) == "# sessionlab/signing.py\n" + inspect.getsource(sign).rstrip("\n")

    def test_it_is_highlighted_as_python(self):
        bundle = show(sign)._repr_mimebundle_()
        assert bundle == {
            "text/plain": str(show(sign)),
            "text/markdown": f"```python\n{show(sign)}\n```",
        }

    def test_a_method_is_dedented(self):
        assert "\ndef load(self" in str(show(SessionMiddleware.load))

    def test_class_module_property_and_cached_function_are_shown(self):
        assert "\nclass Store(Protocol)" in str(show(Store))
        assert str(show(signing)).startswith('# sessionlab/signing.py\n"""')
        from sessionlab import Session, decide

        assert "\n@property\ndef id(self)" in str(show(Session.id))
        assert "def decide(" in str(show(decide))

    def test_one_file_is_named_once(self):
        text = str(show(sign, unsign, MemoryStore))
        assert re.findall("^# .*", text, re.MULTILINE) == [
            "# sessionlab/signing.py",
            "# sessionlab/stores/memory.py",
        ]

    @pytest.mark.parametrize("thing", [re.compile, HTMLParser, re, pytest, assert_says_the_same])
    def test_what_is_not_ours_is_refused(self, thing):
        with pytest.raises(ValueError, match="not from sessionlab"):
            show(thing)

    @pytest.mark.parametrize("thing", [1, "sign", None, MemoryStore(), len])
    def test_what_has_no_source_is_refused(self, thing):
        with pytest.raises((TypeError, ValueError), match="sessionlab"):
            show(thing)

    def test_nothing_is_refused(self):
        with pytest.raises(TypeError, match="show"):
            show()


class TestRepeatable:
    def test_ids_look_real_and_differ(self):
        genid = fixed_ids()
        ids = [genid() for _ in range(1000)]
        assert len(set(ids)) == 1000
        assert all(re.fullmatch("[A-Za-z0-9_-]{32}", text) for text in ids)

    def test_a_seed_gives_the_same_ids_each_time(self):
        assert fixed_ids("a")() == fixed_ids("a")()
        assert fixed_ids("a")() != fixed_ids("b")()

    def test_a_clock_moves_when_told(self):
        clock = Clock(start=10)
        assert clock() == clock() == 10
        clock.advance(2.5)
        assert clock() == 12.5

    def test_a_clock_starts_after_the_browsers(self):
        """Or ``requests`` would take a cookie with an age for one that has expired."""
        header = format_set_cookie("a", "b", expires=Clock()() + 60)

        def app(environ, start_response):
            start_response("200 OK", [("Set-Cookie", header)])
            return [environ.get("HTTP_COOKIE", "").encode()]

        with serve(app, "displays") as server, requests.Session() as browser:
            browser.get(server.url, timeout=10)
            assert browser.get(server.url, timeout=10).text == "a=b"


def test_the_lab_needs_no_ipython():
    code = "import sys, sessionlab.lab; print('IPython' in sys.modules, 'requests' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False False\n"
