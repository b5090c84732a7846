"""A signed value that was changed is noticed.  Golden signatures: npm's cookie-signature 1.2.2."""

import hmac
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionlab import BadSignature, sign, signing, unsign

SECRET = "a secret of more than thirty-two bytes"
SIGNED = "hello.iIXxlXK6OkdlHG1oft5n8U3+dW3LoVWiR1Cm8kZ1QjA"
ANY_TEXT = st.text(st.characters())  # half surrogate pairs among it

GOLDEN = [
    pytest.param(
        "hello",
        "tobiiscool",
        "DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI",
        id="the example of cookie-signature",
    ),
    pytest.param("hello", SECRET, "iIXxlXK6OkdlHG1oft5n8U3+dW3LoVWiR1Cm8kZ1QjA", id="ASCII"),
    pytest.param("", SECRET, "HcDnjP9iv3jzrezRazTGJLVKuhcOnK2zZ9LcmxatM3g", id="empty value"),
    pytest.param("a.b.c", SECRET, "T8T1+D/CJqDHfI34HYIeMISc6qrAoIXqqg9vgGLpWlA", id="dots"),
    pytest.param(".", SECRET, "IrssvanwpIlSR7Lb6j1FLK/dFt7PYwIhsWwy7QDcglY", id="a dot alone"),
    pytest.param("s:x", SECRET, "kd7Os3nF6kD+bpdTeVIX4qIueIfaT6jo3nu5CfW1/ok", id="s: in front"),
    pytest.param(
        "café ☕ 🍪", SECRET, "DL3jzWNkfWfbA88Gfaymb24PrRSPJfhapsns8jO+YaQ", id="value beyond ASCII"
    ),
    pytest.param(
        "hello",
        "clé secrète 🔑 de plus de 32 octets",
        "+M9mzs1QRCbcc749eUMCTzIHe/UFFRL4qJK/6p4CRvs",
        id="secret beyond ASCII",
    ),
    pytest.param(
        "日本語",
        "clé secrète 🔑 de plus de 32 octets",
        "AnmSVICT+Hq0PfC9fu0RL3MNhT0zXupN3G0Xea2ydBk",
        id="both beyond ASCII",
    ),
    pytest.param(
        "\x00\r\n", SECRET, "uNUBbgMCw7BnO062yigWZJb95grmPcimNhoN3g6sewk", id="control characters"
    ),
    pytest.param(
        "x" * 1000, SECRET, "zrKytF02nqKFoppdXG9rjpTpuaacQBWmA9zLA72LP/Y", id="long value"
    ),
    pytest.param(
        "hello",
        "k" * 100,
        "P9V412Gk9nAwCektLooK6iKrmrUNStJQ3JXYw2new/U",
        id="secret longer than a block of the hash",
    ),
]

FORGED = [
    pytest.param(SIGNED + "=", id="padded"),
    pytest.param(SIGNED[:-1], id="cut short"),
    pytest.param(SIGNED + "A", id="longer"),
    pytest.param(SIGNED + " ", id="space after it"),
    pytest.param(SIGNED + "\n", id="newline after it"),
    pytest.param(SIGNED + "\x00", id="NUL after it"),
    pytest.param(" " + SIGNED, id="space before it"),
    pytest.param(SIGNED.replace("+", "-"), id="URL-safe alphabet"),
    pytest.param(SIGNED.swapcase(), id="case changed"),
    pytest.param(SIGNED.replace("hello", "hellp"), id="value changed"),
    pytest.param(SIGNED.replace("hello", "Hello"), id="case of the value changed"),
    pytest.param(SIGNED.replace("hello", ""), id="value taken away"),
    pytest.param(SIGNED.replace("hello.", "hello"), id="dot taken away"),
    pytest.param("hello.", id="empty signature"),
    pytest.param("hello", id="unsigned"),
    pytest.param("", id="empty text"),
    pytest.param(".", id="a dot alone"),
    pytest.param(
        "hello.P9V412Gk9nAwCektLooK6iKrmrUNStJQ3JXYw2new/U", id="signed with an unknown secret"
    ),
    pytest.param(
        "hello.T8T1+D/CJqDHfI34HYIeMISc6qrAoIXqqg9vgGLpWlA", id="signature of another value"
    ),
    pytest.param("hello.iIXxlXK6OkdlHG1oft5n8U3+dW3LoVWiR1Cm8kZ1Qjé", id="signature beyond ASCII"),
    pytest.param("é", id="unsigned, beyond ASCII"),
    pytest.param("hello." + "\ud83d" * 43, id="signature of half surrogate pairs"),
    pytest.param("\udc00", id="unsigned half surrogate pair"),
]


