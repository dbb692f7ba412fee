"""What rating does with each event; HTTP routes and jobs call the same functions."""

from __future__ import annotations

from rating.handlers.contracts import on_contract_changed, on_cycle_closed
from rating.handlers.licences import (
    on_purchase_recorded,
    on_renewal_scheduled,
    on_subscription_changed,
)
from rating.handlers.price_book import on_price_sheet_published
from rating.handlers.rating_usage import on_usage_batch_recorded, on_usage_file_closed
from shared.contracts.ingest import (
    PriceSheetPublished,
    ProviderPurchaseRecorded,
    RenewalScheduled,
    SubscriptionChanged,
    UsageBatchRecorded,
    UsageFileClosed,
)
from shared.contracts.invoicing import ContractChanged, CycleClosed
from shared.runtime.handlers import Handlers

HANDLERS: Handlers = {
    SubscriptionChanged: on_subscription_changed,
    RenewalScheduled: on_renewal_scheduled,
    ProviderPurchaseRecorded: on_purchase_recorded,
    PriceSheetPublished: on_price_sheet_published,
    UsageBatchRecorded: on_usage_batch_recorded,
    UsageFileClosed: on_usage_file_closed,
    ContractChanged: on_contract_changed,
    CycleClosed: on_cycle_closed,
}
