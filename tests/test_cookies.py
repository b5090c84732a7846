"""What is read from ``Cookie`` and written to ``Set-Cookie``.

Golden texts: npm's cookie 0.7.2 and express-session 1.19.
"""

import copy
import json
import pickle
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionlab import CookieOptions, SessionCookie, format_set_cookie, parse_cookies
from sessionlab.cookies import path_matches

# Reading.

READ_AS_NPM_DOES = [
    pytest.param("", [], id="empty header"),
    pytest.param("a=1", [("a", "1")], id="one cookie"),
    pytest.param("a=1; b=2", [("a", "1"), ("b", "2")], id="two cookies"),
    pytest.param("a=1;b=2", [("a", "1"), ("b", "2")], id="no space between"),
    pytest.param(
        "  a  =  1  ; \t b\t=\t2\t", [("a", "1"), ("b", "2")], id="spaces and tabs around"
    ),
    pytest.param("A=1; a=2", [("A", "1"), ("a", "2")], id="case of the name counts"),
    pytest.param("a=", [("a", "")], id="empty value"),
    pytest.param("a=b=c", [("a", "b=c")], id="equals sign in the value"),
    pytest.param("a==", [("a", "=")], id="equals sign as the value"),
    pytest.param("a", [], id="no equals sign"),
    pytest.param(";", [], id="a semicolon alone"),
    pytest.param(";a=1", [("a", "1")], id="semicolon first"),
    pytest.param("a=1;;;b=2", [("a", "1"), ("b", "2")], id="semicolons in a row"),
    pytest.param("a;b;c=1", [("c", "1")], id="junk before"),
    pytest.param("a=1; b", [("a", "1")], id="junk after"),
    pytest.param("a[b]=1", [("a[b]", "1")], id="brackets in the name"),
    pytest.param("a b=1", [("a b", "1")], id="space in the name"),
    pytest.param("a=1,b=2", [("a", "1,b=2")], id="comma"),
    pytest.param("%61=1", [("%61", "1")], id="the name is not decoded"),
    pytest.param("\xa0a=1", [("\xa0a", "1")], id="U+00A0 belongs to the name"),
    pytest.param("\x0ba=1", [("\x0ba", "1")], id="vertical tab belongs to the name"),
    pytest.param("a=\xa01\xa0", [("a", "\xa01\xa0")], id="U+00A0 belongs to the value"),
    pytest.param("a=1\r\n", [("a", "1\r\n")], id="line end belongs to the value"),
    pytest.param('a="1"', [("a", "1")], id="quotes removed"),
    pytest.param('a= "1" ', [("a", "1")], id="quotes removed between spaces"),
    pytest.param('a=" 1 "', [("a", " 1 ")], id="spaces in quotes kept"),
    pytest.param('a=""', [("a", "")], id="nothing in quotes"),
    pytest.param('a="""', [("a", '"')], id="a quote in quotes"),
    pytest.param('a="1', [("a", '"1')], id="open quote kept"),
    pytest.param('a=1"', [("a", '1"')], id="closing quote kept"),
    pytest.param('a="1;2"', [("a", '"1')], id="semicolon ends a quoted value"),
    pytest.param(r'a="\073"', [("a", r"\073")], id="backslash means nothing"),
    pytest.param("a=%41", [("a", "A")], id="escape"),
    pytest.param('a="%41"', [("a", "A")], id="escape in quotes"),
    pytest.param("a=%22x%22", [("a", '"x"')], id="escaped quotes kept"),
    pytest.param("a=%3B", [("a", ";")], id="escaped semicolon"),
    pytest.param("a=%0D%0A", [("a", "\r\n")], id="escaped line end"),
    pytest.param("a=%2541", [("a", "%41")], id="decoded once"),
    pytest.param("a=+", [("a", "+")], id="a plus is no space"),
    pytest.param("a=%c3%a9", [("a", "é")], id="lower-case escape"),
    pytest.param("a=%F0%9F%8D%AA", [("a", "🍪")], id="escape of four bytes"),
    pytest.param("a=%", [("a", "%")], id="percent alone"),
    pytest.param("a=%4", [("a", "%4")], id="escape cut short"),
    pytest.param("a=%zz", [("a", "%zz")], id="escape without hex digits"),
    pytest.param("a=%u0041", [("a", "%u0041")], id="escape of another kind"),
    pytest.param("a=%41%zz", [("a", "%41%zz")], id="one bad escape leaves all as they are"),
    pytest.param("a=%C3", [("a", "%C3")], id="UTF-8 cut short"),
    pytest.param("a=%C0%AF", [("a", "%C0%AF")], id="UTF-8 too long"),
    pytest.param("a=%ED%A0%80", [("a", "%ED%A0%80")], id="UTF-8 of half a surrogate pair"),
    pytest.param("a=%F4%90%80%80", [("a", "%F4%90%80%80")], id="UTF-8 beyond Unicode"),
    pytest.param("a=\xe9", [("a", "\xe9")], id="raw byte beyond ASCII"),
    pytest.param("a=\xe9%41", [("a", "\xe9A")], id="raw byte and an escape"),
    pytest.param("a=\xc3\xa9%C3%A9", [("a", "\xc3\xa9é")], id="raw bytes are not taken as UTF-8"),
]

