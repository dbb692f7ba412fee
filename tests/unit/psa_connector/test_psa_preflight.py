"""Preflight C1: everything that must be true in the PSA before the first write of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from psa_connector.domain.additions import AdditionRules, draft_additions
from psa_connector.domain.adjustments import draft_adjustment
from psa_connector.domain.mapping import Reason
from psa_connector.domain.operations import Operation, Product
from psa_connector.domain.preflight import (
    BillingCycle,
    Expectation,
    ProductFacts,
    TargetFacts,
    check,
    products_needed,
)
from support.psa_facts import ANNUAL, MONTHLY, alder_may, change, day

MAPPED = {ANNUAL: "501", MONTHLY: "502", "onboarding": "503"}
ADDITIONS: tuple[Operation, ...] = tuple(
    draft.operation
    for draft in draft_additions(alder_may(), mapped=MAPPED, still_open=(), rules=AdditionRules())
)
EXPECTED = Expectation("7001", "250", "USD", ADDITIONS)
AGREEMENT = TargetFacts(company_id="250", currency="USD")
PRODUCTS = {id: ProductFacts(id) for id in ("501", "502", "503")}


def reasons(
    *, target: TargetFacts | None = AGREEMENT, products: Any = None, **expected: Any
) -> list[Reason]:
    blocks = check(
        replace(EXPECTED, **expected), target, PRODUCTS if products is None else products
    )
    return [block.reason for block in blocks]


def test_a_fitting_agreement_passes_c1() -> None:
    """And the products asked about are the mapped ones."""
    assert reasons() == []
    assert products_needed(ADDITIONS) == {"501", "502", "503"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"company_id": "251"}, Reason.AGREEMENT_COMPANY_MISMATCH),
        ({"currency": "EUR"}, Reason.CURRENCY_MISMATCH),
        ({"active": False}, Reason.AGREEMENT_INACTIVE),
        ({"prorates": True}, Reason.AGREEMENT_PRORATES),
        ({"cycle": BillingCycle.OTHER}, Reason.BILLING_CYCLE_UNSUPPORTED),
        ({"invoiced_before": day("2026-06-01")}, Reason.PERIOD_ALREADY_INVOICED),
    ],
)
def test_an_unfit_agreement_blocks_with_its_reason_c1(
    facts: dict[str, Any], expected: Reason
) -> None:
    """One fact wrong, one reason."""
    assert reasons(target=replace(AGREEMENT, **facts)) == [expected]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"active": False}, Reason.PRODUCT_INACTIVE),
        ({"bundle": True}, Reason.PRODUCT_BUNDLE),
        ({"reprices": True}, Reason.PRODUCT_AUTO_REPRICE),
    ],
)
def test_an_unfit_product_blocks_with_its_reason_c1(
    facts: dict[str, Any], expected: Reason
) -> None:
    """One product wrong, one reason."""
    unfit = PRODUCTS | {"502": replace(PRODUCTS["502"], **facts)}

    assert reasons(products=unfit) == [expected]


def test_what_the_psa_does_not_know_is_unmapped_g5() -> None:
    """A mapping to something deleted is no mapping."""
    assert reasons(target=None) == [Reason.UNMAPPED_AGREEMENT]
    assert reasons(products={}) == [Reason.UNMAPPED_PRODUCT] * 3


def test_all_reasons_are_told_at_once_c1() -> None:
    """A person fixes them in one go."""
    unfit = replace(AGREEMENT, prorates=True, currency="EUR", active=False)

    assert set(reasons(target=unfit)) == {
        Reason.AGREEMENT_PRORATES,
        Reason.CURRENCY_MISMATCH,
        Reason.AGREEMENT_INACTIVE,
    }


def test_one_time_and_allowed_cycles_pass_c1() -> None:
    """Others need the connection's setting."""
    other = replace(AGREEMENT, cycle=BillingCycle.OTHER)

    assert reasons(target=replace(AGREEMENT, cycle=BillingCycle.ONCE)) == []
    assert reasons(target=other, other_cycles_allowed=True) == []


def test_a_period_not_yet_invoiced_passes_c4() -> None:
    """May is next, or something before it is."""
    assert reasons(target=replace(AGREEMENT, invoiced_before=day("2026-05-01"))) == []


def adjusting(effective: str) -> tuple[Operation, ...]:
    draft = draft_adjustment(change("e", 30, 22, effective), Product("E3", "77"))
    assert draft is not None
    return (draft.operation,)


def test_a_contract_must_take_services_a1() -> None:
    """Other contract types have no units to adjust."""
    hours = replace(AGREEMENT, takes_services=False)
    wanted = {"operations": adjusting("2026-06-09"), "products": {"77": ProductFacts("77")}}

    assert reasons(target=hours, **wanted) == [Reason.CONTRACT_NOT_RECURRING]


@pytest.mark.parametrize(
    ("effective", "expected"),
    [
        ("2026-05-31", [Reason.OUTSIDE_CONTRACT_DATES]),
        ("2026-06-01", []),
        ("2027-05-31", []),
        ("2027-06-01", [Reason.OUTSIDE_CONTRACT_DATES]),
    ],
)
def test_a_change_outside_the_contract_blocks_a3(effective: str, expected: list[Reason]) -> None:
    """Both ends of the contract count as inside."""
    year = replace(AGREEMENT, starts_on=day("2026-06-01"), ends_on=day("2027-05-31"))
    wanted = {"operations": adjusting(effective), "products": {"77": ProductFacts("77")}}

    assert reasons(target=year, **wanted) == expected
