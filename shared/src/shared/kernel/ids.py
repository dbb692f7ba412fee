"""Identifiers: derived from their cause where there is one, time-ordered where there is none.

A derived id is the same on every replay, so the inbox of a consumer recognises the repeat.
"""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID, uuid5

NAMESPACE = UUID("5f1c2a60-9a64-5b1e-8f0e-7d2b6c1f4a11")


def derived_id(*parts: object) -> str:
    """UUIDv5 over the parts, in order. Parts are joined with a separator that none may contain."""
    texts = [str(p) for p in parts]
    if any("\x1f" in t for t in texts):
        raise ValueError("an id part contains the unit separator")
    return str(uuid5(NAMESPACE, "\x1f".join(texts)))


def new_id(unix_ms: int) -> str:
    """UUIDv7 for an origin: sorts by time. The caller passes the clock's milliseconds."""
    value = (unix_ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    return str(UUID(int=value))


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def bucket_of(key: str, buckets: int) -> int:
    """Stable bucket of a key: the same in every process, version and language."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % buckets