READ_UNLIKE_NPM = [
    pytest.param("a=1; b=2; a=3", [("a", "1"), ("b", "2"), ("a", "3")], id="duplicates are kept"),
    pytest.param("=x; a=1", [("a", "1")], id="a cookie without a name is passed over"),
    pytest.param('a="', [("a", '"')], id="one quote is no pair of quotes"),
    pytest.param("__proto__=1", [("__proto__", "1")], id="no name is special"),
]


@pytest.mark.parametrize(("header", "pairs"), READ_AS_NPM_DOES)
def test_header_is_read_as_express_reads_it(header, pairs):
    assert parse_cookies(header) == pairs


@pytest.mark.parametrize(("header", "pairs"), READ_UNLIKE_NPM)
def test_header_is_read_otherwise_than_by_express_on_purpose(header, pairs):
    assert parse_cookies(header) == pairs


@given(st.text(st.sampled_from('ab=;"% \t4\xa0\xe9,')), st.sampled_from(["a", "b", "ab", "", "="]))
def test_asking_for_one_name_gives_the_cookies_of_that_name(header, name):
    assert parse_cookies(header, only=name) == [
        pair for pair in parse_cookies(header) if pair[0] == name
    ]


@given(st.text(st.characters(max_codepoint=255)))
def test_reading_never_raises(header):
    assert all(name for name, _ in parse_cookies(header))


# Paths.


@pytest.mark.parametrize(
    ("request_path", "cookie_path", "is_sent"),
    [
        pytest.param("/", "/", True, id="root"),
        pytest.param("/foo", "/", True, id="all is below the root"),
        pytest.param("/foo", "/foo", True, id="the same path"),
        pytest.param("/foo/", "/foo", True, id="the same path and a slash"),
        pytest.param("/foo/bar", "/foo", True, id="below"),
        pytest.param("/foo/bar", "/foo/", True, id="below a path that ends in a slash"),
        pytest.param("/foo/", "/foo/", True, id="the same path, both with a slash"),
        pytest.param("/foo", "/foo/", False, id="slash missing"),
        pytest.param("/foobar", "/foo", False, id="a longer segment"),
        pytest.param("/fo", "/foo", False, id="a shorter segment"),
        pytest.param("/", "/foo", False, id="above"),
        pytest.param("/bar/foo", "/foo", False, id="elsewhere"),
        pytest.param("/FOO", "/foo", False, id="another case"),
        pytest.param("", "/", False, id="no path"),
        pytest.param("/foo?bar", "/foo", False, id="question mark in a segment"),
    ],
)
def test_cookie_is_sent_to_its_path_and_below(request_path, cookie_path, is_sent):
    assert path_matches(request_path, cookie_path) is is_sent


# Options.

