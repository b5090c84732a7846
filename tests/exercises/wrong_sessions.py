"""What learners get wrong in chapter 4."""

import base64
import hashlib
import itertools
import json
import os
import random
import secrets
import string
import time
import uuid

from trial import wrong

from sessionlab import Session, encode_record

LENGTH = "an id is a text of 32 characters"
UNLIKE = "no two ids are alike"
ALPHABET = "all 64 characters of URL-safe base64 occur, and no others"
NO_SEED = "a seed does not decide what comes"
REAL_CHANCE = "each id takes 24 bytes of chance from the operating system"

URL_SAFE = string.ascii_letters + string.digits + "-_"
numbers = itertools.count(1000)
chance = random.Random()
made_once = secrets.token_urlsafe(24)


@wrong("new_id", LENGTH)
def a_uuid():
    return str(uuid.uuid4())


@wrong("new_id", LENGTH)
def in_hexadecimal():
    return secrets.token_hex(24)


@wrong("new_id", LENGTH)
def bytes_for_an_id():
    return base64.urlsafe_b64encode(os.urandom(24))


@wrong("new_id", LENGTH)
def the_default_number_of_bytes():
    return secrets.token_urlsafe()


@wrong("new_id", LENGTH)
def thirty_two_bytes():
    return secrets.token_urlsafe(32)


@wrong("new_id", LENGTH)
def a_counter():
    return str(next(numbers))


@wrong("new_id", LENGTH)
def the_time():
    return str(time.time_ns())


@wrong("new_id", UNLIKE)
def made_when_the_program_starts():
    return made_once


@wrong("new_id", UNLIKE)
def made_when_the_function_is_defined(made=secrets.token_urlsafe(24)):  # noqa: B008
    return made


@wrong("new_id", UNLIKE)
def a_hash_of_the_second():
    return hashlib.md5(str(int(time.time() / 60)).encode()).hexdigest()  # noqa: S324


@wrong("new_id", UNLIKE)
def a_seed_of_its_own():
    source = random.Random(time.strftime("%Y-%m-%d"))
    return "".join(source.choices(URL_SAFE, k=32))


@wrong("new_id", ALPHABET)
def a_uuid_without_dashes():
    return uuid.uuid4().hex


@wrong("new_id", ALPHABET)
def sixteen_bytes_in_hexadecimal():
    return secrets.token_hex(16)


@wrong("new_id", ALPHABET)
def the_standard_alphabet():
    return base64.b64encode(secrets.token_bytes(24)).decode()


@wrong("new_id", ALPHABET)
def letters_and_digits():
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))


@wrong("new_id", NO_SEED)
def the_module_for_games():
    return "".join(random.choices(URL_SAFE, k=32))


@wrong("new_id", NO_SEED)
def random_bytes_from_the_module_for_games():
    return base64.urlsafe_b64encode(random.randbytes(24)).decode()


@wrong("new_id", REAL_CHANCE)
def a_generator_of_its_own():
    return base64.urlsafe_b64encode(chance.randbytes(24)).decode()


@wrong("new_id", REAL_CHANCE)
def a_seed_for_each():
    random.seed(time.perf_counter_ns())
    return base64.urlsafe_b64encode(random.randbytes(24)).decode()


@wrong("new_id", REAL_CHANCE)
def a_hash_of_a_counter():
    digest = hashlib.sha256(f"{time.time()} {next(numbers)}".encode()).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()


@wrong("new_id", REAL_CHANCE)
def half_of_it_twice():
    return 2 * secrets.token_urlsafe(12)


IS_FOUND = "a server finds the data, beside the cookie"
IN_ORDER = "the cookie comes first, and the keys stay in their order"
COMPACT = "it is compact, to the last character what Express writes"
BEYOND_ASCII = "text beyond ASCII stands there as it is"
NO_NAN = "a number that JSON does not have is refused with ValueError"
TEXT_KEYS = "a key that is no text is refused with TypeError, however deep it is"
NO_SECOND_COOKIE = 'a key "cookie" in the data is refused with ValueError'


def compact(value, **options):
    options = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False, **options}
    return json.dumps(value, **options)


@wrong("write_record", IS_FOUND)
def a_dict(cookie, data):
    return {"cookie": cookie, **data}


@wrong("write_record", IS_FOUND)
def bytes_for_a_text(cookie, data):
    return compact({"cookie": cookie, **data}).encode()


@wrong("write_record", IS_FOUND)
def pythons_own_text(cookie, data):
    return str({"cookie": cookie, **data})


@wrong("write_record", IS_FOUND)
def the_data_one_deeper(cookie, data):
    return compact({"cookie": cookie, "data": data})


@wrong("write_record", IS_FOUND)
def the_data_alone(cookie, data):
    return compact(data)


@wrong("write_record", IS_FOUND)
def a_list(cookie, data):
    return compact([cookie, data])


@wrong("write_record", IN_ORDER)
def the_cookie_last(cookie, data):
    return compact({**data, "cookie": cookie})


@wrong("write_record", IN_ORDER)
def the_keys_sorted(cookie, data):
    return compact({"cookie": cookie, **data}, sort_keys=True)


