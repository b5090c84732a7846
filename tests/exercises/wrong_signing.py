"""What learners get wrong in chapter 2."""

import base64
import hashlib
import hmac

from trial import wrong

from sessionlab import BadSignature
from sessionlab import sign as good_sign

VALUE_FIRST = "the value comes first, then a dot"
KEYED = "another secret makes another signature"
LENGTH = "the signature is 43 characters of base64, without padding"
AS_NODE = "it is the very text that Node's cookie-signature makes, and our middleware takes"
UTF8 = "text beyond ASCII is signed as UTF-8"


def mac(key, message):
    return hmac.new(key.encode(), message.encode(), hashlib.sha256)


def base64_of(digest):
    return base64.b64encode(digest).decode()


@wrong("sign", VALUE_FIRST)
def the_signature_alone(value, secret):
    return base64_of(mac(secret, value).digest()).rstrip("=")


@wrong("sign", VALUE_FIRST)
def a_colon_for_a_dot(value, secret):
    return f"{value}:{base64_of(mac(secret, value).digest()).rstrip('=')}"


@wrong("sign", VALUE_FIRST)
def bytes_for_text(value, secret):
    return good_sign(value, secret).encode()


@wrong("sign", KEYED)
def a_hash_without_a_secret(value, secret):
    return f"{value}.{base64_of(hashlib.sha256(value.encode()).digest()).rstrip('=')}"


@wrong("sign", LENGTH)
def hexadecimal(value, secret):
    return f"{value}.{mac(secret, value).hexdigest()}"


@wrong("sign", LENGTH)
def padded(value, secret):
    return f"{value}.{base64_of(mac(secret, value).digest())}"


@wrong("sign", LENGTH)
def url_safe_and_padded(value, secret):
    return f"{value}.{base64.urlsafe_b64encode(mac(secret, value).digest()).decode()}"


@wrong("sign", AS_NODE)
def key_and_message_exchanged(value, secret):
    return f"{value}.{base64_of(mac(value, secret).digest()).rstrip('=')}"


@wrong("sign", AS_NODE)
def a_plain_hash_of_both(value, secret):
    digest = hashlib.sha256((secret + value).encode()).digest()
    return f"{value}.{base64_of(digest).rstrip('=')}"


@wrong("sign", UTF8, error=True)
def ascii_alone(value, secret):
    signature = hmac.new(secret.encode("ascii"), value.encode("ascii"), hashlib.sha256).digest()
    return f"{value}.{base64_of(signature).rstrip('=')}"


@wrong("sign", UTF8)
def what_is_odd_left_out(value, secret):
    signature = hmac.new(secret.encode(), value.encode("ascii", "ignore"), hashlib.sha256).digest()
    return f"{value}.{base64_of(signature).rstrip('=')}"


COMES_BACK = "what was signed comes back"
DOTS = "a value with dots in it comes back whole"
FORGED = "a forged value is refused with BadSignature"
ROTATION = "a secret of last year still verifies, and a stranger's does not"
EXACT = "a signature that merely means the same bytes is refused"
BEYOND_ASCII = "a signature beyond ASCII is refused with BadSignature, too"
CONSTANT_TIME = "the comparison takes the same time wherever the first wrong character stands"


def matches(signed, secret):
    value, _, signature = signed.rpartition(".")
    expected = good_sign(value, secret).rpartition(".")[2]
    return hmac.compare_digest(expected.encode(), signature.encode())


@wrong("unsign", COMES_BACK)
def true_for_the_value(signed, secrets):
    return True


@wrong("unsign", COMES_BACK)
def the_whole_text(signed, secrets):
    return signed


@wrong("unsign", DOTS, error=True)
def split_at_each_dot(signed, secrets):
    value, _ = signed.split(".")
    if any(matches(signed, secret) for secret in secrets):
        return value
    raise BadSignature("no")


@wrong("unsign", DOTS)
def split_at_the_first_dot(signed, secrets):
    if any(matches(signed, secret) for secret in secrets):
        return signed.partition(".")[0]
    raise BadSignature("no")


@wrong("unsign", FORGED)
def false_for_an_error(signed, secrets):
    if any(matches(signed, secret) for secret in secrets):
        return signed.rpartition(".")[0]
    return False


@wrong("unsign", FORGED)
def nothing_compared(signed, secrets):
    return signed.rpartition(".")[0]


@wrong("unsign", ROTATION)
def the_newest_secret_alone(signed, secrets):
    if not matches(signed, secrets[0]):
        raise BadSignature("no")
    return signed.rpartition(".")[0]


@wrong("unsign", EXACT)
def decoded_before_compared(signed, secrets):
    value, _, signature = signed.rpartition(".")
    try:
        came = base64.b64decode(signature.strip().rstrip("=") + "=")
    except ValueError:
        came = b""
    for secret in secrets:
        if hmac.compare_digest(came, mac(secret, value).digest()):
            return value
    raise BadSignature("no")


@wrong("unsign", BEYOND_ASCII)
def text_compared(signed, secrets):
    value, _, signature = signed.rpartition(".")
    for secret in secrets:
        expected = good_sign(value, secret).rpartition(".")[2]
        if hmac.compare_digest(expected, signature):
            return value
    raise BadSignature("no")


@wrong("unsign", CONSTANT_TIME)
def compared_with_equals(signed, secrets):
    value = signed.rpartition(".")[0]
    if any(good_sign(value, secret) == signed for secret in secrets):
        return value
    raise BadSignature("no")


NAMED = "it is a header with a cookie named connect.sid"
FOOLS = "the server takes it for the admin's"


@wrong("forge", NAMED)
def the_signed_id_alone(secret, session_id):
    return good_sign(session_id, secret)


@wrong("forge", NAMED)
def the_headers_name_in_it(secret, session_id):
    return "Cookie: connect.sid=s:" + good_sign(session_id, secret)


@wrong("forge", FOOLS)
def without_the_mark(secret, session_id):
    return "connect.sid=" + good_sign(session_id, secret)


@wrong("forge", FOOLS)
def the_mark_signed_too(secret, session_id):
    return "connect.sid=" + good_sign("s:" + session_id, secret)


@wrong("forge", FOOLS)
def unsigned(secret, session_id):
    return f"connect.sid=s:{session_id}"
