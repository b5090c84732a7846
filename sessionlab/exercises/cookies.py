"""Exercises of chapter 1: read the Cookie header, write Set-Cookie, match paths.  Notebook:
01-cookies."""

from collections.abc import Callable

from bottle import Bottle, request

from .. import cookies
from ..cookies import CookieOptions
from .exercise import NOT_YET, Exercise, Wrong, expect, expect_error
from .serving import running

Pairs = list[tuple[str, str]]
Parse = Callable[[str], Pairs]
Format = Callable[..., str]
IsSentTo = Callable[[str, str], bool]

PARSE_COOKIES = Exercise(
    "parse_cookies",
    kind="write the part",
    task="Write parse_cookies(header): the names and values of a Cookie header, in their order.",
    starter=f'''
        def parse_cookies(header):
            """Return a list of (name, value) for a header such as "theme=dark; sid=abc"."""
            {NOT_YET}
    ''',
    answer=cookies.parse_cookies,
    shown_with=[cookies._decode],
    hints=[
        "Semicolons part the cookies; the first '=' parts a name from its value.",
        "partition('=') never raises, and leaves further '=' in the value.",
        "Which characters does strip() take away? strip(' \\t') says which to take.",
        "urllib.parse.unquote_to_bytes(value).decode() raises for what is no UTF-8.",
    ],
)


@PARSE_COOKIES.rule(
    "names and values come as pairs, in their order",
    why="Of two cookies of one name the browser sends the one of the longer path first.",
    hint="'; ' stands between two cookies, '=' between a name and its value.",
)
def _pairs(parse: Parse) -> None:
    expect(parse, "theme=dark; sid=abc", gives=[("theme", "dark"), ("sid", "abc")])
    expect(parse, "", gives=[])


@PARSE_COOKIES.rule(
    "a value may hold further equals signs",
    why="Base64 ends in them.",
    hint="Split at the first one alone.",
)
def _equals(parse: Parse) -> None:
    expect(parse, "a=b=c==", gives=[("a", "b=c==")])


@PARSE_COOKIES.rule(
    "of two cookies of one name, both come",
    why="A stale one may stand first and hide the good one; the server has to see both.",
    hint="What does a dict do with the second?",
)
def _both(parse: Parse) -> None:
    expect(parse, "sid=stale; sid=good", gives=[("sid", "stale"), ("sid", "good")])


@PARSE_COOKIES.rule(
    "an odd neighbour costs no other cookie its place",
    why="Any page of the same host can set one; whoever loses the session after it logs out.",
    hint="What has no name, or no '=', is passed over; all else is a cookie, however odd.",
)
def _odd_neighbours(parse: Parse) -> None:
    app = Bottle()
    app.get("/", callback=lambda: dict(parse(request.get_header("Cookie"))).get("sid", "nobody"))
    with running(app) as new_browser:
        for odd in ('cart={"tea":1}', "a[b]=1", "junk", "=x", 'open="', ";;"):
            header = f"{odd}; sid=good"
            said = new_browser().get("/", headers={"Cookie": header}).text
            if said != "good":
                went_in = f"GET / with Cookie: {header}"
                raise Wrong(went_in, came_out=f"sid={said}", expected="sid=good")


@PARSE_COOKIES.rule(
    "quotes around a value go, and %XX is decoded where it can be",
    why="Express sends s%3A… and reads s:…; text that can't be decoded is still somebody's value.",
    hint="Four cases: quoted, encoded, a lone %, bytes that are no UTF-8.",
)
def _decoded(parse: Parse) -> None:
    expect(parse, 'a="x y"; b=s%3A1', gives=[("a", "x y"), ("b", "s:1")])
    expect(parse, "a=100%; b=%FF; c=%C3%AB", gives=[("a", "100%"), ("b", "%FF"), ("c", "ë")])


@PARSE_COOKIES.rule(
    "space and tab are taken away around a name, and nothing else",
    why="strip() takes U+00A0, too: so '\\xa0sid' would pass for 'sid', which anybody can set.",
    hint="strip() takes an argument.",
)
def _strip(parse: Parse) -> None:
    expect(parse, "a=1;\t sid =2", gives=[("a", "1"), ("sid", "2")])
    expect(parse, "a=1; \xa0sid=2", gives=[("a", "1"), ("\xa0sid", "2")])


FORMAT_SET_COOKIE = Exercise(
    "format_set_cookie",
    kind="write the part",
    task="Write format_set_cookie(name, value, options, expires): the text of a Set-Cookie header.",
    starter=f'''
        def format_set_cookie(name, value, options, *, expires=None):
            """Return "name=value; Domain; Path; Expires; HttpOnly; Secure; SameSite" in this order.

            options is a CookieOptions: path, domain, http_only, secure, same_site ("lax" or None).
            expires is Unix time in seconds, or None. Raise ValueError for what can't be a name.
            """
            {NOT_YET}
    ''',
    answer=cookies.format_set_cookie,
    shown_with=[cookies._check_name],
    hints=[
        "Collect the parts in a list, each under its own condition; join them with '; '.",
        "A flag stands there or does not: HttpOnly, never HttpOnly=True.",
        "wsgiref.handlers.format_date_time writes a date as HTTP wants it; 0 is a date, too.",
        "urllib.parse.quote takes the characters to be kept; encodeURIComponent keeps - _ . ! ~ * "
        "' ( ).",
    ],
)
_PLAIN = CookieOptions(http_only=False, secure=False, same_site=None)


@FORMAT_SET_COOKIE.rule(
    "name=value comes first, then the path",
    why="The first part is the cookie; all that follows are its attributes.",
    hint="'; ' stands between the parts.",
)
def _first(format_it: Format) -> None:
    expect(format_it, "sid", "abc", _PLAIN, gives="sid=abc; Path=/")
    expect(format_it, "sid", "abc", _PLAIN.replace(path="/app"), gives="sid=abc; Path=/app")


