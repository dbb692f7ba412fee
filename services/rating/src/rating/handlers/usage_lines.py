"""Single usage lines as people see them: address, price, rule, and the charge they belong to."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

from rating.domain.usage import Outcome
from rating.domain.usage_charges import Bin, UsageSum, UsageTerms, exact_sale
from rating.handlers.figures import plain
from rating.store.usage import StoredLine
from shared.kernel.money import EXACT, to_decimal

Json = dict[str, Any]


def line_json(line: StoredLine, terms: UsageTerms | None) -> Json:
    """A line; with the terms of its contract also what it is sold for, exactly."""
    key = line.key
    decision = key.decision
    told: Json = {
        "line_id": line.line_id,
        "file_id": line.file_id,
        "line_number": line.line_number,
        "src": line.src,
        "row": line.row,
        "usage_date": line.usage_date.isoformat(),
        "azure_subscription_id": key.azure_subscription_id,
        "meter_category": key.meter_category,
        "meter": key.meter_name,
        "meter_id": key.meter_id,
        "unit": key.unit,
        "quantity": plain(line.quantity),
        "unit_price": plain(key.unit_price),
        "effective_unit_price": plain(key.effective_unit_price),
        "pec_rate": plain(key.pec_rate),
        "pricing_currency": key.provider.pricing_currency,
        "cost_exact": plain(EXACT.multiply(line.quantity, key.effective_unit_price)),
        "outcome": decision.outcome.value,
        "rule_id": decision.rule_id,
        "rule_version": decision.rule_version,
        "ingest": f"/v1/usage-files/{line.file_id}/lines/{line.line_number}",
    }
    if terms is not None and decision.outcome is Outcome.RATED:
        told["sale_exact"] = plain(to_decimal(_sale(line, terms)))
        told["currency"] = terms.contract.currency
    return told


def charge_of(line: StoredLine, billing_month: date) -> str | None:
    """The id of the charge that sums up this line; None when it is in none."""
    decision = line.key.decision
    if decision.outcome is not Outcome.RATED or decision.contract_id is None:
        return None
    key = line.key
    place = Bin(key.azure_subscription_id, key.meter_category, key.usage_month, billing_month)
    return place.charge_id(decision.contract_id)


def _sale(line: StoredLine, terms: UsageTerms) -> Fraction:
    month = line.key.usage_month  # dates a rate only where the file did not
    alone = UsageSum(line.key, month, 1, line.quantity, frozenset({line.file_id}))
    return exact_sale(terms, alone)
