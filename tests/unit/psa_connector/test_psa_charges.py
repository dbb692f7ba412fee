"""Contract charges: scenario 2 and rule A6."""

from __future__ import annotations

from decimal import Decimal

from psa_connector.domain.charges import draft_charges
from psa_connector.domain.mapping import Reason
from psa_connector.domain.operations import ContractCharge
from psa_connector.domain.push_keys import KeyKind
from support.psa_facts import BIRCH_LINES, birch_may, day, invoice, line, recurring

AZURE = {"kind:usage": "301", "kind:minimum": "302", "kind:purchase": "303"}


def charges() -> list[ContractCharge]:
    drafts = draft_charges(birch_may(), AZURE)
    return [d.operation for d in drafts if isinstance(d.operation, ContractCharge)]


def test_scenario_2_becomes_one_charge_per_line_c12() -> None:
    """Amount and provider cost of each line, dated on the last day of the usage month."""
    planned = charges()

    assert [(c.amount, c.cost) for c in planned] == [
        (Decimal(net), Decimal(cost)) for *_, net, cost in BIRCH_LINES
    ]
    assert {c.charged_on for c in planned} == {day("2026-04-30")}
    assert sum(c.amount for c in planned) == Decimal("242.14")


def test_a_charge_is_named_and_traced_a6() -> None:
    """Period, subscription, invoice line and trace id are for the reader of the PSA."""
    first = charges()[0]

    assert first.name == "Virtual Machines"
    assert first.description.split("\n") == [
        "AZ-1 Virtual Machines, usage month 2026-04",
        "Service period 2026-04-01 to 2026-04-30",
        "Subscription AZ-1",
        "Invoice BIR-0001, line 1",
        "Trace charge-1",
    ]


def test_licences_are_left_to_the_adjustments_a6() -> None:
    """Recurring and prorated lines are billed by the PSA from units."""
    fact = invoice(
        "I-1", "2026-05-01", recurring(1, 5, "10.00"), line(2, "3.00", kind="proration"),
        line(3, "150.00"),
    )  # fmt: skip

    planned = draft_charges(fact, {"thing": "400"})

    assert [(d.source_id, d.key_kind) for d in planned] == [("I-1/3", KeyKind.USAGE_CHARGE)]


def test_a_products_own_mapping_goes_before_its_kinds_g5() -> None:
    """`kind:usage` is the mapping for usage that nobody mapped apart."""
    mapped = AZURE | {"azure:Storage": "999"}
    products = [d.operation.product for d in draft_charges(birch_may(), mapped)]  # type: ignore[union-attr]  # charges have one

    assert [p.external_id for p in products] == [
        "301", "999", "301", "301", "301", "999", "302", "303",
    ]  # fmt: skip


def test_usage_without_any_mapping_blocks_g5() -> None:
    """Nothing is put on a product that nobody chose."""
    blocks = [d.block for d in draft_charges(birch_may(), {})]

    assert {b.reason for b in blocks if b} == {Reason.UNMAPPED_PRODUCT}
    assert None not in blocks


def test_a_cost_in_another_currency_is_left_out_a6() -> None:
    """The contract's currency is assumed by the PSA; a foreign cost would be misread."""
    fact = invoice("I-1", "2026-05-01", line(1, "5.00", cost=Decimal(4), cost_currency="EUR"))

    (draft,) = draft_charges(fact, {"thing": "400"})

    assert isinstance(draft.operation, ContractCharge)
    assert draft.operation.cost is None


def test_a_refund_is_a_negative_charge_a6() -> None:
    """Quantity stays one; the amount carries the sign."""
    (draft,) = draft_charges(invoice("I-1", "2026-05-01", line(1, "-12.50")), {"thing": "400"})

    assert isinstance(draft.operation, ContractCharge)
    assert draft.operation.amount == Decimal("-12.50")
