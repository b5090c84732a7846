"""Node verifies what is signed here, and the reverse: 10,000 random values each way (P7)."""

import hmac
import random
from base64 import b64decode, urlsafe_b64encode
from string import ascii_letters, digits

import pytest
from node import Node

from sessionlab import BadSignature, format_set_cookie, new_session_id, parse_cookies, sign, unsign

COUNT = 10_000
SECRETS = [
    "a secret of thirty-two bytes or more",
    "ключ: 鍵, clé, \N{KEY}, thirty-two bytes or more",
]
BASE64 = ascii_letters + digits + "+/"
ODD = [
    "",
    ".",
    "..",
    "s:",
    "a.b.c",
    "%",
    "%3A",
    "%zz",
    '"',
    '"x"',
    "\\",
    "a b",
    "a;b",
    "a,b",
    "a=b",
]
ODD += [
    "\0",
    "\n",
    "\x7f",
    "\xa0",
    "é",
    "\u2028",
    "\ufeff",
    "日本",
    "\N{GRINNING FACE}",
    "👩‍💻",
    "ﷺ",
]


@pytest.fixture(scope="module")
def node():
    with Node("signatures.js") as it:
        yield it


@pytest.fixture(scope="module")
def values():
    chance = random.Random(7)
    return [value(chance) for _ in range(COUNT)]


def value(chance):
    kind = chance.randrange(4)
    if kind == 0:
        return new_session_id()
    if kind == 1:
        return "".join(chance.choices(ODD, k=chance.randrange(6)))
    if kind == 2:
        return "".join(chr(chance.randrange(128)) for _ in range(chance.randrange(40)))
    # Any character but halves of one, which no cookie can carry.
    points = (chance.randrange(0x110000 - 0x800) for _ in range(chance.randrange(20)))
    return "".join(chr(point + 0x800 * (point >= 0xD800)) for point in points)


def ask(node, does, values):
    return node.ask({"does": does, "values": values})


def or_false(unsign, signed, secret):
    """As cookie-signature has it: False for what nobody signed."""
    try:
        return unsign(signed, secret)
    except BadSignature:
        return False


# The harnesses: what each returns is empty, or names the values on which the two sides differ.


def node_refuses(node, values, sign=sign):
    pairs = [(value, SECRETS[number % 2]) for number, value in enumerate(values)]
    read = ask(node, "unsign", [(sign(value, secret), secret) for value, secret in pairs])
    return [value for value, back in zip(values, read, strict=True) if back != value]


def we_refuse(node, values, unsign=unsign):
    pairs = [(value, SECRETS[number % 2]) for number, value in enumerate(values)]
    signed = ask(node, "sign", pairs)
    return [
        value
        for (value, secret), text in zip(pairs, signed, strict=True)
        if or_false(unsign, text, secret) != value
    ]


def accepted_endings(node, values, unsign=unsign):
    """Each of the 63 other last characters that a side lets pass."""
    secret = SECRETS[0]
    signed = [sign(value, secret) for value in values]
    changed = [text[:-1] + last for text in signed for last in BASE64 if last != text[-1]]
    assert len(changed) == 63 * len(values)
    theirs = ask(node, "unsign", [(text, secret) for text in changed])
    ours = [or_false(unsign, text, secret) for text in changed]
    return [text for text, *read in zip(changed, theirs, ours, strict=True) if read != [False] * 2]


def differently_written(node, values, format_set_cookie=format_set_cookie):
    theirs = ask(node, "format", [("connect.sid", value) for value in values])
    ours = [format_set_cookie("connect.sid", value).partition(";")[0] for value in values]
    return [value for value, *texts in zip(values, theirs, ours, strict=True) if len({*texts}) > 1]


def node_misreads(node, values, format_set_cookie=format_set_cookie):
    headers = [format_set_cookie("connect.sid", value).partition(";")[0] for value in values]
    read = ask(node, "parse", [(f"a=b; {header}; c=d", "connect.sid") for header in headers])
    return [value for value, back in zip(values, read, strict=True) if back != value]


