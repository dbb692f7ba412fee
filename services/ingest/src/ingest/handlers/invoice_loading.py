"""Lines of a provider invoice: all of them at once, because a line's identity counts its repeats.

Purchases are published; licence and meter lines are kept for reconciliation. What cannot be read or
has an unknown charge type is quarantined, and its money stays visible there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from ingest.domain.accounts import DEFAULT
from ingest.domain.reconciliation import (
    InvoiceLine,
    main_month,
    purchase_event,
    purchase_ids,
    read_invoice_line,
    withdrawn,
)
from ingest.domain.usage_lines import Totals
from ingest.handlers.downloading import chunks_of
from ingest.handlers.file_work import LOADED, Contended, Loading
from ingest.store import provider_files, provider_lines, quarantine
from ingest.store.provider_files import Progress, ProviderFile
from ingest.store.provider_lines import StoredLine
from ingest.store.quarantine import Quarantined
from shared.kernel.errors import Invalid
from shared.kernel.ids import derived_id
from shared.kernel.money import EXACT
from shared.kernel.periods import Period, add_months, month_of, utc_day
from shared.runtime.http import loads
from shared.runtime.postgres import Transaction

MAX_LINES = 1_000_000


@dataclass(frozen=True, slots=True)
class Invoice:
    """What an export of an invoice holds."""

    lines: tuple[StoredLine, ...]
    refused: tuple[Quarantined, ...]


async def load_invoice(loading: Loading) -> None:
    """Store every line, publish the purchases, close the version."""
    raw: list[bytes] = []
    size = loading.context.choices.chunk_lines
    chunks = chunks_of(loading.context.graph, loading.manifest, skip=0, size=size)
    async with aclosing(chunks):
        async for chunk in chunks:
            raw += chunk
            if len(raw) > MAX_LINES:
                raise Invalid("invoice_too_large", f"more than {MAX_LINES} lines")
    invoice = await asyncio.to_thread(read_invoice, raw, loading.export.account_id)
    async with loading.transaction() as (tx, file):
        if file.closed:
            raise Contended(f"file {file.file_id} is loaded")
        if await loading.overtaken(tx, file):
            return
        await _commit(tx, loading, file, invoice, raw)
        await loading.finish(tx, LOADED)


def read_invoice(raw: Sequence[bytes], account_id: str = DEFAULT) -> Invoice:
    """The lines, each with its derived id, and those that a person has to look at."""
    read: list[InvoiceLine] = []
    refused: list[Quarantined] = []
    for number, line in enumerate(raw, start=1):
        if not line.strip():
            continue
        try:
            read.append(_line(line, number))
        except Invalid as reason:
            refused.append(Quarantined(number, reason.code, reason.detail, line))
    refused += [
        Quarantined(x.number, "charge_type_unknown", x.charge_type, raw[x.number - 1])
        for x in read
        if not x.known_charge_type
    ]
    stored = (
        StoredLine(line, line_id, line.kind.is_purchase and line.known_charge_type)
        for line, line_id in zip(read, purchase_ids(read, account_id), strict=True)
    )
    return Invoice(tuple(stored), tuple(refused))


def _line(raw: bytes, number: int) -> InvoiceLine:
    try:
        document = loads(raw)
    except ValueError as error:
        raise Invalid("line_malformed", str(error)[:200]) from error
    if not isinstance(document, dict):
        raise Invalid("line_malformed", "the line is not an object")
    return read_invoice_line(document, number=number)


async def _commit(
    tx: Transaction, loading: Loading, file: ProviderFile, invoice: Invoice, raw: Sequence[bytes]
) -> None:
    period = file.billing_period or _period_of(loading, invoice)
    await provider_files.set_billing_period(tx, file.file_id, period)
    await provider_lines.keep_lines(tx, file.file_id, invoice.lines)
    await quarantine.quarantine(tx, "reconciliation", file.file_id, invoice.refused)
    for first, piece in _pieces(raw, loading.context.choices.chunk_lines):
        joined = b"\n".join(piece)
        await provider_lines.keep_chunk(
            tx, file.file_id, first_line=first, lines=len(piece), raw_bytes=len(joined),
            content=provider_lines.compress(joined),
        )  # fmt: skip
    published = [stored for stored in invoice.lines if stored.published]
    for stored in published:
        await _publish(tx, file, stored.line, stored.line_id, period)
    gone = await _withdraw_missing(tx, file)
    totals = _totals(invoice)
    progress = Progress(len(raw), 0, totals, len(invoice.refused))
    await provider_files.advance(tx, file.file_id, progress)
    await provider_files.close_file(tx, file.file_id)
    await tx.record(
        "provider-invoice.loaded",
        f"provider-file/{file.file_id}",
        after={
            "data_set": file.data_set,
            "version": file.version,
            "lines": len(invoice.lines),
            "purchases": len(published),
            "withdrawn": gone,
            "quarantined": len(invoice.refused),
            "subtotal": f"{totals.billing_pretax:f}",
        },
    )


async def _publish(
    tx: Transaction, file: ProviderFile, line: InvoiceLine, line_id: str, billing: Period
) -> None:
    event = purchase_event(
        line, purchase_id=line_id, billing=billing, data_set=file.data_set, version=file.version
    )
    await tx.publish(event, id=derived_id("provider-purchase", line_id, file.version))


async def _withdraw_missing(tx: Transaction, file: ProviderFile) -> int:
    """Tell that purchases of earlier versions are worth nothing now; how many there are.

    Price and quantity belong to a purchase's identity, so a corrected line is another purchase, and
    what the earlier one was charged for has to be taken back.
    """
    missing = await provider_lines.missing_lines(tx, file)
    for known in missing:
        line = withdrawn(_line(known.raw, known.number))
        await _publish(tx, file, line, known.line_id, known.billing)
    return len(missing)


def _pieces(raw: Sequence[bytes], size: int) -> Iterator[tuple[int, Sequence[bytes]]]:
    for start in range(0, len(raw), size):
        yield start + 1, raw[start : start + size]


def _totals(invoice: Invoice) -> Totals:
    totals = Totals()
    for stored in invoice.lines:
        totals = Totals(
            totals.lines + 1,
            EXACT.add(totals.quantity, stored.line.quantity),
            EXACT.add(totals.billing_pretax, stored.line.subtotal),
        )
    return totals


def _period_of(loading: Loading, invoice: Invoice) -> Period:
    """The month most lines are charged from; without lines, the one before it was asked for."""
    told = main_month(stored.line for stored in invoice.lines)
    if told is not None:
        return told
    asked = month_of(utc_day(loading.export.requested_at))
    return month_of(add_months(asked.start, -1))