REFUSED_VALUES = [
    pytest.param({"path": ""}, id="empty path"),
    pytest.param({"path": "app"}, id="path without a slash"),
    pytest.param({"path": "/a;b"}, id="path with a semicolon"),
    pytest.param({"path": "/a\n"}, id="path with a newline at its end"),
    pytest.param({"path": "/a\r\nSet-Cookie: b=1"}, id="path with a header in it"),
    pytest.param({"path": "/a\x00"}, id="path with NUL"),
    pytest.param({"path": "/a\x7f"}, id="path with DEL"),
    pytest.param({"path": "/é"}, id="path beyond ASCII"),
    pytest.param({"path": None}, id="no path"),
    pytest.param({"path": b"/"}, id="path of bytes"),
    pytest.param({"domain": ""}, id="empty domain"),
    pytest.param({"domain": "."}, id="domain of a dot"),
    pytest.param({"domain": "example.com."}, id="domain with a dot at its end"),
    pytest.param({"domain": "example..com"}, id="domain with an empty label"),
    pytest.param({"domain": "-example.com"}, id="label that starts with a hyphen"),
    pytest.param({"domain": "example-.com"}, id="label that ends with a hyphen"),
    pytest.param({"domain": "example.com:8080"}, id="domain with a port"),
    pytest.param({"domain": "https://example.com"}, id="domain with a scheme"),
    pytest.param({"domain": "example.com/app"}, id="domain with a path"),
    pytest.param({"domain": "a.com; Path=/"}, id="domain with an attribute in it"),
    pytest.param({"domain": "example.com\n"}, id="domain with a newline at its end"),
    pytest.param({"domain": "exämple.com"}, id="domain beyond ASCII"),
    pytest.param({"max_age": 0}, id="no age"),
    pytest.param({"max_age": -1}, id="negative age"),
    pytest.param({"max_age": timedelta(seconds=-1)}, id="negative timedelta"),
    pytest.param({"max_age": float("nan")}, id="NaN as age"),
    pytest.param({"max_age": float("inf")}, id="endless age"),
    pytest.param({"max_age": 10**400}, id="age with 400 digits"),
    pytest.param({"max_age": timedelta.max}, id="longest timedelta"),
    pytest.param({"http_only": 1}, id="http_only as a number"),
    pytest.param({"http_only": None}, id="no http_only"),
    pytest.param({"secure": 1}, id="secure as a number"),
    pytest.param({"secure": "true"}, id="secure as text"),
    pytest.param({"secure": None}, id="no secure"),
    pytest.param({"same_site": "Lax"}, id="same_site with a capital"),
    pytest.param({"same_site": True}, id="same_site as in JavaScript"),
    pytest.param({"same_site": "any"}, id="unknown same_site"),
    pytest.param({"partitioned": "auto"}, id="unknown partitioned"),
    pytest.param({"priority": "urgent"}, id="unknown priority"),
    pytest.param({"same_site": "none"}, id="SameSite=None that may lack Secure"),
    pytest.param({"same_site": "none", "secure": False}, id="SameSite=None without Secure"),
    pytest.param({"partitioned": True}, id="Partitioned that may lack Secure"),
    pytest.param({"partitioned": True, "secure": False}, id="Partitioned without Secure"),
]


@pytest.mark.parametrize("options", REFUSED_VALUES)
def test_option_that_browsers_refuse_is_refused_by_name(options):
    first = next(iter(options))
    with pytest.raises(ValueError, match=rf"^{first}=.*: .*write "):
        CookieOptions(**options)


@pytest.mark.parametrize(
    "max_age",
    [
        pytest.param("60", id="text"),
        pytest.param(True, id="True"),
        pytest.param([60], id="list"),
        pytest.param(1j, id="complex number"),
    ],
)
def test_age_that_is_no_number_is_a_type_error(max_age):
    with pytest.raises(TypeError, match=r"^max_age=.*: write "):
        CookieOptions(max_age=max_age)


@pytest.mark.parametrize(
    ("max_age", "seconds"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(60, 60, id="seconds"),
        pytest.param(0.5, 0.5, id="half a second"),
        pytest.param(timedelta(minutes=1), 60, id="timedelta"),
        pytest.param(100 * 365 * 86400, 100 * 365 * 86400, id="a century"),
    ],
)
def test_age_is_kept_in_seconds(max_age, seconds):
    assert CookieOptions(max_age=max_age).max_age == seconds


def test_options_can_not_be_changed_behind_a_session():
    with pytest.raises(AttributeError):
        CookieOptions().path = "/app"


