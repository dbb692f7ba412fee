"""What could not be used, with its reason and its own text: refused, never dropped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.runtime.postgres import Reader, Record, Transaction

MAX_RAW = 20_000

INSERT_QUARANTINED = """
INSERT INTO quarantine (source, source_id, line_number, code, detail, raw, at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (source, source_id, line_number) DO NOTHING
"""
LIST_QUARANTINE = """
SELECT id, source, source_id, line_number, code, detail, raw, at FROM quarantine
WHERE id > $1 AND ($2::text IS NULL OR source = $2) AND ($3::text IS NULL OR source_id = $3)
ORDER BY id LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One line of a source, why it is refused, and what it said."""

    line_number: int
    code: str
    detail: str
    raw: bytes


async def quarantine(
    tx: Transaction, source: str, source_id: str, refused: Iterable[Quarantined]
) -> None:
    rows: list[tuple[object, ...]] = [
        (
            source,
            source_id,
            r.line_number,
            r.code,
            r.detail[:1_000],
            readable(r.raw[:MAX_RAW]),
            tx.now,
        )
        for r in refused
    ]
    await tx.executemany(INSERT_QUARANTINED, rows)


def readable(raw: bytes) -> str:
    """The text of a raw line as Postgres can keep it."""
    return raw.decode(errors="replace").replace("\x00", "\ufffd")


async def list_quarantine(
    reader: Reader, *, after: int, source: str | None, source_id: str | None, limit: int
) -> list[Record]:
    return await reader.fetch(LIST_QUARANTINE, after, source, source_id, limit)
