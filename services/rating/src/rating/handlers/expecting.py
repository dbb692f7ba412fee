"""The provider's side of one subscription, from what is kept about its customer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from rating.domain.ownership import covers
from rating.domain.pricing import PriceBook
from rating.domain.provider_expected import Expected, Premises, expected_of, shown, total
from rating.domain.provider_lines import DOCUMENTED_VERSION, Rounding
from rating.domain.timeline import Timeline
from rating.store import facts, price_sheets
from shared.contracts.invoicing import ContractChanged
from shared.kernel.errors import Invalid, NotFound
from shared.runtime.postgres import Reader


async def expected_provider_lines(
    reader: Reader,
    subscription_id: str,
    *,
    through: date,
    rounding: Rounding | None,
    currency: str | None,
) -> dict[str, Any]:
    """Every line that begins until a day, with its amounts and the changes that caused it.

    Raises:
        NotFound: `subscription_unknown`.
        Held: a price is missing, or the facts do not follow from each other.
    """
    customer = await facts.customer_of(reader, subscription_id)
    if customer is None:
        raise NotFound("subscription_unknown", f"there is no subscription {subscription_id}")
    timelines = await facts.timelines(reader, customer)
    timeline = timelines[subscription_id]
    rows = await price_sheets.sheet_rows(reader, {state.product.key for state in timeline.terms})
    contracts = (await facts.contracts_of(reader, [customer]))[customer]
    own = [c for c in contracts if covers(c, subscription_id)]
    if markets := {contract.market for contract in own if contract.market}:
        rows = [row for row in rows if row.market in markets]
    currency = currency or _currency(own, sorted({r.currency for r in rows}))
    premises = Premises(PriceBook.of((), rows), currency, through, timelines)
    found = expected_of(timeline, premises)
    return _answer(timeline, premises, found, rounding)


def _currency(own: Sequence[ContractChanged], sold_in: list[str]) -> str:
    """The provider prices licences in the customer's currency: the one its contract is in."""
    agreed = {contract.currency for contract in own} & set(sold_in)
    candidates = sorted(agreed) or sold_in
    if len(candidates) > 1:
        raise Invalid(
            "currency_ambiguous",
            f"the provider may charge in {', '.join(candidates)}; say which with ?currency=",
        )
    return candidates[0] if candidates else "USD"  # without a price, its absence is what is told


def _answer(
    timeline: Timeline, premises: Premises, found: Expected, rounding: Rounding | None
) -> dict[str, Any]:
    lines = [
        shown(line, rounding)
        | {
            "subscription": timeline.subscription_id,
            "source_change_ids": list(causes),
            "before_first_sight": earlier,
        }
        for line, causes, earlier in found.lines
    ]
    return {
        "subscription_id": timeline.subscription_id,
        "customer_id": timeline.customer_id,
        "currency": premises.currency,
        "through": premises.through.isoformat(),
        "rounding": rounding.value if rounding else DOCUMENTED_VERSION,
        "seats": found.seats,
        "lines": lines,
        "unexplained": [
            refusal.printed() | {"source_change_ids": list(causes)}
            for refusal, causes in found.unexplained
        ],
        "by_invoice_month": total(lines),
    }
