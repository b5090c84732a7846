"""Hostile ``Cookie`` headers, and hostile texts on their way into ``Set-Cookie``.

Rows P1 to P6 of the reliability bar. Each harness is a function that takes an implementation and
returns what went wrong with it: nothing, for ours. The same harness is then run on implementations
with a planted bug, which it has to find (row T1).
"""

import hmac
import logging
import re
import time
import timeit
from collections.abc import Callable
from functools import partial
from http.cookies import SimpleCookie
from random import Random
from statistics import median
from urllib.parse import quote, unquote
from wsgiref.util import setup_testing_defaults

import pytest

from sessionlab import (
    BadSignature,
    CookieOptions,
    MemoryStore,
    Record,
    SessionMiddleware,
    format_set_cookie,
    parse_cookies,
    sign,
    signing,
    unsign,
)

NAME = "connect.sid"
SECRET = "the secret of the server, which nobody else knows"
ANOTHER_SECRET = "a secret of somebody else, who would like to come in"
GOOD_ID = "GOOD_ID-0123456789-abcdefghijklm"
ENDED_ID = "ENDED_ID-0123456789-abcdefghijkl"

Load = Callable[[str], str | None]  # the header of a request -> the id of the session it got back


def cookie(session_id, secret=SECRET):
    return f"{NAME}={quote('s:' + sign(session_id, secret), safe='')}"


GOOD = cookie(GOOD_ID)
FORGED = [
    pytest.param(cookie(GOOD_ID, ANOTHER_SECRET), id="signed with another secret"),
    pytest.param(GOOD[:-1], id="signature cut short"),
    pytest.param(GOOD.replace("0123", "0124"), id="id changed"),
    pytest.param(f"{NAME}=s%3A{GOOD_ID}.", id="no signature"),
    pytest.param(f"{NAME}={GOOD_ID}", id="plain id"),
    pytest.param(f"{NAME}=", id="empty"),
    pytest.param(f'{NAME}="s%3A', id="open quote"),
    pytest.param(cookie(ENDED_ID), id="session that ended"),
]
NEIGHBOURS = [
    'prefs={"theme":"dark","size":2}',
    'prefs={"text":"a;b=c"}',
    "a[b]=1",
    "a@b=1",
    "a,b=1",
    "junk",
    "junk;",
    ";;;",
    "=x",
    "=",
    "a==b",
    "theme=light; theme=dark",
    'q="',
    'q="open',
    'q=a"b"c',
    'q="a\\"b',
    "latin1=caf\xe9",
    "caf\xe9=1",
    "utf8=caf\xc3\xa9",
    "bad=\xc3\x28",
    "bad=%C3%28",
    "bad=%",
    "bad=%zz",
    "nul=\x00",
    "control=\x01\x1f\x7f",
    "\x0b=1",
    "line=a\r\nb",
    "expires=1",
    "$Version=1; $Path=/",
    f"not-{NAME}=1",
    f"{NAME}2=1",
    "_ga=GA1.2.3.4",
    "long=" + "x" * 5000,
]


def middleware_load(store) -> Load:
    """The whole way: a request to an application under ``SessionMiddleware``."""
    environ = {}
    setup_testing_defaults(environ)
    found = []

    def application(environ, start_response):
        session = environ["sessionlab.session"]
        found.append(None if session.is_new else session.id)
        start_response("200 OK", [])
        return [b""]

    middleware = SessionMiddleware(application, SECRET, store=store, name=NAME)

    def load(header):
        list(middleware(environ | {"HTTP_COOKIE": header}, lambda status, headers: None))
        return found.pop()

    return load


def store_of_one():
    store = MemoryStore()
    store.create(GOOD_ID, '{"cookie":{}}', 2**40)
    return store


class StoreOfEverything(MemoryStore):
    """Has a session under whatever id it is asked for: the signature alone decides who comes in."""

    def get(self, session_id):
        return Record('{"cookie":{}}', 2**40)


# What the planted bugs are made of.


