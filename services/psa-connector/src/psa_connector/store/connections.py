"""Connections to PSAs. Credentials are stored sealed; who talks to the vendor opens them."""

from __future__ import annotations

from psa_connector.domain.connection import Connection
from shared.runtime.postgres import Reader, Record, Transaction

PUT = """
INSERT INTO connection (id, vendor, base_url, credentials, settings, version, changed_at)
VALUES ($1, $2, $3, $4, $5, 1, $6)
ON CONFLICT (id) DO UPDATE SET
    base_url = EXCLUDED.base_url, credentials = EXCLUDED.credentials,
    settings = EXCLUDED.settings, version = connection.version + 1,
    changed_at = EXCLUDED.changed_at, paused_until = 'epoch',
    pause_reason = NULL, pause_detail = NULL, paused_since = NULL
RETURNING *
"""
GET = "SELECT * FROM connection WHERE id = $1"
LOCK = "SELECT * FROM connection WHERE id = $1 FOR UPDATE"
IDS = "SELECT id FROM connection ORDER BY id"
LIST = "SELECT * FROM connection WHERE id > $1 ORDER BY id LIMIT $2"
PAUSE = """
UPDATE connection SET
    paused_until = greatest(paused_until, clock_timestamp() + $2 * interval '1 second'),
    pause_reason = $3, pause_detail = $4,
    paused_since = CASE WHEN paused_until > clock_timestamp() THEN paused_since ELSE $5 END
WHERE id = $1
"""
PAUSED = """
SELECT id, pause_reason, pause_detail, paused_since FROM connection
WHERE paused_until > clock_timestamp() AND pause_reason IS NOT NULL ORDER BY id
"""


async def put(tx: Transaction, connection: Connection) -> Connection:
    """Create or replace; a pause ends, since what caused it may be repaired."""
    row = await tx.fetchrow(
        PUT, connection.id, connection.vendor, connection.base_url, dict(connection.credentials),
        dict(connection.settings), tx.now,
    )  # fmt: skip
    if row is None:
        raise RuntimeError("an upsert returns its row")
    return connection_of(row)


async def get(reader: Reader, connection_id: str) -> Connection | None:
    row = await reader.fetchrow(GET, connection_id)
    return None if row is None else connection_of(row)


async def lock(tx: Transaction, connection_id: str) -> Connection | None:
    row = await tx.fetchrow(LOCK, connection_id)
    return None if row is None else connection_of(row)


async def listing(reader: Reader, *, after: str, limit: int) -> list[Connection]:
    return [connection_of(row) for row in await reader.fetch(LIST, after, limit)]


async def ids(reader: Reader) -> frozenset[str]:
    return frozenset(row["id"] for row in await reader.fetch(IDS))


async def pause(
    tx: Transaction, connection_id: str, seconds: float, *, reason: str, detail: str
) -> None:
    """No request to this PSA for a while, from any replica."""
    await tx.execute(PAUSE, connection_id, seconds, reason, detail, tx.now)


async def paused(reader: Reader) -> list[Record]:
    return await reader.fetch(PAUSED)


def connection_of(row: Record, prefix: str = "") -> Connection:
    return Connection(
        id=row[f"{prefix}id"],
        vendor=row[f"{prefix}vendor"],
        base_url=row[f"{prefix}base_url"],
        credentials=row[f"{prefix}credentials"],
        settings=row[f"{prefix}settings"],
        version=row[f"{prefix}version"],
    )
