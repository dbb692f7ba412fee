"""Planning: which facts go to which PSA, under which keys, in which order; all or report."""

from __future__ import annotations

from decimal import Decimal

import pytest

from psa_connector.domain.mapping import (
    Block,
    ContractMapping,
    Nowhere,
    Place,
    Reason,
    place_of,
)
from psa_connector.domain.operations import Addition, OperationKind
from psa_connector.domain.planner import PlanRules, missing_product_keys, plan, wanted_product_keys
from psa_connector.domain.push_keys import KeyKind, push_key
from support.psa_facts import ANNUAL, E3, MONTHLY, alder_may, birch_may, change, elm_changes

INVOICE_FIRST = PlanRules(frozenset({OperationKind.ADDITION, OperationKind.ADDITION_CLOSE}))
CHANGES_AT_ONCE = PlanRules(
    frozenset({OperationKind.SERVICE_ADJUSTMENT, OperationKind.CONTRACT_CHARGE})
)
CW, AT = Place("cw-main", "250", "7001"), Place("at-main", "175", "29")
MAPPED = {ANNUAL: "501", MONTHLY: "502", "onboarding": "503", E3: "77", "kind:usage": "301"}


def test_one_psa_takes_the_invoice_the_other_takes_changes_g2() -> None:
    """The kinds a PSA takes decide; the planner knows no vendor."""
    assert len(plan(alder_may(), CW, rules=INVOICE_FIRST, mapped=MAPPED)) == 5
    assert plan(elm_changes()[0], CW, rules=INVOICE_FIRST, mapped=MAPPED) == ()
    assert len(plan(elm_changes()[0], AT, rules=CHANGES_AT_ONCE, mapped=MAPPED)) == 1
    assert len(plan(birch_may(), AT, rules=CHANGES_AT_ONCE, mapped=MAPPED)) == 8


def test_planning_twice_gives_the_same_plan_g2() -> None:
    """Keys come from connection, kind and source, and from nothing else."""
    first, *_ = once = plan(alder_may(), CW, rules=INVOICE_FIRST, mapped=MAPPED)

    assert plan(alder_may(), CW, rules=INVOICE_FIRST, mapped=MAPPED) == once
    assert first.key == push_key("cw-main", KeyKind.INVOICE_LINE, "ALD-0002/1")
    assert len({item.key for item in once}) == 5


def test_additions_of_an_invoice_share_their_agreement_as_target() -> None:
    """The target is the unit of ordering."""
    planned = plan(alder_may(), CW, rules=INVOICE_FIRST, mapped=MAPPED)

    assert {item.target for item in planned} == {"7001"}


def test_each_subscription_is_a_target_of_its_own_a1() -> None:
    """One service per subscription; a stuck one does not hold up the others."""
    entries = elm_changes()[:2]
    targets = [
        item.target
        for entry in entries
        for item in plan(entry, AT, rules=CHANGES_AT_ONCE, mapped=MAPPED)
    ]

    assert targets == ["29/sub-E3", "29/sub-E5"]


def test_one_unmapped_line_blocks_its_invoice_g6() -> None:
    """The others say which line it is; nothing half goes out."""
    mapped = {key: id for key, id in MAPPED.items() if key != "onboarding"}

    planned = plan(alder_may(), CW, rules=INVOICE_FIRST, mapped=mapped)

    assert [item.block.reason if item.block else None for item in planned] == [
        *[Reason.INVOICE_BLOCKED] * 4,
        Reason.UNMAPPED_PRODUCT,
    ]
    assert planned[0].block == Block(Reason.INVOICE_BLOCKED, "ALD-0002/5: unmapped_product")


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        (None, Reason.UNMAPPED_COMPANY),
        (ContractMapping("cw-main", None, "7001"), Reason.UNMAPPED_COMPANY),
        (ContractMapping("cw-main", "250", None), Reason.UNMAPPED_AGREEMENT),
    ],
)
def test_a_contract_without_a_place_is_blocked_with_the_reason_g5(
    mapping: ContractMapping | None, expected: Reason
) -> None:
    """Never a guess by name."""
    place = place_of("ALD-1", mapping)

    assert isinstance(place, Block)
    assert place.reason is expected


def test_a_contract_can_be_mapped_to_none_g5() -> None:
    """On purpose, so nothing is missing."""
    assert place_of("ALD-1", ContractMapping(None, None, None)) == Nowhere()
    assert place_of("ALD-1", ContractMapping("cw-main", "250", "7001")) == CW


def test_the_wanted_mappings_are_named_g5() -> None:
    """What the store looks up: each product, and the fallback of its kind."""
    assert wanted_product_keys(change("e", 1, 2, "2026-06-09")) == {E3, "kind:recurring"}
    assert wanted_product_keys(alder_may()) >= {ANNUAL, "onboarding", "kind:one_time"}


def test_the_missing_mappings_are_named_g5() -> None:
    """Either the product's own or its kind's would do; what is mapped is not missing."""
    mapped = {key: id for key, id in MAPPED.items() if key != "onboarding"}
    planned = plan(alder_may(), CW, rules=INVOICE_FIRST, mapped=mapped)

    assert missing_product_keys(planned, alder_may()) == {"onboarding", "kind:one_time"}


def test_the_sum_of_the_additions_is_the_invoices_net_c11() -> None:
    """The invariant a reader of the PSA can check."""
    planned = plan(alder_may(), CW, rules=INVOICE_FIRST, mapped=MAPPED)
    amounts = [
        item.draft.operation.extended
        for item in planned
        if isinstance(item.draft.operation, Addition)
    ]

    assert sum(amounts) == alder_may().net == Decimal("1326.36")