def we_misread(node, values, parse_cookies=parse_cookies):
    headers = ask(node, "format", [("connect.sid", value) for value in values])
    return [
        value
        for value, header in zip(values, headers, strict=True)
        if parse_cookies(f"a=b; {header}; c=d", only="connect.sid") != [("connect.sid", value)]
    ]


def test_node_verifies_what_is_signed_here(node, values, figure):
    """P7."""
    refused = node_refuses(node, values)
    figure.tried(len(values), "values signed here")
    figure.found(len(refused), "refused on the other side")
    assert refused == []


def test_what_node_signs_is_verified_here(node, values, figure):
    """P7."""
    refused = we_refuse(node, values)
    figure.tried(len(values), "values signed by Node")
    figure.found(len(refused), "refused on the other side")
    assert refused == []


def test_each_of_the_63_other_last_characters_is_refused_on_both_sides(node, values, figure):
    """P7."""
    accepted = accepted_endings(node, values[:100])
    figure.tried(63 * 100, "signatures with another last character")
    figure.found(len(accepted), "of these accepted")
    assert accepted == []


def test_both_sides_write_the_same_cookie(node, values):
    """P7."""
    assert differently_written(node, ["s:" + sign(value, SECRETS[0]) for value in values]) == []


def test_node_reads_the_cookies_that_are_written_here(node, values):
    """P7."""
    assert node_misreads(node, ["s:" + sign(value, SECRETS[0]) for value in values]) == []


def test_the_cookies_that_node_writes_are_read_here(node, values):
    """P7."""
    assert we_misread(node, ["s:" + sign(value, SECRETS[0]) for value in values]) == []


@pytest.mark.parametrize("tail", ["=", "==", " ", "A", "."])
def test_a_signature_with_something_after_it_is_refused_on_both_sides(node, tail):
    signed = sign("an id", SECRETS[0]) + tail
    assert or_false(unsign, signed, SECRETS[0]) is False
    assert ask(node, "unsign", [(signed, SECRETS[0])]) == [False]


class TestPlantedBugs:
    """P7, T1: each harness catches the bugs that it is there for."""

    def test_signatures_that_keep_their_padding(self, node, values):
        def padded(value, secret):
            return sign(value, secret) + "="

        assert len(node_refuses(node, values[:100], padded)) == 100

    def test_signatures_in_the_alphabet_of_urls(self, node, values):
        def urlsafe(value, secret):
            digest = hmac.digest(secret.encode(), value.encode(), "sha256")
            return f"{value}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"

        assert node_refuses(node, values[:100], urlsafe)

    def test_secrets_that_are_not_read_as_utf_8(self, node, values):
        def garbled(value, secret):
            return sign(value, secret.encode().decode("latin-1"))

        assert node_refuses(node, values[:100], garbled)

    def test_the_first_dot_taken_for_the_last(self, node, values):
        def split_early(signed, secret):
            value, _, _ = signed.partition(".")
            if signed != sign(value, secret):
                raise BadSignature
            return value

        assert we_refuse(node, values, split_early)

    def test_signatures_compared_as_bytes_rather_than_as_text(self, node, values):
        # The last of 43 characters has 2 bits that mean nothing: three others decode alike.

        def lenient(signed, secret):
            value, _, signature = signed.rpartition(".")
            digest = b64decode(sign(value, secret).rpartition(".")[2] + "=")
            if b64decode(signature + "=") != digest:
                raise BadSignature
            return value

        assert len(accepted_endings(node, values[:10], lenient)) == 30

    def test_a_cookie_that_is_not_percent_encoded(self, node, values):
        def plain(name, value):
            return f"{name}={value}; Path=/"

        signed = ["s:" + sign(value, SECRETS[0]) for value in values[:1000]]
        assert len(differently_written(node, signed, plain)) == 1000
        assert node_misreads(node, signed, plain)

    def test_a_cookie_that_is_not_decoded(self, node, values):
        def undecoded(header, only):
            parts = (part.strip().partition("=") for part in header.split(";"))
            return [(name, value) for name, _, value in parts if name == only]

        signed = ["s:" + sign(value, SECRETS[0]) for value in values[:1000]]
        assert len(we_misread(node, signed, undecoded)) == 1000