@pytest.mark.parametrize(
    ("options", "is_secure", "secure", "same_site"),
    [
        pytest.param({}, True, True, "lax", id="Secure by itself on https"),
        pytest.param({}, False, False, "lax", id="not Secure by itself on http"),
        pytest.param({"secure": True}, False, True, "lax", id="Secure on http if so told"),
        pytest.param({"secure": False}, True, False, "lax", id="not Secure on https if so told"),
        pytest.param({"same_site": "auto"}, True, True, "none", id="None by itself on https"),
        pytest.param({"same_site": "auto"}, False, False, "lax", id="Lax by itself on http"),
        pytest.param(
            {"same_site": "auto", "secure": False}, True, False, "lax", id="Lax without Secure"
        ),
        pytest.param(
            {"same_site": "auto", "secure": True}, False, True, "none", id="None with Secure"
        ),
        pytest.param({"same_site": None}, True, True, None, id="no SameSite if so told"),
    ],
)
def test_auto_is_decided_by_the_request(options, is_secure, secure, same_site):
    resolved = CookieOptions(**options).resolve(is_secure)
    assert (resolved.secure, resolved.same_site) == (secure, same_site)


# Writing.

SIGNED = "s:hello.iIXxlXK6OkdlHG1oft5n8U3+dW3LoVWiR1Cm8kZ1QjA"
WRITTEN = "connect.sid=s%3Ahello.iIXxlXK6OkdlHG1oft5n8U3%2BdW3LoVWiR1Cm8kZ1QjA; "
EVERYTHING = CookieOptions(
    domain="example.com",
    path="/app",
    max_age=3600,
    secure=True,
    partitioned=True,
    priority="high",
    same_site="none",
)
PLAIN = CookieOptions(secure=False, same_site=None)  # what Express starts with


@pytest.mark.parametrize(
    ("options", "expires", "attributes"),
    [
        pytest.param(PLAIN, None, "Path=/; HttpOnly", id="Express's own"),
        pytest.param(PLAIN.replace(http_only=False), None, "Path=/", id="for scripts too"),
        pytest.param(PLAIN.replace(path="/app"), None, "Path=/app; HttpOnly", id="path"),
        pytest.param(
            PLAIN.replace(path="/a%20b,c"), None, "Path=/a%20b,c; HttpOnly", id="odd path"
        ),
        pytest.param(
            PLAIN.replace(domain="example.com"),
            None,
            "Domain=example.com; Path=/; HttpOnly",
            id="domain",
        ),
        pytest.param(
            PLAIN.replace(domain=".Example.com"),
            None,
            "Domain=.Example.com; Path=/; HttpOnly",
            id="domain with a dot in front",
        ),
        pytest.param(
            PLAIN,
            1700000060,
            "Path=/; Expires=Tue, 14 Nov 2023 22:14:20 GMT; HttpOnly",
            id="expiry",
        ),
        pytest.param(
            PLAIN,
            951827696.999,
            "Path=/; Expires=Tue, 29 Feb 2000 12:34:56 GMT; HttpOnly",
            id="expiry with a fraction",
        ),
        pytest.param(
            PLAIN,
            0,
            "Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly",
            id="expiry at the epoch",
        ),
        pytest.param(PLAIN.replace(secure=True), None, "Path=/; HttpOnly; Secure", id="https only"),
        pytest.param(
            PLAIN.replace(secure=True, partitioned=True),
            None,
            "Path=/; HttpOnly; Secure; Partitioned",
            id="partitioned",
        ),
        pytest.param(
            PLAIN.replace(priority="low"),
            None,
            "Path=/; HttpOnly; Priority=Low",
            id="low priority",
        ),
        pytest.param(
            PLAIN.replace(priority="medium"),
            None,
            "Path=/; HttpOnly; Priority=Medium",
            id="medium priority",
        ),
        pytest.param(
            PLAIN.replace(priority="high"),
            None,
            "Path=/; HttpOnly; Priority=High",
            id="high priority",
        ),
        pytest.param(
            PLAIN.replace(same_site="lax"), None, "Path=/; HttpOnly; SameSite=Lax", id="lax"
        ),
        pytest.param(
            PLAIN.replace(same_site="strict"),
            None,
            "Path=/; HttpOnly; SameSite=Strict",
            id="strict",
        ),
        pytest.param(
            PLAIN.replace(secure=True, same_site="none"),
            None,
            "Path=/; HttpOnly; Secure; SameSite=None",
            id="none",
        ),
        pytest.param(
            EVERYTHING,
            1700003600,
            "Domain=example.com; Path=/app; Expires=Tue, 14 Nov 2023 23:13:20 GMT; HttpOnly; "
            "Secure; Partitioned; Priority=High; SameSite=None",
            id="everything",
        ),
    ],
)
def test_cookie_is_written_as_express_writes_it(options, expires, attributes):
    text = format_set_cookie("connect.sid", SIGNED, options, expires=expires)
    assert text == WRITTEN + attributes


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("AZaz09-_.!~*'()", "AZaz09-_.!~*'()", id="what is kept"),
        pytest.param("s:Az09-_.b+c/d", "s%3AAz09-_.b%2Bc%2Fd", id="what our cookies hold"),
        pytest.param("s:a+b/c%2F", "s%3Aa%2Bb%2Fc%252F", id="an escape is escaped"),
        pytest.param(' "%,;\\', "%20%22%25%2C%3B%5C", id="what a cookie can't hold"),
        pytest.param("é☕🍪", "%C3%A9%E2%98%95%F0%9F%8D%AA", id="beyond ASCII"),
        pytest.param("\x00\x1f\x7f", "%00%1F%7F", id="control characters"),
        pytest.param(
            "a=b&c/d+e:f@g?h#i[j]{k}|l^m`n<o>p$q",
            "a%3Db%26c%2Fd%2Be%3Af%40g%3Fh%23i%5Bj%5D%7Bk%7D%7Cl%5Em%60n%3Co%3Ep%24q",
            id="punctuation",
        ),
    ],
)
def test_value_is_escaped_as_javascript_escapes_it(value, written):
    assert format_set_cookie("n", value, PLAIN) == f"n={written}; Path=/; HttpOnly"


