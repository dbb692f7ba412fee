"""An export's way: ask, poll, load. Each step leaves its mark in the row, so any worker goes on."""

from __future__ import annotations

from ingest.clients.errors import ProviderBusy, ProviderError
from ingest.clients.graph import DownloadFailed, ExportExpired, Failed, Running
from ingest.clients.gunzip import Truncated
from ingest.domain.no_data import asked_again_at
from ingest.handlers.context import Context, retry_after
from ingest.handlers.file_work import NO_DATA, USAGE, Contended
from ingest.handlers.heartbeat import LeaseLost, kept
from ingest.handlers.loading import load
from ingest.store import exports
from ingest.store.exports import Export, Outcome
from shared.kernel.errors import Invalid

TRIES = 6
_EXPECTED = (
    ProviderError, DownloadFailed, ExportExpired, Truncated, Invalid, OSError,
)  # fmt: skip


async def advance_export(context: Context, export: Export) -> None:
    """Do the next step of a claimed export."""

    async def renew() -> bool:
        async with context.database.transaction(correlation_id=export.id) as tx:
            return await exports.beat_export(tx, export)

    try:
        async with kept(f"export {export.id}", renew, every_s=exports.LEASE_S / 3):
            await _step(context, export)
    except (Contended, LeaseLost) as other:
        await _later(context, export, reason=str(other), after_s=1.0, counts=False)
    except ExportExpired as expired:
        await _try_again(context, export, expired, afresh=True)
    except _EXPECTED as error:
        await _try_again(context, export, error, afresh=False)
    except Exception as defect:  # the last place that knows the export: it must not repeat for ever
        await _try_again(context, export, defect, afresh=False)
        raise  # the job logs it


async def _step(context: Context, export: Export) -> None:
    if export.operation_id is None:
        await _ask(context, export)
    else:
        await _poll(context, export, export.operation_id)


async def _ask(context: Context, export: Export) -> None:
    if export.invoice_number is not None:
        operation, wait = await context.graph.start_billed(export.kind, export.invoice_number)
    else:
        operation, wait = await context.graph.start_unbilled(
            export.kind, export.currency or "", export.period or ""
        )
    async with context.database.transaction(correlation_id=export.id) as tx:
        await exports.export_asked(tx, export, operation_id=operation, after_s=wait)


async def _poll(context: Context, export: Export, operation_id: str) -> None:
    found = await context.graph.poll(operation_id)
    if isinstance(found, Running):
        await _later(context, export, reason=None, after_s=found.after_s, counts=False)
    elif isinstance(found, Failed):
        words = f"{found.code}: {found.message}"
        await (_without_data if found.no_data else _fail)(context, export, words)
    else:
        await load(context, export, found)


async def _without_data(context: Context, export: Export, words: str) -> None:
    """Wait for the lines of an invoice, visibly; open usage that does not exist is an answer."""
    async with context.database.transaction(correlation_id=export.id) as tx:
        billed = not export.estimate
        again = asked_again_at(tx.now, ordered_at=export.requested_at, billed=billed)
        if again is not None:
            await exports.wait_for_data(tx, export, reason=words, until=again)
            return
        if export.kind == USAGE or not billed:
            await exports.finish_export(tx, export, Outcome("done", NO_DATA, reason=words))
            return
    await _fail(context, export, f"{words} (every invoice has lines)")


async def _later(
    context: Context, export: Export, *, reason: str | None, after_s: float, counts: bool,
    afresh: bool = False,
) -> None:  # fmt: skip
    async with context.database.transaction(correlation_id=export.id) as tx:
        await exports.retry_export(
            tx, export, reason=reason, after_s=after_s, counts=counts, afresh=afresh
        )


async def _try_again(context: Context, export: Export, error: Exception, *, afresh: bool) -> None:
    """Wait and repeat; what a repetition cannot mend is given up after a few tries, visibly."""
    lasting = not isinstance(error, ProviderBusy | ExportExpired | OSError)
    reason = _words(error)
    if lasting and export.attempts + 1 >= TRIES:
        await _fail(context, export, reason)
        return
    asked = error.after_s if isinstance(error, ProviderBusy) else None
    wait = retry_after(export.attempts, asked)
    await _later(context, export, reason=reason, after_s=wait, counts=True, afresh=afresh)


def _words(error: Exception) -> str:
    """What a person reads; a defect may have no words of its own, so its kind is said."""
    expected = isinstance(error, _EXPECTED)
    return (str(error) if expected else f"defect: {error!r}")[:500]


async def _fail(context: Context, export: Export, reason: str) -> None:
    async with context.database.transaction(correlation_id=export.id) as tx:
        await exports.finish_export(tx, export, Outcome("failed", reason=reason))
        await tx.record("export.failed", f"export/{export.id}", reason=reason)
