"""Fetches a price sheet, reads it and publishes what is new in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO, TextIOWrapper
from zipfile import BadZipFile, ZipFile

import structlog

from ingest.clients.errors import ProviderBusy, ProviderError, ProviderRefused
from ingest.domain.price_sheets import (
    Basis,
    Sheet,
    read_price_sheet,
    sheet_events,
    sheet_id_again,
    sheet_id_of,
)
from ingest.handlers.context import Context, retry_after
from ingest.handlers.heartbeat import LeaseLost, kept
from ingest.store import price_sheets, quarantine
from ingest.store.price_sheets import Import, SheetFile
from ingest.store.quarantine import Quarantined
from shared.contracts.ingest import PriceSheetPublished
from shared.kernel.errors import Invalid
from shared.kernel.ids import derived_id, sha256_hex
from shared.runtime.postgres import Transaction

log = structlog.get_logger()

TRIES = 6
AFTER = timedelta(microseconds=1)
MAX_BYTES = 256 * 1024 * 1024
_ZIP = b"PK\x03\x04"


async def import_sheet(context: Context, claimed: Import) -> None:
    """Carry out a claimed import; its row says how it ended."""

    async def renew() -> bool:
        async with context.database.transaction(correlation_id=claimed.id) as tx:
            return await price_sheets.beat_import(tx, claimed)

    try:
        async with kept(f"import {claimed.id}", renew, every_s=price_sheets.LEASE_S / 3):
            await _import(context, claimed)
    except LeaseLost as lost:
        log.warning("price-sheet.lease-lost", reason=str(lost))  # what its holder commits counts
    except (ProviderError, OSError, Invalid) as error:
        await _retry(context, claimed, error)


async def _import(context: Context, claimed: Import) -> None:
    content = await context.partner_center.price_sheet(claimed.market, claimed.view)
    basis = context.choices.price_sheet_basis
    sheet, digest = await asyncio.to_thread(_read, content, claimed.currency, basis)
    async with context.database.transaction(correlation_id=claimed.id) as tx:
        if await price_sheets.hold_import(tx, claimed):
            await _publish(tx, claimed, sheet, basis, digest)


def _read(content: bytes, currency: str, basis: Basis) -> tuple[Sheet, str]:
    return read_price_sheet(_text_lines(content), currency=currency, basis=basis), sha256_hex(
        content
    )


def _text_lines(content: bytes) -> Iterator[str]:
    """The CSV, whether it came as it is or in a zip."""
    if len(content) > MAX_BYTES:
        raise Invalid("price_sheet_too_large", f"{len(content)} bytes")
    if not content.startswith(_ZIP):
        yield from TextIOWrapper(BytesIO(content), "utf-8-sig", errors="replace", newline="")
        return
    try:
        with ZipFile(BytesIO(content)) as archive:
            name = next((n for n in archive.namelist() if n.lower().endswith(".csv")), None)
            if name is None or archive.getinfo(name).file_size > MAX_BYTES:
                raise Invalid("price_sheet_columns", "the archive holds no usable CSV")
            with archive.open(name) as file:
                yield from TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
    except BadZipFile as error:
        raise Invalid("price_sheet_columns", "the archive is damaged") from error


async def _publish(
    tx: Transaction, claimed: Import, sheet: Sheet, basis: Basis, digest: str
) -> None:
    """Publish the sheet unless it is the latest one. One that comes back after another is published
    again, under an id of its own: it replaces that other one."""
    latest = await price_sheets.latest_sheet(tx, claimed)
    if latest and (latest["sha256"], latest["basis"]) == (digest, basis.value):
        sheet_id = latest["sheet_id"]
        await price_sheets.finish_import(tx, claimed, outcome="unchanged", sheet_id=sheet_id)
        return
    seen = await price_sheets.times_published(tx, claimed, basis=basis.value, sha256=digest)
    first = sheet_id_of(claimed.market, claimed.currency, claimed.view, basis, digest)
    sheet_id = sheet_id_again(first, seen + 1)
    head = PriceSheetPublished(
        sheet_id=sheet_id,
        market=claimed.market,
        currency=claimed.currency,
        view=claimed.view,
        part=1,
        parts=1,
        # Later than the sheet it replaces, also where the clock stands still.
        fetched_at=max(tx.now, latest["fetched_at"] + AFTER) if latest else tx.now,
        rows=(),
    )
    file = SheetFile(digest, claimed.view, basis.value, len(sheet.rows), len(sheet.refused))
    await price_sheets.keep_sheet(tx, head, file)
    for event in sheet_events(sheet.rows, sheet=head):
        await tx.publish(event, id=derived_id("price-sheet-part", sheet_id, event.part))
    refused = [Quarantined(r.line_number, r.code, r.detail, b"") for r in sheet.refused]
    await quarantine.quarantine(tx, "price-sheet", sheet_id, refused)
    await _record(tx, head, sheet, file)
    await price_sheets.finish_import(tx, claimed, outcome="published", sheet_id=sheet_id)


async def _record(
    tx: Transaction, head: PriceSheetPublished, sheet: Sheet, file: SheetFile
) -> None:
    await tx.record(
        "price-sheet.published",
        f"price-sheet/{head.sheet_id}",
        after={
            "market": head.market,
            "currency": head.currency,
            "basis": file.basis,
            "rows": file.rows,
            "refused": file.refused,
            "other_currencies": sheet.other_currencies,
            "higher_tiers": sheet.higher_tiers,
            "sha256": file.sha256,
        },
    )


async def _retry(context: Context, claimed: Import, error: Exception) -> None:
    asked = error.after_s if isinstance(error, ProviderBusy) else None
    final = isinstance(error, Invalid) or (
        isinstance(error, ProviderRefused) and claimed.attempts + 1 >= TRIES
    )
    async with context.database.transaction(correlation_id=claimed.id) as tx:
        await price_sheets.retry_import(
            tx,
            claimed,
            reason=str(error)[:500],
            after_s=retry_after(claimed.attempts, asked),
            give_up=final,
        )
        if final:
            thing = f"price-sheet-import/{claimed.id}"
            await tx.record("price-sheet.import-failed", thing, reason=str(error)[:500])