@pytest.mark.parametrize(("value", "secret", "signature"), GOLDEN)
def test_signature_is_the_one_that_express_makes(value, secret, signature):
    assert sign(value, secret) == f"{value}.{signature}"


@pytest.mark.parametrize(("value", "secret", "signature"), GOLDEN)
def test_value_that_express_signed_is_read(value, secret, signature):
    assert unsign(f"{value}.{signature}", secret) == value


@given(ANY_TEXT, st.text())
def test_any_text_comes_back_as_it_was_signed(value, secret):
    assert unsign(sign(value, secret), secret) == value


@pytest.mark.parametrize("signed", FORGED)
def test_forged_value_is_rejected(signed):
    with pytest.raises(BadSignature):
        unsign(signed, SECRET)


@pytest.mark.parametrize(
    "last", [c for c in string.ascii_letters + string.digits + "+/" if c != SIGNED[-1]]
)
def test_signature_with_another_last_character_is_rejected(last):
    # Three of the 63 decode to the same 32 bytes: the text is compared, not what it stands for.
    with pytest.raises(BadSignature):
        unsign(SIGNED[:-1] + last, SECRET)


@given(ANY_TEXT)
def test_text_that_nobody_signed_is_rejected_whatever_it_is(text):
    with pytest.raises(BadSignature):
        unsign(text, SECRET)


def test_half_a_surrogate_pair_is_not_taken_for_another_half():
    with pytest.raises(BadSignature):
        unsign(sign("\ud83d", SECRET).replace("\ud83d", "\udfff"), SECRET)


def test_rejection_does_not_say_what_is_wrong():
    messages = set()
    for forged in FORGED:
        with pytest.raises(BadSignature) as error:
            unsign(*forged.values, SECRET)
        messages.add(str(error.value))
    assert len(messages) == 1


def test_signatures_are_compared_in_constant_time(monkeypatch):
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(
        hmac, "compare_digest", lambda *texts: compared.append(texts) or compare(*texts)
    )
    unsign(SIGNED, SECRET)
    assert compared == [(SIGNED.rpartition(".")[2],) * 2]


@pytest.mark.parametrize(
    "secrets",
    [
        pytest.param(SECRET, id="one secret"),
        pytest.param([SECRET], id="a list of one"),
        pytest.param([SECRET, "the old one"], id="the newest of two"),
        pytest.param(["the new one", SECRET], id="the oldest of two"),
        pytest.param(("the new one", "the old one", SECRET), id="the oldest of a tuple"),
    ],
)
def test_value_signed_with_any_of_the_secrets_is_read(secrets):
    assert unsign(SIGNED, secrets) == "hello"


def test_secrets_are_tried_from_the_newest_to_the_oldest(monkeypatch):
    tried = []
    compute = signing._signature
    monkeypatch.setattr(
        signing, "_signature", lambda value, secret: tried.append(secret) or compute(value, secret)
    )
    unsign(SIGNED, ["the new one", SECRET, "the oldest one"])
    assert tried == ["the new one", SECRET]


@pytest.mark.parametrize(
    "secrets",
    [
        pytest.param(["the new one"], id="its secret was retired"),
        pytest.param([], id="no secrets"),
        pytest.param(list(SECRET), id="the characters of its secret"),
    ],
)
def test_value_signed_with_none_of_the_secrets_is_rejected(secrets):
    with pytest.raises(BadSignature):
        unsign(SIGNED, secrets)


def test_text_as_secrets_is_one_secret_and_not_its_characters():
    with pytest.raises(BadSignature):
        unsign(sign("hello", SECRET[0]), SECRET)
