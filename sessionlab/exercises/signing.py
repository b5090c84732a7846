"""Exercises of chapter 2: sign, notice a change, renew the secret, forge.  Notebook: 02-signing."""

from collections.abc import Callable, Sequence

from bottle import Bottle, request

from .. import signing
from ..cookies import parse_cookies
from ..middleware import SessionMiddleware
from ..signing import BadSignature
from ..stores import MemoryStore
from .exercise import NOT_YET, Exercise, Wrong, called, expect, expect_error, names_used
from .serving import running

_SECRET = "the secret of this exercise, 32 bytes or more"
_OLD = "the secret of last year, which is just as long"

SIGN = Exercise(
    "sign",
    kind="write the part",
    task="Write sign(value, secret): the value, a dot, and its HMAC-SHA256 in base64.",
    starter=f'''
        def sign(value, secret):
            """Return the value, a dot, and its signature: HMAC-SHA256 in base64, no padding."""
            {NOT_YET}
    ''',
    answer=signing.sign,
    shown_with=[signing._signature],
    hints=[
        "The module hmac makes a keyed hash; hashlib.sha256 is the hash.",
        "hmac, base64 and sessions all want bytes: .encode() on the way in, .decode() on the way "
        "out. Take the digest, not the hexdigest.",
        "base64.b64encode ends its text with '='; rstrip('=') takes that away.",
    ],
)


@SIGN.rule(
    "the value comes first, then a dot",
    why="The server reads the value from the signed text; it is signed, not hidden.",
    hint="Which text does the visitor's browser have to bring back, besides the signature?",
)
def _value_first(sign: Callable[[str, str], str]) -> None:
    signed = sign("hello", "tobiiscool")
    if not isinstance(signed, str) or not signed.startswith("hello."):
        raise Wrong(called(sign, "hello", "tobiiscool"), came_out=signed, expected="'hello.…'")


@SIGN.rule(
    "another secret makes another signature",
    why="A hash without a secret can be computed by anybody: it proves nothing.",
    hint="Where does the secret go in?",
)
def _keyed(sign: Callable[[str, str], str]) -> None:
    one, other = sign("hello", "one secret"), sign("hello", "another secret")
    if one == other:
        raise Wrong(
            f"{called(sign, 'hello', 'one secret')} and {called(sign, 'hello', 'another secret')}",
            came_out=one,
            expected="two texts that differ",
        )


@SIGN.rule(
    "the signature is 43 characters of base64, without padding",
    why="It is the form that Node writes; a signature in any other is refused there.",
    hint="How many characters has yours, and which are they? 64 would be hexadecimal.",
)
def _length(sign: Callable[[str, str], str]) -> None:
    signature = sign("hello", "tobiiscool").removeprefix("hello.")
    if len(signature) != 43 or not set(signature) <= set(_BASE64):
        went_in = called(sign, "hello", "tobiiscool")
        came_out = f"a signature of {len(signature)} characters: {signature}"
        raise Wrong(went_in, came_out=came_out, expected="43 characters of A-Z a-z 0-9 + /")


@SIGN.rule(
    "it is the very text that Node's cookie-signature makes, and our middleware takes",
    why="An Express process and a Python process can share a login only if both sign alike.",
    hint="The secret is the key and the value is the message, not the other way round; the "
    "alphabet of base64 is the standard one, with + and /.",
)
def _as_node(sign: Callable[[str, str], str]) -> None:
    gives = "hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI"
    expect(sign, "hello", "tobiiscool", gives=gives)
    _greet("connect.sid=s:" + sign("admins-session", _SECRET))


@SIGN.rule(
    "text beyond ASCII is signed as UTF-8",
    why="A secret may be any text, and 'Zoë' must not be a server error.",
    hint="encode() without an argument takes UTF-8.",
)
def _utf8(sign: Callable[[str, str], str]) -> None:
    expect(sign, "Zoë ☕", "schlüssel", gives=signing.sign("Zoë ☕", "schlüssel"))


_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

UNSIGN = Exercise(
    "unsign",
    kind="write the part",
    task="Write unsign(signed, secrets): the value, if one of the secrets signed it.",
    starter=f'''
        def unsign(signed, secrets):
            """Return the value of a signed text; raise BadSignature if no secret has signed it.

            secrets is a list, newest first: any of them may have signed.
            """
            {NOT_YET}
    ''',
    answer=signing.unsign,
    hints=[
        "sign(value, secret) of sessionlab makes the text that should have come.",
        "A value may have dots in it, a signature has none: rpartition('.') splits at the last.",
        "Compare bytes with hmac.compare_digest: text beyond ASCII makes it raise TypeError.",
    ],
)

Unsign = Callable[[str, Sequence[str]], str]


@UNSIGN.rule(
    "what was signed comes back",
    why="The value is the session's id: without it there is no session.",
    hint="What stands before the dot?",
)
def _comes_back(unsign: Unsign) -> None:
    expect(unsign, signing.sign("hello", _SECRET), [_SECRET], gives="hello")
    app = Bottle()
    app.get("/", callback=lambda: unsign(request.query.signed, [_SECRET]))
    with running(app) as new_browser:
        said = new_browser().get("/", params={"signed": signing.sign("Ada", _SECRET)}).text
    if said != "Ada":
        raise Wrong("GET / on a server that calls it", came_out=said, expected="Ada")


