"""One-time charges for what a PSA cannot know by itself: usage, purchases, minimums, promotions and
one-time items of a finalised invoice (A6).

Licences and their prorations are left out: there the PSA bills units that adjustments keep right,
at the price before promotions.
"""

from __future__ import annotations

from collections.abc import Mapping

from psa_connector.domain.drafts import Draft
from psa_connector.domain.line_texts import line_id, service_days
from psa_connector.domain.mapping import product_for, unmapped
from psa_connector.domain.operations import ContractCharge
from psa_connector.domain.push_keys import KeyKind
from shared.contracts.invoicing import InvoiceFinalised, TaxedLine
from shared.contracts.rating import ChargeKind

ONE_TIME = "one_time"
CHARGED_KINDS = frozenset(
    {ChargeKind.USAGE, ChargeKind.PURCHASE, ChargeKind.MINIMUM, ChargeKind.PROMOTION, ONE_TIME}
)
NAME_MAX = 100
DESCRIPTION_MAX = 2000


def draft_charges(invoice: InvoiceFinalised, mapped: Mapping[str, str]) -> list[Draft]:
    """One charge per usage, purchase, minimum, promotion and one-time line, in line order."""
    return [_draft(invoice, line, mapped) for line in invoice.lines if line.kind in CHARGED_KINDS]


def _draft(invoice: InvoiceFinalised, line: TaxedLine, mapped: Mapping[str, str]) -> Draft:
    product = product_for(line.product_key, line.kind, mapped)
    return Draft(
        source_id=line_id(invoice, line),
        key_kind=KeyKind.USAGE_CHARGE,
        subscription_id=line.subscription_id,
        operation=ContractCharge(
            product=product,
            name=line.product_name[:NAME_MAX],
            description=_description(invoice, line),
            charged_on=line.service_period.period().last_day,
            amount=line.net,
            # A cost in another currency would be read as one in the contract's: leave it out.
            cost=line.cost if line.cost_currency == invoice.currency else None,
        ),
        block=None if product.external_id else unmapped(product),
    )


def _description(invoice: InvoiceFinalised, line: TaxedLine) -> str:
    parts = [line.description, f"Service period {service_days(line)}"]
    if line.subscription_id:
        parts.append(f"Subscription {line.subscription_id}")
    parts.append(f"Invoice {invoice.number}, line {line.number}")
    if line.charge_id:
        parts.append(f"Trace {line.charge_id}")
    return "\n".join(parts)[:DESCRIPTION_MAX]
