"""The key under which a PSA record of ours is found again, the same for ever for the same cause.

No PSA has idempotency keys. Our key travels inside the record where the vendor has room for it, and
is unique in our own ledger everywhere, so that planning twice plans once.
"""

from __future__ import annotations

import base64
import hashlib
from enum import StrEnum

from shared.kernel.errors import Invalid

PREFIX = "bcs-"
DIGEST_CHARS = 26  # 130 bits; the whole key has 30 characters and fits every vendor's 50


class KeyKind(StrEnum):
    """What causes a record. Part of the key: never rename a value."""

    INVOICE_LINE = "invoice_line"
    INVOICE_LINE_CLOSE = "invoice_line_close"
    LICENCE_CHANGE = "lcl"
    USAGE_CHARGE = "usage_charge"
    CORRECTION = "correction"
    HEAL = "heal"


def push_key(connection_id: str, kind: KeyKind, source_id: str, revision: int = 1) -> str:
    """The key of one record in one PSA.

    Raises:
        Invalid: `key_part_invalid` when a part contains the separator, which could make two causes
            share a key.
    """
    parts = (connection_id, kind.value, source_id, str(revision))
    if any("|" in part for part in parts):
        raise Invalid("key_part_invalid", f"a part of {parts} contains the separator |")
    digest = hashlib.sha256("|".join(parts).encode()).digest()
    return PREFIX + base64.b32encode(digest).decode().lower()[:DIGEST_CHARS]
