"""Which customer rule priced a licence charge, why it won, and why the others lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rating.domain import rules
from rating.domain.pricing import PUBLISHED, chosen_rule
from rating.domain.rules import Rule, RuleKind
from rating.handlers.terms import rules_for
from rating.store.price_json import scope_to_json
from shared.contracts.ingest import LicenceProduct, SubscriptionChanged
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.runtime.postgres import Reader

KEY_PARTS = 4  # product, SKU, term, billing plan


async def price_choice(
    reader: Reader,
    charge: ChargeRated,
    contract: ContractChanged,
    changes: Sequence[SubscriptionChanged],
) -> dict[str, Any] | None:
    """The choice as the rules in the books make it now; None where no rule was chosen. What the
    charge was rated with is in its price, and `agrees` says whether that still is the winner."""
    parts = charge.product.key.split(":")
    as_of = charge.price.price_as_of
    if charge.kind is ChargeKind.PROMOTION or as_of is None or len(parts) != KEY_PARTS:
        return None
    segment = changes[0].product.segment if changes else "commercial"
    product = LicenceProduct(
        product_id=parts[0], sku_id=parts[1], term=parts[2], billing_plan=parts[3], segment=segment
    )
    known = await rules_for(reader, contract, RuleKind.LICENCE)
    choice = chosen_rule(known, contract, product, as_of)
    won = (choice.rule.rule_id, choice.rule.version) if choice.rule else None
    rated = (charge.price.rule_id, charge.price.rule_version)
    return {
        "as_of": as_of.isoformat(),
        "won": _rule(choice.rule) if choice.rule else None,
        "reason": choice.reason,
        "lost": [_rule(one.rule) | {"reason": one.reason} for one in choice.lost],
        "order": list(rules.ORDER),
        "unit_price_rounding": PUBLISHED,
        "agrees": won == rated if won else charge.price.rule_version == 0,
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "rule_id": rule.rule_id,
        "version": rule.version,
        "text": rules.text(rule.price),
        "scope": scope_to_json(rule.scope),
        "priority": rule.priority,
        "valid_from": rule.valid_from.isoformat(),
    }
