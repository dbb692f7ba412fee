"""Usage, chunk by chunk: each chunk's batches and its progress commit together.

A crash loses at most the chunk under way; the next attempt skips the lines that are committed, and
a repeated chunk has the same numbers, because chunks are cut at fixed line numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from ingest.handlers.downloading import chunks_of
from ingest.handlers.file_work import LOADED, Contended, Loading
from ingest.handlers.usage_chunks import Chunk, ChunkStart, first_billing_month, prepare
from ingest.store import provider_files, provider_lines, quarantine
from ingest.store.provider_files import Progress, ProviderFile
from shared.contracts.envelope import PeriodField
from shared.contracts.ingest import ControlTotal, UsageBatchRecorded, UsageFileClosed
from shared.kernel.ids import derived_id
from shared.kernel.periods import Period, add_months, month_of, utc_day
from shared.runtime.postgres import Transaction


async def load_usage(loading: Loading) -> None:
    """Publish every line of the version, then close it with its control totals."""
    async with loading.transaction() as (_, file):
        done = file.lines_read
    size = loading.context.choices.chunk_lines
    chunks = chunks_of(loading.context.graph, loading.manifest, skip=done, size=size)
    async with aclosing(chunks):
        async for raw in chunks:
            await _take_chunk(loading, raw, done)
            done += len(raw)
    async with loading.transaction() as (tx, file):
        if file.lines_read != done:
            raise Contended(f"file {file.file_id} moved to line {file.lines_read}")
        if not file.closed:
            if await loading.overtaken(tx, file):
                return
            await _close(tx, file, _period_of(loading, file, ()))
        await loading.finish(tx, LOADED)


async def _take_chunk(loading: Loading, raw: Sequence[bytes], done: int) -> None:
    async with loading.transaction() as (tx, file):
        _require(file, done)
        period = _period_of(loading, file, raw)
        await provider_files.set_billing_period(tx, file.file_id, period)
    start = ChunkStart(
        file_id=file.file_id,
        data_set=file.data_set,
        invoice_number=file.invoice_number,
        billing_month=f"{period.start:%Y-%m}",
        estimate=file.estimate,
        first_line=done + 1,
        first_batch=file.batches,
    )
    chunk = await asyncio.to_thread(prepare, raw, start)
    async with loading.transaction() as (tx, file):
        _require(file, done)
        await _commit(tx, file, chunk, lines=len(raw))


def _require(file: ProviderFile, done: int) -> None:
    if file.lines_read != done or file.closed:
        raise Contended(f"file {file.file_id} is at line {file.lines_read}, not {done}")


async def _commit(tx: Transaction, file: ProviderFile, chunk: Chunk, *, lines: int) -> None:
    for batch in chunk.batches:
        event = UsageBatchRecorded(src=batch.src, bucket=batch.bucket, frame=batch.frame)
        await tx.publish(event, id=derived_id("usage-batch", batch.src))
    await quarantine.quarantine(tx, "usage", file.file_id, chunk.refused)
    await provider_lines.keep_chunk(
        tx,
        file.file_id,
        first_line=file.lines_read + 1,
        lines=lines,
        raw_bytes=chunk.raw_bytes,
        content=chunk.content,
    )
    progress = Progress(
        lines_read=file.lines_read + lines,
        batches=file.batches + len(chunk.batches),
        totals=chunk.totals(file.totals),
        quarantined=file.quarantined + len(chunk.refused),
    )
    await provider_files.advance(tx, file.file_id, progress)


async def _close(tx: Transaction, file: ProviderFile, period: Period) -> None:
    totals = file.totals
    control = ControlTotal(
        batches=file.batches,
        lines=totals.lines,
        quantity=totals.quantity,
        billing_pretax=totals.billing_pretax,
    )
    event = UsageFileClosed(
        file_id=file.file_id,
        data_set=file.data_set,
        version=file.version,
        invoice_number=file.invoice_number,
        billing_period=PeriodField.of(period),
        estimate=file.estimate,
        control=control,
        quarantined=file.quarantined,
    )
    await provider_files.set_billing_period(tx, file.file_id, period)
    await provider_files.close_file(tx, file.file_id)
    await tx.publish(event, id=derived_id("usage-file-closed", file.file_id))
    await tx.record(
        "usage-file.closed",
        f"usage-file/{file.file_id}",
        after={
            "data_set": file.data_set,
            "version": file.version,
            "lines_read": file.lines_read,
            "lines": totals.lines,
            "quarantined": file.quarantined,
            "batches": file.batches,
            "billing_pretax": f"{totals.billing_pretax:f}",
        },
    )


def _period_of(loading: Loading, file: ProviderFile, raw: Sequence[bytes]) -> Period:
    """The file's billing month: known, told by its first lines, or the month before it was asked
    for, which is the one that a provider bills."""
    asked = month_of(utc_day(loading.export.requested_at))
    billed = month_of(add_months(asked.start, -1))
    return file.billing_period or first_billing_month(raw) or billed