@given(st.text(max_size=300))
def test_any_value_is_read_as_it_was_written(value):
    pair, _, _ = format_set_cookie("n", value).partition(";")
    assert parse_cookies(pair) == [("n", value)]


def test_name_may_hold_whatever_a_token_may():
    name = "!#$%&'*+-.^_`|~"
    assert format_set_cookie(name, "v", PLAIN) == f"{name}=v; Path=/; HttpOnly"


def test_defaults_are_safe():
    assert format_set_cookie("n", "v", is_secure=True) == (
        "n=v; Path=/; HttpOnly; Secure; SameSite=Lax"
    )


def test_expiry_follows_from_the_age_and_the_clock():
    earliest = int(time.time()) + 60
    _, _, after = format_set_cookie("n", "v", CookieOptions(max_age=60)).partition("Expires=")
    written = parsedate_to_datetime(after.partition(";")[0]).timestamp()
    assert earliest <= written <= time.time() + 60


@pytest.mark.parametrize(
    "name", ["", "a b", "a=b", "a;b", "a,b", "a\n", "é", "a\x00", '"a"', "a[b]"]
)
def test_name_that_is_no_token_is_refused(name):
    with pytest.raises(ValueError, match=r"^name=.*: write "):
        format_set_cookie(name, "v")


HTTPS = CookieOptions(secure=True)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("__Secure-sid", PLAIN, id="__Secure- without Secure"),
        pytest.param("__Secure-sid", CookieOptions(), id="__Secure- on http"),
        pytest.param("__Host-sid", PLAIN, id="__Host- without Secure"),
        pytest.param("__Host-sid", CookieOptions(), id="__Host- on http"),
        pytest.param("__Host-sid", HTTPS.replace(path="/app"), id="__Host- with a path"),
        pytest.param("__Host-sid", HTTPS.replace(domain="example.com"), id="__Host- with a domain"),
        pytest.param("__HOST-sid", HTTPS.replace(path="/app"), id="__HOST- in capitals"),
        pytest.param("__secure-sid", PLAIN, id="__secure- in small letters"),
    ],
)
def test_broken_rule_of_a_name_prefix_is_refused(name, options):
    with pytest.raises(ValueError, match=r"^name="):
        format_set_cookie(name, "v", options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("__Host-sid", HTTPS, id="__Host-"),
        pytest.param("__Secure-sid", HTTPS, id="__Secure-"),
        pytest.param("__Secure-sid", EVERYTHING, id="__Secure- with path and domain"),
        pytest.param("__Host-sid", CookieOptions(), id="__Host- that is Secure by itself"),
        pytest.param("__Hostess", PLAIN, id="a name that only starts alike"),
    ],
)
def test_kept_rule_of_a_name_prefix_is_accepted(name, options):
    assert format_set_cookie(name, "v", options, is_secure=True).startswith(f"{name}=v; ")


