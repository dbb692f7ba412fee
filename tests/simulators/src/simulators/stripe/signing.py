"""`Stripe-Signature: t=…,v1=…`: HMAC-SHA256 over time, a point and the raw body."""

from __future__ import annotations

import hashlib
import hmac


def signature(secret: str, body: bytes, at: int) -> str:
    """The header for one attempt at second `at`."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
