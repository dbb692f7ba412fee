"""The answer of a simulation: invoices with their arithmetic, and differences per customer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import groupby
from typing import Any

from rating.api.simulation_bodies import InsteadBody, SimulationBody
from rating.domain import simulation
from rating.domain.desired import Desired
from rating.domain.simulation import Difference, Premise, Rate
from rating.handlers.figures import licence_arithmetic
from rating.handlers.simulating import Stored
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeRated
from shared.kernel import conventions

Json = dict[str, Any]

PROTECTED = "price_protection: the term keeps its price until it ends"


def simulated_charges(body: SimulationBody, stored: Stored | None = None) -> Json:
    """`stored`: what rating knows of the body's stored customers.

    Raises:
        Invalid: `convention_unknown`.
    """
    stored = stored or Stored()
    subjects = (*(customer.subject() for customer in body.customers), *stored.subjects)
    book = body.prices.book(stored.book) if body.prices else stored.book
    rates = tuple(rate.conversion() for rate in body.rates)
    premise = Premise(subjects, book, body.through, rates=rates)
    found = simulation.simulate(premise)
    answer: Json = {
        "conventions": [_convention(subject.contract) for subject in subjects],
        "invoices": _invoices(found.charges, premise.rates),
        "holds": _holds(found),
    }
    if body.instead is not None:
        answer["instead"] = _instead(body.instead, premise, found)
    return answer


def _instead(instead: InsteadBody, premise: Premise, found: Desired) -> Json:
    terms, products = instead.terms(), instead.swap()
    rates = premise.rates
    if instead.rates is not None:
        rates = tuple(rate.conversion() for rate in instead.rates)
    other = replace(
        premise,
        subjects=tuple(simulation.altered(one, terms, products) for one in premise.subjects),
        book=instead.prices.book(premise.book) if instead.prices else premise.book,
        price_protection=instead.price_protection,
        rates=rates,
    )
    after = simulation.simulate(other)
    told: Json = {
        "invoices": _invoices(after.charges, other.rates),
        "holds": _holds(after),
        "difference": _difference(found, after, instead.price_protection),
    }
    if premise.rates or other.rates:
        told["conversion"] = _conversion(found, after, premise, other)
    return told


def _convention(contract: ContractChanged) -> Json:
    convention = conventions.parse(contract.convention)
    return {
        "contract_id": contract.contract_id,
        "convention": convention.name,
        "text": convention.text,
    }


def _invoices(charges: Sequence[ChargeRated], rates: Sequence[Rate]) -> list[Json]:
    def invoice(charge: ChargeRated) -> tuple[str, str]:
        return charge.contract_id, charge.bill_on.isoformat()

    answer = []
    for (contract_id, on), group in groupby(sorted(charges, key=invoice), key=invoice):
        lines = list(group)
        answer.append(
            {
                "customer_id": lines[0].customer_id,
                "contract_id": contract_id,
                "invoice_date": on,
                "currency": lines[0].currency,
                "net": _sum(line.amount for line in lines),
                "lines": [_line(line, rates) for line in lines],
            }
        )
    return answer


def _line(charge: ChargeRated, rates: Sequence[Rate]) -> Json:
    told = charge.model_dump(mode="json", exclude={"revision", "usage", "corrects"})
    told["arithmetic"] = licence_arithmetic(charge)
    found = simulation.converted(charge, rates)
    if found:
        amount, rate = found
        told["converted"] = {
            "amount": f"{amount:f}",
            "currency": rate.target_currency,
            "rate": f"{rate.rate:f}",
            "source": rate.source,
        }
    return told


def _difference(before: Desired, after: Desired, price_protection: bool) -> Json:
    lines = simulation.differences(before, after)
    totals: dict[tuple[str, str], Decimal] = {}
    for line in lines:
        key = (line.customer_id, line.currency)
        totals[key] = totals.get(key, Decimal(0)) + line.amount
    return {
        "lines": [_differing(line, price_protection) for line in lines],
        "by_customer": [
            {"customer_id": customer, "currency": currency, "difference": f"{amount:f}"}
            for (customer, currency), amount in sorted(totals.items())
        ],
    }


def _differing(line: Difference, price_protection: bool) -> Json:
    start, end = line.service_period
    return {
        "customer_id": line.customer_id,
        "contract_id": line.contract_id,
        "subscription_id": line.subscription_id,
        "product": line.product,
        "service_period": {"start": start.isoformat(), "end": end.isoformat()},
        "currency": line.currency,
        "before": f"{line.before:f}",
        "after": f"{line.after:f}",
        "difference": f"{line.amount:f}",
        "difference_exact": f"{line.exact:f}",
        "arithmetic": [licence_arithmetic(charge) for charge in line.causes],
        "billable": price_protection,
        "reason": None if price_protection else PROTECTED,
    }


def _conversion(before: Desired, after: Desired, premise: Premise, other: Premise) -> list[Json]:
    """What all charges come to in each currency that rates lead to, under both premises."""
    sums: dict[tuple[str, str], list[Decimal]] = {}
    for side, (found, rates) in enumerate(((before, premise.rates), (after, other.rates))):
        for charge in found.charges:
            converted = simulation.converted(charge, rates)
            if converted:
                key = (charge.customer_id, converted[1].target_currency)
                sums.setdefault(key, [Decimal(0), Decimal(0)])[side] += converted[0]
    return [
        {
            "customer_id": customer,
            "currency": currency,
            "before": f"{old:f}",
            "after": f"{new:f}",
            "difference": f"{new - old:f}",
        }
        for (customer, currency), (old, new) in sorted(sums.items())
    ]


def _holds(found: Desired) -> list[Json]:
    return [
        {"reason": hold.reason, "object": hold.object, "key": hold.key, "detail": hold.detail}
        for hold in sorted(found.holds)
    ]


def _sum(amounts: Iterable[Decimal]) -> str:
    return f"{sum(amounts, Decimal(0)):f}"
