"""What learners get wrong in chapter 1."""

import re
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from urllib.parse import quote, quote_plus, unquote
from wsgiref.handlers import format_date_time

from trial import wrong

from sessionlab import parse_cookies as good_parse

PAIRS = "names and values come as pairs, in their order"
EQUALS = "a value may hold further equals signs"
BOTH = "of two cookies of one name, both come"
ODD = "an odd neighbour costs no other cookie its place"
DECODED = "quotes around a value go, and %XX is decoded where it can be"
STRIP = "space and tab are taken away around a name, and nothing else"


@wrong("parse_cookies", PAIRS)
def a_dict(header):
    return dict(good_parse(header))


@wrong("parse_cookies", PAIRS)
def lists_for_pairs(header):
    return [part.strip().split("=", 1) for part in header.split(";") if part]


@wrong("parse_cookies", PAIRS)
def a_space_left_in_the_name(header):
    return [tuple(part.split("=", 1)) for part in header.split(";") if part]


@wrong("parse_cookies", EQUALS, error=True)
def split_at_each_equals_sign(header):
    pairs = []
    for part in header.split(";"):
        if part:
            name, value = part.strip().split("=")
            pairs.append((name, value))
    return pairs


@wrong("parse_cookies", EQUALS)
def all_after_the_second_equals_sign_lost(header):
    return [tuple(part.strip().split("=")[:2]) for part in header.split(";") if part]


@wrong("parse_cookies", BOTH)
def through_a_dict(header):
    return list(dict(good_parse(header)).items())


@wrong("parse_cookies", ODD, error=True)
def each_part_must_have_an_equals_sign(header):
    return [tuple(part.strip().split("=", 1)) for part in header.split("; ") if part]


@wrong("parse_cookies", BOTH)
def by_the_standard_library(header):
    return [(name, morsel.value) for name, morsel in SimpleCookie(header).items()]


@wrong("parse_cookies", ODD)
def stops_at_the_first_odd_one(header):
    pairs = []
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if not equals or not re.fullmatch(r"[\w.-]+", name):
            break
        pairs.append((name, value))
    return pairs


@wrong("parse_cookies", DECODED)
def as_it_comes(header):
    parts = [part.strip(" \t").partition("=") for part in header.split(";")]
    return [(name, value) for name, equals, value in parts if name and equals]


@wrong("parse_cookies", DECODED)
def what_is_no_utf8_replaced(header):
    return [(name, unquote(value.strip('"'))) for name, value in as_it_comes(header)]


@wrong("parse_cookies", STRIP)
def strip_without_an_argument(header):
    return [(name.strip(), value) for name, value in good_parse(header)]


FIRST = "name=value comes first, then the path"
ATTRIBUTES = "what is set comes, in Express's order, and what is not set does not"
EXPIRES = "expires is a date in GMT, as HTTP writes it, and 0 is one"
ENCODED = "the value is encoded as JavaScript's encodeURIComponent does"
NAMES = "what can't be a name is refused with ValueError"


def cookie(name, value, options, expires, *, date=format_date_time, encode=None):
    encoded = (encode or (lambda text: quote(text, safe="-_.!~*'()")))(value)
    parts = [f"{name}={encoded}"]
    parts += [f"Domain={options.domain}"] * bool(options.domain)
    parts += [f"Path={options.path}"]
    parts += [f"Expires={date(expires)}"] if expires is not None else []
    parts += ["HttpOnly"] * options.http_only + ["Secure"] * bool(options.secure)
    parts += [f"SameSite={options.same_site.capitalize()}"] if options.same_site else []
    return "; ".join(parts)


@wrong("format_set_cookie", FIRST)
def no_space_after_a_semicolon(name, value, options, *, expires=None):
    return cookie(name, value, options, expires).replace("; ", ";")


@wrong("format_set_cookie", FIRST)
def the_headers_name_as_well(name, value, options, *, expires=None):
    return "Set-Cookie: " + cookie(name, value, options, expires)


@wrong("format_set_cookie", ATTRIBUTES)
def flags_with_a_value(name, value, options, *, expires=None):
    return cookie(name, value, options, expires).replace("HttpOnly", "HttpOnly=True")


@wrong("format_set_cookie", FIRST)
def what_is_not_set_comes_too(name, value, options, *, expires=None):
    return f"{name}={value}; Domain={options.domain}; Path={options.path}"


@wrong("format_set_cookie", ATTRIBUTES)
def small_letters(name, value, options, *, expires=None):
    return cookie(name, value, options, expires).replace("Lax", "lax")


@wrong("format_set_cookie", EXPIRES)
def zero_is_no_date(name, value, options, *, expires=None):
    return cookie(name, value, options, expires or None)


@wrong("format_set_cookie", EXPIRES)
def a_date_as_json_has_it(name, value, options, *, expires=None):
    def iso(moment):
        return datetime.fromtimestamp(moment, UTC).isoformat()

    return cookie(name, value, options, expires, date=iso)


@wrong("format_set_cookie", ENCODED)
def as_quote_does(name, value, options, *, expires=None):
    return cookie(name, value, options, expires, encode=quote)


@wrong("format_set_cookie", ENCODED)
def as_a_form_does(name, value, options, *, expires=None):
    return cookie(name, value, options, expires, encode=quote_plus)


@wrong("format_set_cookie", ENCODED)
def not_encoded(name, value, options, *, expires=None):
    return cookie(name, value, options, expires, encode=str)


@wrong("format_set_cookie", NAMES)
def any_name(name, value, options, *, expires=None):
    return cookie(name, value, options, expires)


@wrong("format_set_cookie", NAMES)
def letters_alone_counted(name, value, options, *, expires=None):
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError("no name")
    return cookie(name, value, options, expires)


ALIKE = "a page whose path merely begins with the same letters does not get it"
BELOW = "the path itself, and all below it, get it"
ROOT = "a cookie of path / goes to every page"
SLASH = "a path that ends in a slash means what is below it, and not the page without the slash"
CASE = "upper and lower case differ"


@wrong("is_sent_to", ALIKE)
def anywhere_in_it(request_path, cookie_path):
    return cookie_path in request_path


@wrong("is_sent_to", ALIKE)
def the_first_bug_in_other_words(request_path, cookie_path):
    return request_path[: len(cookie_path)] == cookie_path


@wrong("is_sent_to", BELOW)
def the_very_page_alone(request_path, cookie_path):
    return request_path == cookie_path


@wrong("is_sent_to", BELOW)
def below_it_alone(request_path, cookie_path):
    return request_path.startswith(cookie_path + "/")


@wrong("is_sent_to", ROOT)
def a_slash_added_always(request_path, cookie_path):
    return request_path == cookie_path or request_path.startswith(cookie_path + "/")


@wrong("is_sent_to", SLASH)
def slashes_taken_away(request_path, cookie_path):
    cookie_path = cookie_path.rstrip("/")
    return request_path == cookie_path or request_path.startswith(cookie_path + "/")


@wrong("is_sent_to", CASE)
def in_small_letters(request_path, cookie_path):
    one, other = request_path.lower(), cookie_path.lower()
    rest = one[len(other) :]
    return one.startswith(other) and (other.endswith("/") or rest[:1] in ("", "/"))