def load_with(parse=parse_cookies, verify=lambda signed: unsign(signed, SECRET)) -> Load:
    """A loader put together from a parser and a verifier, one of which is broken on purpose."""

    def load(header):
        for name, value in parse(header):
            if name == NAME and value.startswith("s:"):
                try:
                    return verify(value[2:])
                except BadSignature:
                    pass
        return None

    return load


def parse_with_http_cookies(header):
    return [(name, unquote(morsel.value)) for name, morsel in SimpleCookie(header).items()]


def parse_first_of_each_name(header):
    return dict(reversed(parse_cookies(header))).items()


def parse_with_strip(header):
    pairs = [part.partition("=") for part in header.split(";")]
    return [(name.strip(), unquote(value.strip())) for name, _, value in pairs]


def parse_by_cutting_off_the_front(header):
    pairs = []
    while header:
        part, _, header = header.partition(";")
        pairs.append(part.partition("=")[::2])
    return pairs


def verify_nothing(signed):
    return signed.rpartition(".")[0]


def verify_half(signed):
    value = verify_nothing(signed)
    length = len(value) + 22
    if sign(value, SECRET)[:length] != signed[:length]:
        raise BadSignature
    return value


def verify_without_case(signed):
    value = verify_nothing(signed)
    if sign(value, SECRET).lower() != signed.lower():
        raise BadSignature
    return value


def verify_as_text(signed):
    value = verify_nothing(signed)
    if not hmac.compare_digest(sign(value, SECRET), signed):
        raise BadSignature
    return value


# P1.

SIGNED_IDS = [GOOD_ID, ENDED_ID, "x", "a.b.c", "caf\xe9", "s:s:"]
FRAGMENTS = [
    *(NAME, f"{NAME}=", "s:", "s%3A", ";", "; ", "=", ".", ",", '"', "\\", "\\073", "%", "%2", "+"),
    *("%00", "%FF", "%C3%28", "%ED%A0%80", "%C3%A9", "\x00", "\t", "\r\n", "\x7f", "\x85", "\xa0"),
    *("\xc3\xa9", "\xff\xfe", "a@b=1", "a[b]=1", "__proto__=1", "expires=1", "A" * 500, "=" * 50),
]


def hostile_header(random: Random) -> tuple[str, bool]:
    """A header with a genuine cookie or several, and whether nothing in it was changed."""
    cookies = [cookie(random.choice(SIGNED_IDS)), *random.choices(NEIGHBOURS, k=2)]
    cookies += [forged.values[0] for forged in random.choices(FORGED, k=random.randrange(3))]
    random.shuffle(cookies)
    header = "; ".join(cookies)
    edits = random.randrange(5)
    for _ in range(edits):
        start, end = sorted(random.choices(range(len(header) + 1), k=2))
        end = min(end, start + random.choice([0, 1, 2, 30]))
        edit = random.randrange(5)
        if edit == 0:
            new = ""
        elif edit == 1:
            new = chr(random.randrange(256))
        elif edit == 2:
            new = random.choice(FRAGMENTS)
        elif edit == 3:
            new = header[start:end].swapcase()
        else:
            new = header[start:end] * 2
        header = header[:start] + new + header[end:]
    return header, edits == 0


def was_signed(session_id: str, header: str) -> bool:
    """Whether the header holds, escaped or not, the very text that the server once signed."""
    texts = f"{header}\n{unquote(header)}"
    return session_id in SIGNED_IDS and f"s:{sign(session_id, SECRET)}" in texts


def faults_under_hostile_headers(load: Load, count: int) -> list[str]:
    random = Random(20260110)
    faults = []
    for _ in range(count):
        header, is_untouched = hostile_header(random)
        try:
            session_id = load(header)
        except Exception as error:
            faults.append(f"{error!r} for {header!r}")
            continue
        if session_id is None:
            if is_untouched:
                faults.append(f"nobody came in with {header!r}")
        elif not was_signed(session_id, header):
            faults.append(f"{session_id!r} came in with {header!r}")
    return faults