@FORMAT_SET_COOKIE.rule(
    "what is set comes, in Express's order, and what is not set does not",
    why="A browser that reads 'Secure=False' makes the cookie Secure: the word alone counts.",
    hint="Which of the attributes have a value, and which are flags?",
)
def _attributes(format_it: Format) -> None:
    options = CookieOptions(domain="example.com", secure=True, same_site="lax")
    gives = "sid=abc; Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Lax"
    expect(format_it, "sid", "abc", options, gives=gives)
    gives = "sid=abc; Path=/; HttpOnly"
    expect(format_it, "sid", "abc", _PLAIN.replace(http_only=True), gives=gives)


@FORMAT_SET_COOKIE.rule(
    "expires is a date in GMT, as HTTP writes it, and 0 is one",
    why="A date that is past removes the cookie: so a logout is told to the browser.",
    hint="Is 0 the same as None?",
)
def _expires(format_it: Format) -> None:
    gives = "sid=abc; Path=/; Expires=Sun, 06 Nov 1994 08:49:37 GMT"
    expect(format_it, "sid", "abc", _PLAIN, expires=784111777, gives=gives)
    gives = "sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    expect(format_it, "sid", "", _PLAIN, expires=0, gives=gives)


@FORMAT_SET_COOKIE.rule(
    "the value is encoded as JavaScript's encodeURIComponent does",
    why="A ';' in a value would end it; and Node has to read the very same text.",
    hint="Look at '/', ' ' and '(' in what came out.",
)
def _encoded(format_it: Format) -> None:
    gives = "sid=s%3Aa%2Bb%2Fc%20d%3B; Path=/"
    expect(format_it, "sid", "s:a+b/c d;", _PLAIN, gives=gives)
    expect(format_it, "sid", "(it's-ok!*~)", _PLAIN, gives="sid=(it's-ok!*~); Path=/")


@FORMAT_SET_COOKIE.rule(
    "what can't be a name is refused with ValueError",
    why="A name with '; Domain=…' in it sets attributes; one with a line end sets headers.",
    hint="A name is a token: letters, digits and !#$%&'*+-.^_`|~.",
)
def _names(format_it: Format) -> None:
    for name in ("a; Domain=evil.example", "a=b", "a b", "", "a\r\nSet-Cookie: b", "é"):
        expect_error(format_it, name, "abc", _PLAIN, error=ValueError)
    expect(
        format_it, "__Host-a.b~1", "abc", _PLAIN_SECURE, gives="__Host-a.b~1=abc; Path=/; Secure"
    )


_PLAIN_SECURE = _PLAIN.replace(secure=True)

IS_SENT_TO = Exercise(
    "is_sent_to",
    kind="find the bug",
    task="Mend is_sent_to(request_path, cookie_path): users of /shop are logged in at /shopping.",
    starter='''
        def is_sent_to(request_path, cookie_path):
            """Return whether a cookie of this path goes to this page."""
            return request_path.startswith(cookie_path)
    ''',
    answer=cookies.path_matches,
    hints=[
        "Which pages begin with the same letters, and are not below it?",
        "RFC 6265, section 5.1.4: the next character has to be a '/', or there is none.",
        "A cookie's path that ends in '/' has had its slash.",
    ],
)


def _expect_path(is_sent_to: IsSentTo, *cases: tuple[str, str, bool]) -> None:
    for request_path, cookie_path, gives in cases:
        expect(is_sent_to, request_path, cookie_path, gives=gives)


@IS_SENT_TO.rule(
    "a page whose path merely begins with the same letters does not get it",
    why="/shop and /shopping may belong to different people, on one host.",
    hint="What stands after the letters that are alike?",
)
def _begins_alike(is_sent_to: IsSentTo) -> None:
    _expect_path(is_sent_to, ("/shopping", "/shop", False), ("/shop.old/x", "/shop", False))


@IS_SENT_TO.rule(
    "the path itself, and all below it, get it",
    why="Else the shop's own pages lose their session.",
    hint="With nothing after it, or a slash.",
)
def _below(is_sent_to: IsSentTo) -> None:
    _expect_path(is_sent_to, ("/shop", "/shop", True), ("/shop/", "/shop", True))
    _expect_path(is_sent_to, ("/shop/tea/green", "/shop", True), ("/other", "/shop", False))


@IS_SENT_TO.rule(
    "a cookie of path / goes to every page",
    why="It is what nearly all sessions have.",
    hint="'/' ends in a slash already: what may follow it?",
)
def _root(is_sent_to: IsSentTo) -> None:
    _expect_path(is_sent_to, ("/", "/", True), ("/shop", "/", True), ("/shop/tea", "/", True))


@IS_SENT_TO.rule(
    "a path that ends in a slash means what is below it, and not the page without the slash",
    why="Section 5.1.4 compares the letters as they are; browsers do so, too.",
    hint="Don't take a slash away before you compare.",
)
def _slash(is_sent_to: IsSentTo) -> None:
    _expect_path(is_sent_to, ("/shop/tea", "/shop/", True), ("/shop", "/shop/", False))


@IS_SENT_TO.rule(
    "upper and lower case differ",
    why="Paths are compared letter by letter; /Shop may be another application.",
    hint="What did you do to the letters?",
)
def _case(is_sent_to: IsSentTo) -> None:
    _expect_path(is_sent_to, ("/Shop/tea", "/shop", False))


EXERCISES = [PARSE_COOKIES, FORMAT_SET_COOKIE, IS_SENT_TO]
