"""Loads one version of a data set. The latest one once more is skipped, and that is said; one that
comes back after another is a version of its own, because it replaces that other one.
"""

from __future__ import annotations

from ingest.clients.graph import Manifest
from ingest.domain.documents import Fields
from ingest.domain.usage_lines import Totals
from ingest.handlers.context import Context
from ingest.handlers.file_work import UNCHANGED, USAGE, Loading
from ingest.handlers.invoice_loading import load_invoice
from ingest.handlers.usage_loading import load_usage
from ingest.store import exports, provider_files
from ingest.store.exports import Export
from ingest.store.provider_files import ProviderFile
from shared.kernel.ids import derived_id
from shared.kernel.periods import Period, add_months, month_of, utc_day
from shared.runtime.postgres import Transaction


async def load(context: Context, export: Export, manifest: Manifest) -> None:
    """Bring a version in completely and finish its export."""
    period = await _billing_period(context, export)
    async with context.database.transaction(actor="provider", correlation_id=export.id) as tx:
        file = await _opened(tx, export, manifest, period)
        await exports.loads_file(tx, export, file.file_id)
    loading = Loading(context, export, manifest, file.file_id)
    async with loading.transaction() as (tx, known):
        if known.closed:
            await loading.finish(tx, UNCHANGED, "this version is loaded already")
            return
    await (load_usage(loading) if export.kind == USAGE else load_invoice(loading))


async def _opened(
    tx: Transaction, export: Export, manifest: Manifest, period: Period | None
) -> ProviderFile:
    """The file this export began, the latest one, or a new one."""
    await provider_files.hold_data_set(tx, export.kind, export.data_set)
    begun = await provider_files.find_file(tx, export.file_id) if export.file_id else None
    latest = await provider_files.latest_of(tx, export.kind, export.data_set)
    for known in (begun, latest):
        if known is not None and known.etag == manifest.version:
            return known
    seen = await provider_files.times_seen(tx, export.kind, export.data_set, manifest.version)
    file = _file_of(export, manifest, period, times=seen + 1)
    await provider_files.open_file(tx, file, blobs=len(manifest.blobs))
    return file


def _file_of(
    export: Export, manifest: Manifest, period: Period | None, *, times: int
) -> ProviderFile:
    version = manifest.version if times == 1 else f"{manifest.version}#{times}"
    return ProviderFile(
        file_id=derived_id("provider-file", export.kind, export.data_set, version),
        account_id=export.account_id,
        kind=export.kind,
        data_set=export.data_set,
        etag=manifest.version,
        version=version,
        invoice_number=export.invoice_number,
        billing_period=period,
        estimate=export.estimate,
        closed=False,
        lines_read=0,
        batches=0,
        totals=Totals(),
        quarantined=0,
    )


async def _billing_period(context: Context, export: Export) -> Period | None:
    """The provider's billing month: of the invoice, or the open month that was asked for.

    None where the invoice is not visible; the lines tell it then.
    """
    if export.invoice_number is None:
        this_month = month_of(utc_day(export.requested_at))
        if export.period == "current":
            return this_month
        return month_of(add_months(this_month.start, -1))
    invoice = await context.partner_center.invoice(export.invoice_number)
    started = Fields(invoice).day("billingPeriodStartDate") if invoice is not None else None
    return month_of(started) if started else None
