"""Keeps activity records; reports what the provider refused: somebody tried, nothing changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from ingest.clients.partner_center import Document
from ingest.domain.audit_records import FAILED, AuditRecord, Touch, read_audit_record
from ingest.domain.documents import fold
from ingest.store import audit_records
from shared.kernel.errors import Invalid
from shared.runtime.postgres import Transaction


def read_records(documents: Iterable[Document]) -> list[AuditRecord]:
    """The typed forms; a record without a time explains nothing and is left out."""
    found = []
    for document in documents:
        try:
            found.append(read_audit_record(document))
        except Invalid:
            continue
    return found


async def keep_records(
    tx: Transaction, records: Sequence[AuditRecord], *, account_id: str
) -> list[AuditRecord]:
    """Store records, report each refusal once. Returns those that are new."""
    fresh = await audit_records.keep_records(tx, records, account_id=account_id)
    for record in fresh:
        if record.status == FAILED:
            await _report_refusal(tx, record)
    return fresh


async def _report_refusal(tx: Transaction, record: AuditRecord) -> None:
    touches: Sequence[Touch | None] = record.touches or (None,)
    for touch in touches:
        thing = f"subscription/{touch.subscription_id}" if touch else f"audit-record/{record.key}"
        held, wished = _difference(touch)
        await tx.record(
            "provider.change-refused",
            thing,
            before=held,
            after={
                "wished": wished,
                "operation": record.operation,
                "by": record.actor,
                "at": record.at.isoformat(),
                "audit_record_id": record.key,
            },
            reason=record.words,
        )


def _difference(touch: Touch | None) -> tuple[JsonValue, JsonValue]:
    """The values that somebody wanted changed, before and as wished."""
    before: Mapping[str, Any] = fold(touch.before or {}) if touch else {}
    after: Mapping[str, Any] = fold(touch.after or {}) if touch else {}
    names = [n for n in after if after[n] != before.get(n) and _is_plain(after[n])]
    return {n: before.get(n) for n in names}, {n: after[n] for n in names}


def _is_plain(value: object) -> bool:
    return not isinstance(value, Mapping | list)
