"""Sign a value so that a change to it is noticed.  Notebook: 02-signing.

A signed value can be read by anyone who holds it; only its *integrity* is protected.
"""

import hmac
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache


class BadSignature(ValueError):
    """A value that none of the secrets has signed."""


def sign(value: str, secret: str) -> str:
    """Return ``<value>.<signature>``.

    The signature is HMAC-SHA256 in base64 with its padding removed: 43 characters, ``+`` and ``/``
    among them. Secret and value are taken as UTF-8.
    Source: RFC 2104 section 2; the same text as npm's cookie-signature.
    """
    return f"{value}.{_signature(value, secret)}"


def unsign(signed: str, secrets: str | Sequence[str]) -> str:
    """Return the value of a signed text. Of several secrets, any may have signed.

    Raises: ``BadSignature``, which says nothing of how the text differs.
    """
    value, _, signature = signed.rpartition(".")
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        # ``==`` stops at the first wrong character, and that time can be measured. Text beyond
        # ASCII, which is easily sent, is more than ``compare_digest`` takes.
        if signature.isascii() and hmac.compare_digest(_signature(value, secret), signature):
            return value
    raise BadSignature("no secret has signed this value")


def _signature(value: str, secret: str) -> str:
    keyed = _keyed(secret).copy()
    keyed.update(value.encode(errors="surrogatepass"))
    return b64encode(keyed.digest()).rstrip(b"=").decode()


@lru_cache(maxsize=64)
def _keyed(secret: str) -> hmac.HMAC:
    # To mix the key in is half of the work, and is the same for each value.
    return hmac.new(secret.encode(errors="surrogatepass"), digestmod="sha256")
