"""Whether a webhook was really sent by the provider: HMAC-SHA256 over the raw bytes.

Stripe's scheme: header `t=<unix>,v1=<hex>[,v1=<hex>]`, signed payload `<t>.<body>`. Several secrets
may be active while one replaces another.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.kernel.errors import Invalid

TOLERANCE = timedelta(seconds=300)


def verify(header: str | None, body: bytes, *, secrets: Sequence[str], now: datetime) -> datetime:
    """The instant at which the sender signed.

    Raises:
        Invalid: `signature_missing`, `signature_malformed`, `signature_mismatch`,
            `signature_expired`.
    """
    if not header:
        raise Invalid("signature_missing", "the webhook carries no signature")
    stamp, offered = _parts(header)
    payload = stamp.encode() + b"." + body
    expected = [hmac.new(s.encode(), payload, hashlib.sha256).hexdigest() for s in secrets]
    # Every pair is compared, so that the time it takes says nothing about any of them.
    matches = [hmac.compare_digest(e.encode(), o.encode()) for e in expected for o in offered]
    if not any(matches):
        raise Invalid("signature_mismatch", "the webhook is not signed with a secret of ours")
    signed_at = datetime.fromtimestamp(int(stamp), tz=now.tzinfo)
    if abs(now - signed_at) > TOLERANCE:
        raise Invalid("signature_expired", "the webhook was signed at another time than now")
    return signed_at


def _parts(header: str) -> tuple[str, list[str]]:
    stamp, offered = "", []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            stamp = value
        elif name == "v1":
            offered.append(value)
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 10) or not offered:
        raise Invalid("signature_malformed", "the signature header cannot be read")
    return stamp, offered