def test_hostile_cookies_neither_crash_nor_come_in(pytestconfig, figure, caplog):
    """P1: 1,000,000 mutated headers (100,000 without --full), no exception, no forgery accepted."""
    caplog.set_level(logging.WARNING, logger="sessionlab")  # four reasons each double the time
    count = 1_000_000 if pytestconfig.getoption("--full") else 100_000
    faults = faults_under_hostile_headers(middleware_load(StoreOfEverything()), count)
    figure.tried(count, "mutated Cookie headers")
    figure.found(len(faults), "exceptions or forgeries accepted")
    assert faults == []


@pytest.mark.parametrize(
    ("load", "fault"),
    [
        pytest.param(load_with(parse_with_http_cookies), "CookieError", id="http.cookies"),
        pytest.param(load_with(verify=verify_nothing), "came in", id="no verification"),
        pytest.param(load_with(verify=verify_half), "came in", id="half a signature is enough"),
        pytest.param(load_with(verify=verify_without_case), "came in", id="case does not count"),
        pytest.param(load_with(verify=verify_as_text), "TypeError", id="signatures as text"),
        pytest.param(lambda header: None, "nobody", id="nobody comes in"),
    ],
)
def test_hostile_cookies_find_a_planted_bug(load, fault):
    """P1, T1: each broken loader is caught within 20,000 headers."""
    assert any(fault in text for text in faults_under_hostile_headers(load, 20_000))


# P2.

SIZE = 200_000  # bytes
LIMIT = 0.100  # seconds
RATIO = 2.5  # of the times for all of a header and for half of it; a quadratic parser has 4
SHAPES = {  # the start of a header, and what it goes on with
    "many cookies": ("", "a=1; "),
    "our cookie again and again": ("", f"{NAME}=s%3Ax.y; "),
    "semicolons": ("", ";"),
    "equals signs": (NAME, "="),
    "spaces": (NAME, " "),
    "escapes": (f"{NAME}=s%3A", "%41"),
    "open quote and backslashes": (f'{NAME}="s:', '\\"'),
}


def header_of(shape: str, size: int) -> str:
    start, rest = SHAPES[shape]
    return start + rest * ((size - len(start)) // len(rest))


def slow_shapes(
    read: Callable[[str], object],
    patience: float,
    note: Callable[[float, float], object] = lambda seconds, ratio: None,
) -> list[str]:
    """A noisy machine gets another chance, for up to ``patience`` seconds a shape."""
    faults = []
    for shape in SHAPES:
        # Processor time, in turns, and its median: whatever else runs here disturbs both alike.
        timers = [
            timeit.Timer(partial(read, header_of(shape, size)), timer=time.thread_time)
            for size in (SIZE // 2, SIZE)
        ]
        rounds = []
        deadline = time.monotonic() + patience
        while True:
            rounds.append([timer.timeit(1) for timer in timers])
            half, whole = map(median, zip(*rounds, strict=True))
            if len(rounds) >= 5 and whole <= LIMIT and whole / half <= RATIO:
                note(whole, whole / half)
                break
            if time.monotonic() > deadline:
                faults.append(f"{shape}: {half:.4f} s for half a header, {whole:.4f} s for it all")
                break
    return faults


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(parse_cookies, id="all cookies"),
        pytest.param(lambda header: parse_cookies(header, only=NAME), id="one cookie"),
        pytest.param(middleware_load(StoreOfEverything()), id="a whole request"),
    ],
)
def test_time_to_read_a_header_grows_with_its_length(read, figure):
    """P2: seven shapes of 200 KB, at most 100 ms and 2.5 times what half of it takes."""

    def note(seconds, ratio):
        figure.worst(1000 * seconds, "ms for 200 KB (median)")
        figure.worst(ratio, "times the time for half (medians)")

    faults = slow_shapes(read, patience=10, note=note)
    figure.tried(len(SHAPES), "shapes of 200 KB")
    figure.found(len(faults), "too slow")
    assert faults == []


