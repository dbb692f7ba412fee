"""Callbacks of a PSA: who sent one is proved by its signature, what it says is only a hint.

Nothing in a callback is believed but that something may have changed; what is true is looked up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.kernel.errors import Invalid


@dataclass(frozen=True, slots=True)
class Hint:
    """Something may have changed."""

    kind: str  # agreement, company, productcatalog …, in lower case without spaces
    record_id: str


def verify(header: str | None, body: bytes, secret: str) -> None:
    """HMAC-SHA256 over the raw body, keyed by the SHA-256 of the shared secret, in Base64.

    Raises:
        Invalid: `signature_missing`, `signature_wrong`.
    """
    if not header:
        raise Invalid("signature_missing", "the callback carries no x-content-signature")
    key = hashlib.sha256(secret.encode()).digest()
    expected = base64.b64encode(hmac.new(key, body, hashlib.sha256).digest())
    if not hmac.compare_digest(expected, header.strip().encode()):
        raise Invalid("signature_wrong", "the signature is not the one of this body")


def require_own_host(key_url: str, allowed: Iterable[str]) -> None:
    """A secret is fetched from the hosts of the connection only: whoever posts names the address.

    Raises:
        Invalid: `key_url_not_allowed`.
    """
    origins = {urlsplit(url)[:2] for url in allowed}
    try:
        parts = urlsplit(key_url)
    except ValueError as error:
        raise Invalid("key_url_not_allowed", "key_url is no address") from error
    if parts[:2] not in origins or parts.username or "\\" in key_url:
        raise Invalid("key_url_not_allowed", "key_url names a host that is not the connection's")