def test_cookie_of_4096_bytes_is_written():
    rest = len(format_set_cookie("n", ""))
    assert len(format_set_cookie("n", "x" * (4096 - rest))) == 4096


def test_cookie_of_more_than_4096_bytes_is_refused():
    rest = len(format_set_cookie("n", ""))
    with pytest.raises(ValueError, match="4097 bytes"):
        format_set_cookie("n", "x" * (4097 - rest))


def test_size_counts_the_value_as_it_is_escaped():
    with pytest.raises(ValueError, match="bytes"):
        format_set_cookie("n", "é" * 700)


# The cookie of one session.


class Clock:
    now = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_cookie_without_an_age_goes_with_the_browser(clock):
    cookie = SessionCookie(now=clock)
    assert (cookie.max_age, cookie.expires, cookie.original_max_age) == (None, None, None)


def test_age_is_what_remains_of_it(clock):
    cookie = SessionCookie(CookieOptions(max_age=60), clock)
    clock.now += 20
    assert (cookie.max_age, cookie.original_max_age) == (40, 60)


def test_expiry_stays_while_time_passes(clock):
    cookie = SessionCookie(CookieOptions(max_age=60), clock)
    clock.now += 20
    assert cookie.expires == 1_700_000_060


def test_touch_puts_the_age_back(clock):
    cookie = SessionCookie(CookieOptions(max_age=60), clock)
    clock.now += 20
    cookie.touch()
    assert (cookie.max_age, cookie.expires) == (60, 1_700_000_080)


def test_touch_leaves_a_cookie_without_an_age_as_it_is(clock):
    cookie = SessionCookie(now=clock)
    cookie.touch()
    assert cookie.expires is None


@pytest.mark.parametrize("age", [30, timedelta(seconds=30)])
def test_new_age_starts_now(clock, age):
    cookie = SessionCookie(CookieOptions(max_age=60), clock)
    clock.now += 20
    cookie.max_age = age
    assert (cookie.max_age, cookie.original_max_age, cookie.expires) == (30, 30, 1_700_000_050)


def test_age_can_be_taken_away(clock):
    cookie = SessionCookie(CookieOptions(max_age=60), clock)
    cookie.max_age = None
    assert (cookie.max_age, cookie.expires, cookie.original_max_age) == (None, None, None)


def test_new_expiry_is_a_new_age(clock):
    cookie = SessionCookie(now=clock)
    cookie.expires = clock() + 90
    assert (cookie.max_age, cookie.original_max_age) == (90, 90)


def test_expiry_can_be_taken_away(clock):
    cookie = SessionCookie(CookieOptions(max_age=60), clock)
    cookie.expires = None
    assert cookie.max_age is None


def test_original_age_is_for_reading_only(clock):
    with pytest.raises(AttributeError):
        SessionCookie(now=clock).original_max_age = 60


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("path", "/app"),
        ("domain", "example.com"),
        ("http_only", False),
        ("secure", True),
        ("same_site", "strict"),
        ("partitioned", True),
        ("priority", "high"),
    ],
)
def test_attribute_of_one_session_can_be_changed(clock, attribute, value):
    options = CookieOptions(secure=True)
    cookie = SessionCookie(options, clock)
    setattr(cookie, attribute, value)
    assert getattr(cookie, attribute) == value
    assert options == CookieOptions(secure=True)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("path", "app"),
        ("domain", "a;b"),
        ("http_only", 1),
        ("secure", 1),
        ("same_site", "none"),
        ("partitioned", True),
        ("priority", "urgent"),
        ("max_age", 0),
        ("expires", 1_699_999_999),
    ],
)
def test_changed_attribute_is_checked_at_once(clock, attribute, value):
    cookie = SessionCookie(now=clock)
    with pytest.raises(ValueError, match="="):
        setattr(cookie, attribute, value)
    assert (cookie.options, cookie.expires) == (CookieOptions(), None)