def test_slow_shapes_find_a_planted_bug():
    """P2, T1: a parser that copies the rest of the header at each semicolon is caught."""
    faults = slow_shapes(parse_by_cutting_off_the_front, patience=0.5)
    assert any(fault.startswith("semicolons") for fault in faults)


# P3.


def places_where_the_good_session_is_lost(load: Load) -> list[str]:
    lost = []
    for neighbour in NEIGHBOURS:
        places = [f"{neighbour}; {GOOD}", f"{GOOD}; {neighbour}", f"{neighbour};{GOOD};{neighbour}"]
        for header in places:
            try:
                session_id = load(header)
            except Exception as error:
                session_id = repr(error)
            if session_id != GOOD_ID:
                lost.append(header)
    return lost


def test_good_session_survives_bad_neighbours(figure):
    """P3: the session is found with each odd cookie before it, after it, and on both sides."""
    lost = places_where_the_good_session_is_lost(middleware_load(store_of_one()))
    figure.tried(3 * len(NEIGHBOURS), "headers with an odd cookie")
    figure.found(len(lost), "sessions lost")
    assert lost == []


def test_bad_neighbours_find_a_planted_bug():
    """P3, T1: ``http.cookies`` loses the session behind most of the neighbours."""
    lost = places_where_the_good_session_is_lost(load_with(parse_with_http_cookies))
    assert len(lost) > len(NEIGHBOURS) / 2


# P4.


def numbers_of_forged_cookies_that_win(load: Load, forged: str) -> list[int]:
    return [
        number
        for number in range(1, 8)
        if load("; ".join(["theme=dark", *[forged] * number, GOOD])) != GOOD_ID
    ]


def hmacs_of_a_request(load: Load, header: str) -> int:
    """How many HMACs the request costs; all of them go through ``_signature``."""
    calls = []
    compute = signing._signature
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing, "_signature", lambda *args: calls.append(args) or compute(*args))
        load(header)
    return len(calls)


@pytest.mark.parametrize("forged", FORGED)
def test_forged_cookies_do_not_hide_the_good_one(forged, figure):
    """P4: 1 to 7 forged cookies of our name ahead of the good one, and the session is found."""
    winners = numbers_of_forged_cookies_that_win(middleware_load(store_of_one()), forged)
    figure.tried(7, "headers with 1 to 7 forged cookies first")
    figure.found(len(winners), "good ones hidden")
    assert winners == []


@pytest.mark.parametrize("forged", FORGED)
def test_forged_cookies_find_a_planted_bug(forged):
    """P4, T1: a loader that looks at the first cookie of a name alone, as Express does."""
    load = load_with(parse_first_of_each_name)
    assert numbers_of_forged_cookies_that_win(load, forged) == [1, 2, 3, 4, 5, 6, 7]


MANY = "; ".join(cookie(f"{number} {GOOD_ID}", ANOTHER_SECRET) for number in range(200))


def test_many_forged_cookies_cost_eight_hmacs(figure):
    """P4: at most 8 HMACs a request for each secret, with 200 cookies of our name."""
    hmacs = hmacs_of_a_request(middleware_load(store_of_one()), MANY)
    figure.worst(hmacs, "HMACs a request and secret, of 200 forged cookies")
    assert hmacs == 8


def test_one_good_cookie_costs_one_hmac():
    """P4: and a request with nothing but the good cookie costs a single one."""
    assert hmacs_of_a_request(middleware_load(store_of_one()), GOOD) == 1


def test_count_of_hmacs_finds_a_planted_bug():
    """P4, T1: a loader that tries each of the 200 cookies is caught."""
    assert hmacs_of_a_request(load_with(), MANY) == 200


# P5.

CHARACTERS = [chr(code) for code in range(256)]
CHARACTERS += [chr(code) for code in range(256, 0x110000) if chr(code).isspace()]
CHARACTERS += ["\u200b", "\u2060", "\ufeff"]  # these look like nothing and are no spaces
PLACES = [
    # A semicolon in front of the name belongs to no name: it ends the cookie before it.
    pytest.param("{}" + GOOD, {" ", "\t", ";"}, id="first"),
    pytest.param("a=1; {}" + GOOD, {" ", "\t", ";"}, id="behind another cookie"),
    pytest.param(GOOD.replace("=", "{}=", 1), {" ", "\t"}, id="after the name"),
]