@UNSIGN.rule(
    "a value with dots in it comes back whole",
    why="The dot that counts is the last one; an id may have others.",
    hint="From which side do you look for the dot?",
)
def _dots(unsign: Unsign) -> None:
    expect(unsign, signing.sign("v1.hello.world", _SECRET), [_SECRET], gives="v1.hello.world")


@UNSIGN.rule(
    "a forged value is refused with BadSignature",
    why="Whoever can name an id of his choice is any visitor he likes.",
    hint="Compute what the signature ought to be, and compare.",
)
def _forged(unsign: Unsign) -> None:
    signature = signing.sign("hello", _SECRET).rpartition(".")[2]
    for forged in (f"admin.{signature}", "hello", "", ".", f"hello.{signature[:-1]}"):
        expect_error(unsign, forged, [_SECRET], error=BadSignature)


@UNSIGN.rule(
    "a secret of last year still verifies, and a stranger's does not",
    why="With only the newest, each change of the secret logs everybody out.",
    hint="How many of the secrets did you try?",
)
def _rotation(unsign: Unsign) -> None:
    expect(unsign, signing.sign("hello", _OLD), [_SECRET, _OLD], gives="hello")
    expect_error(unsign, signing.sign("hello", _OLD), [_SECRET], error=BadSignature)


@UNSIGN.rule(
    "a signature that merely means the same bytes is refused",
    why="One value, one text: what is decoded before it is compared lets several texts pass.",
    hint="Compare the texts; don't decode base64.",
)
def _exact(unsign: Unsign) -> None:
    signed = signing.sign("hello", _SECRET)
    last = _BASE64[_BASE64.index(signed[-1]) ^ 1]  # of its 6 bits, two belong to no byte
    for other in (signed + "=", signed[:-1] + last, signed + "\n"):
        expect_error(unsign, other, [_SECRET], error=BadSignature)


@UNSIGN.rule(
    "a signature beyond ASCII is refused with BadSignature, too",
    why="compare_digest raises TypeError for such text, and anybody can send it: a 500 for free.",
    hint="compare_digest takes bytes of any kind.",
)
def _beyond_ascii(unsign: Unsign) -> None:
    try:
        expect_error(unsign, "hello.ünïcödé", [_SECRET], error=BadSignature)
    except TypeError as error:
        went_in = called(unsign, "hello.ünïcödé", [_SECRET])
        raise Wrong(went_in, came_out=f"TypeError: {error}", expected="BadSignature") from None


@UNSIGN.rule(
    "the comparison takes the same time wherever the first wrong character stands",
    why="== stops at the first difference, and that time can be measured from outside.",
    hint="The module hmac has a comparison for this.",
)
def _constant_time(unsign: Unsign) -> None:
    if "compare_digest" not in names_used(unsign):
        went_in = called(unsign, signing.sign("hello", _SECRET), [_SECRET])
        raise Wrong(went_in, came_out="a comparison that stops", expected="hmac.compare_digest")


def forge(secret: str, session_id: str) -> str:
    return "connect.sid=s:" + signing.sign(session_id, secret)


FORGE = Exercise(
    "forge",
    kind="break it",
    task="Write forge(secret, session_id): the Cookie header that makes the server take you for "
    "the owner of that session.",
    starter=f'''
        def forge(secret, session_id):
            """Return a Cookie header, "connect.sid=...", for a session of somebody else."""
            {NOT_YET}
    ''',
    answer=forge,
    hints=[
        "The secret is known: sign() is all it takes.",
        "Express marks a signed value: it begins with 's:'.",
        "The header is name=value, and the name is connect.sid.",
    ],
)


@FORGE.rule(
    "it is a header with a cookie named connect.sid",
    why="The server looks for its cookie by the name.",
    hint="name=value; the browser writes no word 'Cookie:' into the value of the header.",
)
def _named(attempt: Callable[[str, str], str]) -> None:
    header = attempt(_SECRET, "admins-session")
    pairs = parse_cookies(header) if isinstance(header, str) else []
    if not any(name == "connect.sid" for name, _ in pairs):
        went_in = called(attempt, _SECRET, "admins-session")
        raise Wrong(went_in, came_out=header, expected="'connect.sid=…'")


@FORGE.rule(
    "the server takes it for the admin's",
    why="This is what a well-known secret costs: every session on the server.",
    hint="Take your header apart with anatomy(header, secret) of sessionlab.lab.",
)
def _fools_the_server(attempt: Callable[[str, str], str]) -> None:
    _greet(attempt(_SECRET, "admins-session"))


def _greet(header: str) -> None:
    store = MemoryStore()
    store.create("admins-session", '{"cookie":{},"user":"admin"}', 4e9)
    app = Bottle()
    app.get("/", callback=lambda: f"Hello {request.session.get('user', 'stranger')}")
    with running(SessionMiddleware(app, _SECRET, store=store)) as new_browser:
        said = new_browser().get("/", headers={"Cookie": header}).text
    if said != "Hello admin":
        raise Wrong(f"GET / with Cookie: {header}", came_out=said, expected="Hello admin")


EXERCISES = [SIGN, UNSIGN, FORGE]