def test_misspelt_attribute_is_an_error(clock):
    with pytest.raises(AttributeError):
        SessionCookie(now=clock).maxAge = 60000


# The cookie in a record.

RECORDS = [
    pytest.param(
        PLAIN,
        '{"originalMaxAge":null,"expires":null,"secure":false,"httpOnly":true,"path":"/"}',
        id="without an age",
    ),
    pytest.param(
        PLAIN.replace(max_age=60, same_site="lax"),
        '{"originalMaxAge":60000,"expires":"2023-11-14T22:14:20.000Z","secure":false,'
        '"httpOnly":true,"path":"/","sameSite":"lax"}',
        id="with an age",
    ),
    pytest.param(
        PLAIN.replace(max_age=1.5),
        '{"originalMaxAge":1500,"expires":"2023-11-14T22:13:21.500Z","secure":false,'
        '"httpOnly":true,"path":"/"}',
        id="with a fraction of a second",
    ),
    pytest.param(
        EVERYTHING.replace(http_only=False),
        '{"originalMaxAge":3600000,"partitioned":true,"priority":"high",'
        '"expires":"2023-11-14T23:13:20.000Z","secure":true,"httpOnly":false,'
        '"domain":"example.com","path":"/app","sameSite":"none"}',
        id="everything",
    ),
]


def read(members, clock, options=PLAIN):
    return SessionCookie.from_json(json.dumps(members), clock() + 3600, options, clock)


@pytest.mark.parametrize(("options", "text"), RECORDS)
def test_record_is_the_one_that_express_writes(clock, options, text):
    members = json.loads(SessionCookie(options, clock).to_json(is_secure=False))
    assert json.dumps(members, separators=(",", ":")) == text


@pytest.mark.parametrize(("options", "text"), RECORDS)
def test_record_that_express_wrote_is_read(clock, options, text):
    assert read(json.loads(text), clock).options == options


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({}, id="missing"),
        pytest.param({"originalMaxAge": None, "expires": None}, id="null"),
        pytest.param({"originalMaxAge": False, "expires": False}, id="false"),
    ],
)
def test_record_without_age_and_expiry_is_a_cookie_without_an_age(clock, members):
    cookie = read(members, clock)
    assert (cookie.max_age, cookie.expires, cookie.original_max_age) == (None, None, None)


def test_empty_record_has_express_defaults(clock):
    assert read({}, clock).options == PLAIN


@pytest.mark.parametrize(
    ("same_site", "meaning"),
    [(True, "strict"), (False, None), (None, None), ("Lax", "lax"), ("STRICT", "strict")],
)
def test_same_site_is_read_as_express_reads_it(clock, same_site, meaning):
    assert read({"sameSite": same_site}, clock).same_site == meaning


def test_unknown_member_is_passed_over(clock):
    assert read({"colour": "blue"}, clock).options == PLAIN


def test_store_knows_best_when_a_session_ends(clock):
    # connect-redis renews a key and leaves its text as it was: the date in it may be long past.
    members = {"originalMaxAge": 60000, "expires": "2020-01-01T00:00:00.000Z"}
    assert read(members, clock).expires == clock() + 3600


def test_age_starts_again_from_the_record_and_not_from_the_options(clock):
    cookie = read(
        {"originalMaxAge": 5000, "expires": "2023-11-14T22:13:25.000Z"}, clock, EVERYTHING
    )
    cookie.touch()
    assert cookie.max_age == 5


@pytest.mark.parametrize("secure", [False, "auto"])
def test_cookie_that_was_secure_stays_so(clock, secure):
    cookie = read({"secure": True}, clock, CookieOptions(secure=secure))
    assert cookie.options.resolve(is_secure=False).secure is True