def characters_that_pass_for_nothing(load: Load, place: str) -> set[str]:
    return {character for character in CHARACTERS if load(place.format(character)) is not None}


@pytest.mark.parametrize(("place", "allowed"), PLACES)
def test_another_name_does_not_pass_for_ours(place, allowed, figure):
    """P5: of all bytes and Unicode spaces around the name, space and tab alone are passed over."""
    load = middleware_load(store_of_one())
    found = characters_that_pass_for_nothing(load, place)
    figure.tried(len(CHARACTERS), "characters around the name")
    figure.found(len(found - allowed), "passed over but space and tab")
    assert found == allowed


@pytest.mark.parametrize(("place", "allowed"), PLACES)
def test_characters_around_the_name_find_a_planted_bug(place, allowed):
    """P5, T1: ``str.strip()`` takes U+00A0, and more, for nothing."""
    found = characters_that_pass_for_nothing(load_with(parse_with_strip), place)
    assert found - allowed >= {"\x0b", "\x1c", "\x85", "\xa0", "\u2003"}


# P6.

Write = Callable[..., str]  # name, value, path and domain -> the text of ``Set-Cookie``

# rfc6265bis section 4.1.1; labels by RFC 1034 section 3.5 and RFC 1123 section 2.1. The dot in
# front of a domain is no part of the grammar, but all browsers pass over it (section 5.6.3).
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
GRAMMAR = re.compile(
    r"(?P<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)"
    r"=(?P<value>[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*)"
    rf"; Domain=(?P<domain>\.?{LABEL}(?:\.{LABEL})*)"
    r"; Path=(?P<path>/[\x20-\x3a\x3c-\x7e]*)"
    r"; HttpOnly; SameSite=Lax"
)
FIELDS = {"name": "sid", "value": "abc", "path": "/app", "domain": "example.com"}


def injections(write: Write) -> list[str]:
    """What was written and says something else than it was given, or nothing at all."""
    faults = []
    for field, text in FIELDS.items():
        for position in (0, len(text) // 2, len(text)):
            for code in range(256):
                fields = FIELDS | {field: text[:position] + chr(code) + text[position:]}
                try:
                    written = write(**fields)
                except ValueError:
                    continue
                match = GRAMMAR.fullmatch(written)
                if not match or match.groupdict() | {"value": unquote(match["value"])} != fields:
                    faults.append(written)
    return faults


def write_with_checks(name, value, path, domain):
    return format_set_cookie(name, value, CookieOptions(path=path, domain=domain))


def write_without_checks(name, value, path, domain):
    return f"{name}={quote(value)}; Domain={domain}; Path={path}; HttpOnly; SameSite=Lax"


def write_without_line_ends(**fields):
    if re.search("[\r\n]", "".join(fields.values())):
        raise ValueError("a header is one line")
    return write_without_checks(**fields)


def write_without_escapes(name, value, path, domain):
    return write_with_checks(name, "", path, domain).replace("=", f"={value}", 1)


def test_no_byte_gets_out_of_its_attribute(figure):
    """P6: all bytes in name, value, path and domain: a ``ValueError``, or what the grammar has."""
    faults = injections(write_with_checks)
    figure.tried(3 * 256 * len(FIELDS), "texts with any byte in them")
    figure.found(len(faults), "cookies that say something else")
    assert faults == []


@pytest.mark.parametrize(
    "write", [write_without_checks, write_without_line_ends, write_without_escapes]
)
def test_bytes_in_attributes_find_a_planted_bug(write):
    """P6, T1: a writer that checks nothing, or line ends alone, or leaves the value as it is."""
    assert any(";" in fault.partition("; Domain")[0] for fault in injections(write))
