"""Why a charge is what it is: the arithmetic, its sources, and whether the sums still agree.

Everything is computed from the facts by the functions that made the charge; a check that fails says
that the facts moved since, or that something is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

from rating.domain import revisions
from rating.domain.allocations import SOURCE_PREFIX, Allocation
from rating.domain.proration import provider_share
from rating.domain.usage_charges import PRODUCT_PREFIX, Bin, UsageSum, exact_sale, meter_costs
from rating.handlers.choices import price_choice
from rating.handlers.figures import licence_arithmetic, licence_exact, plain, then_rounded
from rating.handlers.terms import usage_terms
from rating.handlers.usage_lines import line_json
from rating.store import allocations, charges, facts, usage, usage_files
from rating.store.charges import Revision
from shared.contracts.ingest import SubscriptionChanged
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeKind, ChargeRated, ProrationBasis
from shared.kernel import conventions
from shared.kernel.errors import NotFound
from shared.kernel.money import EXACT, Rounding, exponent, round_to, to_decimal
from shared.runtime.postgres import Reader

LINES_SHOWN = 100
GROUPS_SHOWN = 20

Json = dict[str, Any]


async def explain(reader: Reader, charge_id: str, revision: int | None = None) -> Json:
    """The whole explanation of one revision of a charge, by default of the current one.

    Raises:
        NotFound: `charge_unknown`, `revision_unknown`.
    """
    history = await charges.revisions(reader, charge_id)
    if not history:
        raise NotFound("charge_unknown", f"there is no charge {charge_id}")
    latest = history[-1].charge
    asked = latest.revision if revision is None else revision
    charge = next((one.charge for one in history if one.charge.revision == asked), None)
    if charge is None:
        raise NotFound("revision_unknown", f"charge {charge_id} has no revision {asked}")
    rounding = conventions.parse((await _contract(reader, charge)).convention).rounding_text
    told: Json = {
        "charge": charge.model_dump(mode="json"),
        "withdrawn": revisions.is_withdrawn(charge),
        "latest": _latest(latest),
        "revisions": [_revision(one) for one in history],
        "amount": {
            "exact": f"{charge.amount_exact:f}",
            "rounded": f"{charge.amount:f}",
            "currency": charge.currency,
            "rounding": f"{rounding}, {exponent(charge.currency)} digits, once",
        },
        "price": charge.price.model_dump(mode="json"),
        "corrects": await _corrected(reader, charge),
    }
    match charge.kind:
        case ChargeKind.RECURRING | ChargeKind.PRORATION | ChargeKind.PROMOTION:
            return told | await _licence(reader, charge)
        case ChargeKind.USAGE | ChargeKind.MINIMUM if charge is not latest:
            return told | await _replaced_usage(reader, charge)
        case ChargeKind.USAGE:
            return told | await _usage(reader, charge)
        case ChargeKind.MINIMUM:
            return told | await _minimum(reader, charge)
        case ChargeKind.PURCHASE:
            return told | await _purchase(reader, charge)


async def _licence(reader: Reader, charge: ChargeRated) -> Json:
    changes = await facts.changes_by_id(reader, charge.source_ids)
    own = [x.removeprefix(SOURCE_PREFIX) for x in charge.source_ids if x.startswith(SOURCE_PREFIX)]
    shared = await allocations.by_ids(reader, own)
    entries = await charges.entries_of_changes(reader, charge.source_ids)
    share = charge.proration
    exact = licence_exact(charge)
    contract = await _contract(reader, charge)
    return {
        "arithmetic": licence_arithmetic(charge),
        "price_choice": await price_choice(reader, charge, contract, changes),
        "proration": _proration(share) if share else None,
        "cost": _cost(charge),
        "sources": [_change(change) for change in changes] + [_allocation(x) for x in shared],
        "log_entries": [entry.model_dump(mode="json") for entry in entries],
        "checks": [
            _check("quantity × unit price × share = exact amount", exact, charge.amount_exact),
            _check("sources known", len(charge.source_ids), len(changes) + len(shared)),
        ],
    }


async def _usage(reader: Reader, charge: ChargeRated) -> Json:
    place, contract = bin_of(charge), await _contract(reader, charge)
    terms = await usage_terms(reader, contract)
    found = await usage.sums(reader, contract.contract_id)
    sums = [one for one in found if Bin.of(one) == place]
    exact = sum((exact_sale(terms, one) for one in sums), Fraction(0))
    costs = meter_costs(sums)
    shown = await usage.lines_of(
        reader, contract.contract_id, place_of(place), after=(0, -1), limit=LINES_SHOWN
    )
    basis = charge.usage
    lines = sum(one.lines for one in sums)
    parts = " + ".join(plain(to_decimal(exact_sale(terms, one))) for one in sums[:GROUPS_SHOWN])
    parts += " + …" if len(sums) > GROUPS_SHOWN else ""
    total = then_rounded(charge.amount_exact, charge)
    return {
        "arithmetic": f"{parts} = {total}" if len(sums) > 1 else total,
        "usage": basis.model_dump(mode="json") if basis else None,
        "groups": [_group(one, to_decimal(exact_sale(terms, one))) for one in sums],
        "cost": _cost(charge) | {"meters": [_plain(asdict(cost)) for cost in costs]},
        "sources": [await _file(reader, file_id) for file_id in charge.source_ids],
        "lines": [line_json(line, terms) for line in shown],
        "lines_total": lines,
        "checks": [
            _check("Σ groups = exact amount", to_decimal(exact), charge.amount_exact),
            _check("Σ meter costs = cost", sum((c.cost for c in costs), Decimal(0)), charge.cost),
            _check("lines", lines, basis.lines if basis else 0),
        ],
    }


async def _replaced_usage(reader: Reader, charge: ChargeRated) -> Json:
    """A revision before the current one. The lines behind it were replaced or priced anew, so what
    is left of it are the figures that were published, and the files they came from."""
    basis = charge.usage
    files = charge.source_ids if charge.kind is ChargeKind.USAGE else ()
    return {
        "arithmetic": f"as rated then: {then_rounded(charge.amount_exact, charge)}",
        "usage": basis.model_dump(mode="json") if basis else None,
        "cost": _cost(charge),
        "sources": [await _file(reader, file_id) for file_id in files],
        "checks": [],
    }


async def _minimum(reader: Reader, charge: ChargeRated) -> Json:
    counted = await charges.published(
        reader, charge.contract_id, (ChargeKind.USAGE,), charge.subscription_id
    )
    month = charge.service_period
    usages = [one for one in counted.values() if one.service_period == month]
    used = sum((one.amount for one in usages), Decimal(0))
    return {
        "arithmetic": f"{charge.price.rule_text} − {used:f} = {_rounded(charge)}",
        "cost": _cost(charge),
        "sources": [
            {
                "kind": "usage_charge",
                "charge_id": one.charge_id,
                "description": one.description,
                "amount": f"{one.amount:f}",
            }
            for one in sorted(usages, key=lambda one: one.charge_id)
        ],
        "checks": [],
    }


async def _purchase(reader: Reader, charge: ChargeRated) -> Json:
    purchase = await facts.purchase(reader, charge.source_ids[0])
    unit = charge.price.unit_price or Decimal(0)
    exact = to_decimal(Fraction(charge.quantity) * Fraction(unit))
    source: Json = {"kind": "provider_purchase", "purchase_id": charge.source_ids[0]}
    if purchase is not None:
        source |= purchase.model_dump(mode="json")
    total = then_rounded(charge.amount_exact, charge)
    return {
        "arithmetic": f"{charge.quantity:f} × {unit:f} = {total}",
        "cost": _cost(charge),
        "sources": [source],
        "checks": [_check("quantity × unit price = exact amount", exact, charge.amount_exact)],
    }


def bin_of(charge: ChargeRated) -> Bin:
    """The usage that a usage charge sums up.

    Raises:
        NotFound: `charge_without_usage` for charges of another kind.
    """
    if charge.usage is None or charge.subscription_id is None:
        raise NotFound("charge_without_usage", f"{charge.charge_id} sums up no usage lines")
    return Bin(
        charge.subscription_id,
        charge.product.key.removeprefix(PRODUCT_PREFIX),
        charge.usage.usage_month.start,
        charge.usage.billing_month.start,
    )


def place_of(place: Bin) -> tuple[str, str, Any, Any]:
    return (
        place.azure_subscription_id,
        place.meter_category,
        place.usage_month,
        place.billing_month,
    )


async def _contract(reader: Reader, charge: ChargeRated) -> ContractChanged:
    contract = await facts.contract(reader, charge.contract_id)
    if contract is None:
        raise NotFound("contract_unknown", f"there is no contract {charge.contract_id}")
    return contract


async def _corrected(reader: Reader, charge: ChargeRated) -> Json | None:
    if charge.corrects is None:
        return None
    found = (await charges.by_ids(reader, [charge.corrects])).get(charge.corrects)
    return found.model_dump(mode="json") if found else {"charge_id": charge.corrects}


async def _file(reader: Reader, file_id: str) -> Json:
    file = await usage_files.find_file(reader, file_id)
    known: Json = {"kind": "usage_file", "file_id": file_id}
    if file is None:
        return known
    return known | {
        "data_set": file.data_set,
        "version": file.control.version if file.control else None,
        "provider_invoice": file.invoice_number,
        "billing_month": f"{file.billing_month:%Y-%m}",
        "state": file.state,
        "ingest": f"/v1/usage-files/{file_id}",
    }


def _change(change: SubscriptionChanged) -> Json:
    source = change.source
    return {
        "kind": "subscription_change",
        "change_id": change.change_id,
        "change": change.kind.value,
        "subscription_id": change.subscription_id,
        "quantity_before": change.quantity_before,
        "quantity_after": change.quantity_after,
        "effective_at": change.effective_at.isoformat(),
        "detected_at": change.detected_at.isoformat(),
        "channel": source.channel,
        "audit_record_id": source.audit_record_id,
        "webhook_id": source.webhook_id,
        "actor": source.actor,
        "estimated_time": source.estimated_time,
        "ingest": f"/v1/changes/{change.change_id}",
    }


def _allocation(fact: Allocation) -> Json:
    return {
        "kind": "allocation",
        "allocation_id": fact.allocation_id,
        "allocation": fact.kind.value,
        "effective_on": fact.effective_on.isoformat(),
        "sites": {site.contract_id: site.seats for site in fact.sites},
        "cause": fact.cause,
    }


def _revision(one: Revision) -> Json:
    return {
        "revision": one.charge.revision,
        "amount": f"{one.charge.amount:f}",
        "quantity": f"{one.charge.quantity:f}",
        "rated_at": one.rated_at.isoformat(),
        "cause": one.cause,
    }


def _latest(charge: ChargeRated) -> Json:
    return {
        "revision": charge.revision,
        "amount": f"{charge.amount:f}",
        "withdrawn": revisions.is_withdrawn(charge),
    }


def _rounded(charge: ChargeRated) -> str:
    return f"{charge.amount:f} {charge.currency}"


def _group(one: UsageSum, sale: Decimal) -> Json:
    key = one.key
    return {
        "meter": key.meter_name,
        "meter_id": key.meter_id,
        "lines": one.lines,
        "quantity": plain(one.quantity),
        "unit_price": plain(key.unit_price),
        "pec_rate": plain(key.pec_rate),
        "pricing_currency": key.provider.pricing_currency,
        "rule_id": key.decision.rule_id,
        "rule_version": key.decision.rule_version,
        "sale_exact": plain(sale),
    }


def _cost(charge: ChargeRated) -> Json:
    unit = charge.price.unit_cost
    return {
        "amount": f"{charge.cost:f}",
        "currency": charge.cost_currency,
        "unit_cost": f"{unit:f}" if unit is not None else None,
        "arithmetic": _cost_arithmetic(charge),
    }


def _cost_arithmetic(charge: ChargeRated) -> str | None:
    """How a licence's unit cost leads to its cost: the provider cuts the unit cost of a part of a
    cycle and then multiplies. None where units and unit cost do not make up the cost."""
    unit, places = charge.price.unit_cost, exponent(charge.cost_currency)
    if unit is None:
        return None
    text = f"{plain(unit)}"
    if charge.proration is not None:
        cycle, part = charge.proration.cycle.period(), charge.service_period.period()
        share = provider_share(part, cycle, charge.effective_at)
        unit = round_to(Fraction(unit) * share, places, Rounding.DOWN)
        text = f"({text} × {share * cycle.days}/{cycle.days}, cut to {unit:f})"
    if EXACT.multiply(charge.quantity, unit) != charge.cost:
        return None
    return f"{plain(charge.quantity)} × {text} = {charge.cost:f} {charge.cost_currency}"


def _proration(basis: ProrationBasis) -> Json:
    told = conventions.parse(basis.convention).text
    return basis.model_dump(mode="json") | {"convention_text": told}


def _check(name: str, expected: Decimal | int, found: Decimal | int) -> Json:
    return {
        "name": name,
        "expected": plain(Decimal(expected)),
        "found": plain(Decimal(found)),
        "holds": expected == found,
    }


def _plain(values: Json) -> Json:
    return {
        name: plain(value) if isinstance(value, Decimal) else value
        for name, value in values.items()
    }


def charge_list(found: Sequence[ChargeRated]) -> list[Json]:
    """Charges as the API shows them in lists."""
    return [charge.model_dump(mode="json") for charge in found]
