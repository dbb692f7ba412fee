"""Loads one version of a data set; a version that is in already is skipped, and that is said."""

from __future__ import annotations

from ingest.clients.graph import Manifest
from ingest.domain.documents import Fields
from ingest.domain.usage_lines import Totals
from ingest.handlers.context import Context
from ingest.handlers.file_work import UNCHANGED, Loading
from ingest.handlers.invoice_loading import load_invoice
from ingest.handlers.usage_loading import load_usage
from ingest.store import provider_files
from ingest.store.exports import Export
from ingest.store.provider_files import ProviderFile
from shared.kernel.ids import derived_id
from shared.kernel.periods import Period, add_months, month_of, utc_day

USAGE = "usage"


async def load(context: Context, export: Export, manifest: Manifest) -> None:
    """Bring a version in completely and finish its export."""
    file = _file_of(export, manifest, await _billing_period(context, export))
    async with context.database.transaction(actor="provider", correlation_id=export.id) as tx:
        await provider_files.open_file(tx, file, blobs=len(manifest.blobs))
    loading = Loading(context, export, manifest, file.file_id)
    async with loading.transaction() as (tx, known):
        if known.closed:
            await loading.finish(tx, UNCHANGED, "this version is loaded already")
            return
    await (load_usage(loading) if export.kind == USAGE else load_invoice(loading))


def _file_of(export: Export, manifest: Manifest, period: Period | None) -> ProviderFile:
    return ProviderFile(
        file_id=derived_id("provider-file", export.kind, export.data_set, manifest.version),
        kind=export.kind,
        data_set=export.data_set,
        version=manifest.version,
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
