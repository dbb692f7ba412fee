"""From a fact to the operations it asks of one PSA: keys, targets, and what blocks them.

The planner knows kinds of operation, not vendors: a PSA that takes additions gets the invoice, one
that takes adjustments and charges gets licence changes at once and the rest with the invoice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeAlias

from psa_connector.domain.additions import AdditionRules, OpenAddition, draft_additions
from psa_connector.domain.adjustments import draft_adjustment
from psa_connector.domain.charges import draft_charges
from psa_connector.domain.drafts import Draft, Planned
from psa_connector.domain.mapping import Block, Place, Reason, product_for, product_keys
from psa_connector.domain.operations import OperationKind, kind_of, product_of
from psa_connector.domain.push_keys import push_key
from shared.contracts.invoicing import InvoiceFinalised, TaxedLine
from shared.contracts.rating import ChargeKind, LicenceChangeRated

Fact: TypeAlias = InvoiceFinalised | LicenceChangeRated


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What a connection takes and how."""

    kinds: frozenset[OperationKind]
    additions: AdditionRules = field(default_factory=AdditionRules)


def plan(
    fact: Fact,
    place: Place,
    *,
    rules: PlanRules,
    mapped: Mapping[str, str],
    still_open: Sequence[OpenAddition] = (),
) -> tuple[Planned, ...]:
    """What this PSA must be asked for; the same for the same fact and mappings, every time."""
    match fact:
        case LicenceChangeRated():
            drafts = _licence_change(fact, rules, mapped)
        case InvoiceFinalised():
            drafts = _invoice(fact, rules, mapped, still_open)
    return _all_or_report(tuple(_keyed(draft, place) for draft in drafts))


def by_contract(fact: Fact) -> list[Fact]:
    """A consolidated invoice in parts, one per contract and in its currency: a PSA maps contracts.

    Line numbers stay those of the invoice. Its taxes are of no contract; they go with the first one
    in the invoice's currency.
    """
    if not isinstance(fact, InvoiceFinalised) or not any(line.site for line in fact.lines):
        return [fact]
    lines: dict[tuple[str, str], list[TaxedLine]] = {}
    for line in fact.lines:
        place = (fact.contract_id, fact.currency)
        if line.site is not None:
            place = (line.site.contract_id, line.site.currency)
            own = {"net": line.site.net, "unit_price": line.site.unit_price}
            line = line.model_copy(update=own)
        lines.setdefault(place, []).append(line)
    taxed = next((place for place in lines if place[1] == fact.currency), None)
    return [_part(fact, place, own, leads=place == taxed) for place, own in lines.items()]


def _part(
    invoice: InvoiceFinalised, place: tuple[str, str], lines: list[TaxedLine], *, leads: bool
) -> InvoiceFinalised:
    contract_id, currency = place
    net = sum((line.net for line in lines), Decimal(0))
    tax = invoice.tax if leads else Decimal(0)
    return invoice.model_copy(
        update={
            "invoice_id": f"{invoice.invoice_id}/{contract_id}",
            "contract_id": contract_id,
            "currency": currency,
            "lines": tuple(lines),
            "taxes": invoice.taxes if leads else (),
            "net": net,
            "tax": tax,
            "total": net + tax,
        }
    )


def wanted_product_keys(fact: Fact) -> frozenset[str]:
    """Every product mapping that the plan of this fact may ask for."""
    return frozenset(key for keys in _asked_for(fact) for key in keys)


def _asked_for(fact: Fact) -> list[tuple[str, ...]]:
    match fact:
        case LicenceChangeRated():
            return [product_keys(fact.product.key, ChargeKind.RECURRING)]
        case InvoiceFinalised():
            lines = [product_keys(line.product_key, line.kind) for line in fact.lines]
            return lines + [product_keys(f"tax:{total.name}", "tax") for total in fact.taxes]


def missing_product_keys(planned: Sequence[Planned], fact: Fact) -> frozenset[str]:
    """The mappings that would unblock this plan; any of them is a reason to plan again."""
    products = [product_of(item.draft.operation) for item in planned]
    missing = {p.key for p in products if p is not None and p.external_id is None}
    return frozenset(key for keys in _asked_for(fact) if keys[0] in missing for key in keys)


def target_of(draft: Draft, place: Place) -> str:
    """The unit of ordering: an agreement or contract; for adjustments one service on it."""
    if kind_of(draft.operation) is OperationKind.SERVICE_ADJUSTMENT:
        return f"{place.target_id}/{draft.subscription_id}"
    return place.target_id


def _licence_change(
    entry: LicenceChangeRated, rules: PlanRules, mapped: Mapping[str, str]
) -> list[Draft]:
    if OperationKind.SERVICE_ADJUSTMENT not in rules.kinds:
        return []
    product = product_for(entry.product.key, ChargeKind.RECURRING, mapped)
    draft = draft_adjustment(entry, product)
    return [draft] if draft else []


def _invoice(
    invoice: InvoiceFinalised,
    rules: PlanRules,
    mapped: Mapping[str, str],
    still_open: Sequence[OpenAddition],
) -> list[Draft]:
    if OperationKind.ADDITION in rules.kinds:
        return draft_additions(invoice, mapped=mapped, still_open=still_open, rules=rules.additions)
    if OperationKind.CONTRACT_CHARGE in rules.kinds:
        return draft_charges(invoice, mapped)
    return []


def _keyed(draft: Draft, place: Place) -> Planned:
    return Planned(
        key=push_key(place.connection_id, draft.key_kind, draft.source_id),
        target=target_of(draft, place),
        draft=draft,
        block=draft.block,
    )


def _all_or_report(planned: tuple[Planned, ...]) -> tuple[Planned, ...]:
    """One blocked line blocks its invoice (G6); the others say which line it is."""
    reported = next(((item, item.block) for item in planned if item.block is not None), None)
    if reported is None:
        return planned
    culprit, block = reported
    companion = Block(Reason.INVOICE_BLOCKED, f"{culprit.draft.source_id}: {block.reason}")
    return tuple(replace(item, block=item.block or companion) for item in planned)
