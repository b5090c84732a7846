"""Sign a value so that a change to it is noticed.  Notebook: 02-signing.

A signed value can be read by anyone who holds it; only its *integrity* is protected.
"""

import hmac
from base64 import b64encode
from collections.abc import Sequence


class BadSignature(ValueError):
    """A value that none of the secrets has signed."""


def sign(value: str, secret: str) -> str:
    """Return ``<value>.<signature>``.

    The signature is HMAC-SHA256 in base64 with its padding removed: 43 characters, ``+`` and ``/``
    among them. Secret and value are taken as UTF-8.
    Source: RFC 2104 section 2; the same text as npm's cookie-signature.
    """
    digest = hmac.digest(secret.encode(), _bytes(value), "sha256")
    return f"{value}.{b64encode(digest).rstrip(b'=').decode()}"


def unsign(signed: str, secrets: str | Sequence[str]) -> str:
    """Return the value of a signed text. Of several secrets, the newest stands first and any may
    have signed.

    Raises: ``BadSignature``, which says nothing of how the text differs.
    """
    value, _, _ = signed.rpartition(".")
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        expected = sign(value, secret)
        # ``==`` stops at the first wrong character, and that time can be measured. Bytes, because
        # ``compare_digest`` refuses text beyond ASCII, which is easily sent.
        if hmac.compare_digest(_bytes(expected), _bytes(signed)):
            return value
    raise BadSignature("no secret has signed this value")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