def test_cookie_that_began_on_http_is_secure_once_it_is_seen_on_https(clock):
    options = CookieOptions(secure="auto", same_site="auto")
    members = json.loads(SessionCookie(options, clock).to_json(is_secure=False))
    assert (members["secure"], members["sameSite"]) == (False, "lax")
    assert read(members, clock, options).options.resolve(is_secure=True) == CookieOptions(
        secure=True, same_site="none"
    )


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"partitioned": True}, id="Partitioned"),
        pytest.param({"sameSite": "none"}, id="SameSite=None"),
    ],
)
def test_record_that_browsers_would_refuse_becomes_secure(clock, members):
    assert read(members, clock).secure is True


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"path": "app"}, id="path without a slash"),
        pytest.param({"path": "/; Domain=evil.example"}, id="path with an attribute in it"),
        pytest.param({"path": 5}, id="path as a number"),
        pytest.param({"path": ["/"]}, id="path as a list"),
        pytest.param({"domain": "a;b"}, id="domain with a semicolon"),
        pytest.param({"domain": 5}, id="domain as a number"),
        pytest.param({"originalMaxAge": "60000"}, id="age as text"),
        pytest.param({"originalMaxAge": -1}, id="negative age"),
        pytest.param({"originalMaxAge": {}, "expires": []}, id="age as an object"),
        pytest.param({"originalMaxAge": float("nan")}, id="NaN as age"),
        pytest.param({"expires": "tomorrow"}, id="expiry as prose"),
        pytest.param({"expires": 1700000000}, id="expiry as a number"),
        pytest.param({"sameSite": "any"}, id="unknown same_site"),
        pytest.param({"priority": "urgent"}, id="unknown priority"),
    ],
)
def test_record_that_makes_no_sense_is_refused(clock, members):
    with pytest.raises((ValueError, TypeError)):
        read(members, clock)


@pytest.mark.parametrize("letter", ["\u0130", "\u0131", "\u017f", "\u212a"])
def test_letter_that_folds_into_ascii_is_refused_in_a_domain(letter):
    with pytest.raises(ValueError, match=r"^domain="):
        CookieOptions(domain=f"{letter}.example")


def test_domain_that_is_no_text_is_refused_by_name():
    with pytest.raises((ValueError, TypeError), match=r"^domain="):
        CookieOptions(domain=5)


@pytest.mark.parametrize(
    "options",
    [
        # rfc6265bis section 5.6: white space around a value is removed, and an attribute of more
        # than 1024 bytes is ignored; RFC 1034 section 3.1: a label has 63 bytes.
        pytest.param({"path": "/app "}, id="path with a space at its end"),
        pytest.param({"path": "/" + "a" * 1024}, id="path of 1025 bytes"),
        pytest.param({"domain": "a" * 64 + ".com"}, id="label of 64 bytes"),
    ],
)
def test_attribute_that_a_browser_would_read_otherwise_is_refused(options):
    with pytest.raises(ValueError, match="="):
        CookieOptions(**options)


@pytest.mark.parametrize("expires", [1e20, float("inf"), 253402300800, -62135596801])
def test_expiry_outside_the_years_1_to_9999_is_a_value_error(expires):
    with pytest.raises(ValueError, match=r"^expires="):
        format_set_cookie("n", "v", expires=expires)


def test_half_a_surrogate_pair_does_not_make_reading_raise():
    assert parse_cookies("a=\ud83d%41; b=1")[1:] == [("b", "1")]


@pytest.mark.parametrize("priority", ["High", "HIGH"])
def test_case_of_a_priority_does_not_cost_an_express_session(clock, priority):
    assert read({"priority": priority}, clock).priority == "high"


def test_never_ending_cookie_does_not_cost_an_express_session(clock):
    # What ``cookie: {expires: new Date(253402300000000)}`` leaves in Express's record.
    members = {"originalMaxAge": 251702300000000, "expires": "9999-12-31T23:46:40.000Z"}
    assert read(members, clock).expires == clock() + 3600


@pytest.mark.parametrize("members", [{"sameSite": 1}, {"originalMaxAge": 10**400}])
def test_nonsense_in_a_record_raises_what_from_json_says_it_raises(clock, members):
    with pytest.raises((ValueError, TypeError)):
        read(members, clock)


def test_options_can_be_copied_and_pickled_and_are_checked_in_any_case():
    options = CookieOptions(path="/app", max_age=60)
    assert pickle.loads(pickle.dumps(options)) == copy.deepcopy(options) == options  # noqa: S301
    with pytest.raises(ValueError, match="path="):
        options._replace(path="/; Domain=evil.example")