@wrong("write_record", IN_ORDER)
def the_data_sorted(cookie, data):
    return compact({"cookie": cookie, **dict(sorted(data.items()))})


@wrong("write_record", COMPACT)
def with_spaces(cookie, data):
    return json.dumps({"cookie": cookie, **data})


@wrong("write_record", COMPACT)
def with_lines(cookie, data):
    return compact({"cookie": cookie, **data}, indent=0)


@wrong("write_record", COMPACT)
def a_comma_before_nothing(cookie, data):
    return f'{{"cookie":{compact(cookie)},{compact(data)[1:]}'


@wrong("write_record", BEYOND_ASCII)
def in_ascii(cookie, data):
    return compact({"cookie": cookie, **data}, ensure_ascii=True)


@wrong("write_record", NO_NAN)
def nan_let_through(cookie, data):
    return compact({"cookie": cookie, **data}, allow_nan=True)


@wrong("write_record", NO_NAN)
def nan_looked_for_at_the_top(cookie, data):
    if any(value != value for value in data.values()):
        raise ValueError("NaN")
    return compact({"cookie": cookie, **data}, allow_nan=True)


@wrong("write_record", TEXT_KEYS)
def keys_left_to_json(cookie, data):
    return compact({"cookie": cookie, **data})


@wrong("write_record", TEXT_KEYS)
def the_librarys_own_without_a_look_at_the_keys(cookie, data):
    return encode_record(cookie, data)


@wrong("write_record", TEXT_KEYS)
def keys_looked_at_at_the_top(cookie, data):
    if not all(isinstance(key, str) for key in data):
        raise TypeError("keys are text")
    return compact({"cookie": cookie, **data})


@wrong("write_record", TEXT_KEYS)
def keys_looked_at_in_dicts_alone(cookie, data):
    require_text_keys(data, lists=False)
    return compact({"cookie": cookie, **data})


@wrong("write_record", TEXT_KEYS, error=True)
def another_error(cookie, data):
    if json.loads(compact(data)) != data:
        raise ValueError("keys are text")
    return compact({"cookie": cookie, **data})


@wrong("write_record", NO_SECOND_COOKIE)
def the_data_over_the_cookie(cookie, data):
    require_text_keys(data)
    return compact({"cookie": cookie, **data})


@wrong("write_record", NO_SECOND_COOKIE)
def the_cookie_over_the_data(cookie, data):
    require_text_keys(data)
    return compact({"cookie": cookie, **data, "cookie": cookie})  # noqa: F601


@wrong("write_record", NO_SECOND_COOKIE)
def two_of_them(cookie, data):
    require_text_keys(data)
    return encode_record(cookie, data)


def require_text_keys(value, lists=True):
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys are text")
        value = list(value.values())
    elif not lists:
        return
    for item in value if isinstance(value, list) else []:
        require_text_keys(item, lists)


IS_IN = "after the log-in the user is in"
IS_DEAD = "the cookie of before the log-in is dead"
CART_STAYS = "the cart is kept"
ALL_STAYS = "whatever else there was is kept, and nothing need be there"
AGAIN = "a log-in on top of another one kills the cookie, too"


@wrong("log_in", IS_IN)
def the_user_written_first(session, user):
    session["user"] = user
    session.regenerate()


@wrong("log_in", IS_IN)
def another_session(session, user):
    session = Session(session._store)
    session["user"] = user
    session.save()


@wrong("log_in", IS_IN, error=True)
def destroyed(session, user):
    session.destroy()
    session["user"] = user


@wrong("log_in", IS_IN, error=True)
def as_in_javascript(session, user):
    session.user = user


@wrong("log_in", IS_DEAD)
def the_same_id(session, user):
    session["user"] = user


@wrong("log_in", IS_DEAD)
def merely_renewed(session, user):
    session.touch()
    session["user"] = user
    session.save()


@wrong("log_in", IS_DEAD)
def everything_cleared_but_the_id(session, user):
    session.clear()
    session["user"] = user


@wrong("log_in", IS_DEAD)
def only_without_a_cart(session, user):
    if "cart" not in session:
        session.regenerate(keep_data=True)
    session["user"] = user


@wrong("log_in", CART_STAYS)
def the_cart_lost(session, user):
    session.regenerate()
    session["user"] = user


@wrong("log_in", CART_STAYS)
def the_cart_looked_for_too_late(session, user):
    session.regenerate()
    session["user"] = user
    session["cart"] = session.get("cart", [])


@wrong("log_in", ALL_STAYS)
def the_cart_alone(session, user):
    cart = session.get("cart", [])
    session.regenerate()
    session.update(user=user, cart=cart)


@wrong("log_in", ALL_STAYS, error=True)
def a_cart_taken_for_granted(session, user):
    cart, theme = session["cart"], session.get("theme")
    session.regenerate()
    session.update(user=user, cart=cart, theme=theme)


@wrong("log_in", AGAIN)
def only_a_strangers_id(session, user):
    if "user" not in session:
        session.regenerate(keep_data=True)
    session["user"] = user


@wrong("log_in", AGAIN)
def only_once(session, user):
    if not session.get("log_ins"):
        session.regenerate(keep_data=True)
    session["user"] = user
    session["log_ins"] = session.get("log_ins", 0) + 1
