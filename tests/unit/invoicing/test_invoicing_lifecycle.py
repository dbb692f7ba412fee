"""Runs and invoices move along declared steps only; numbers and explanations are well formed."""

from __future__ import annotations

import pytest

from invoicing.domain.explain import Link, links_of
from invoicing.domain.lifecycle import (
    INVOICE_STEPS,
    RUN_DONE,
    RUN_STEPS,
    InvoiceState,
    RunState,
    step_invoice,
    step_run,
)
from invoicing.domain.numbering import invoice_number, line_reference, require_prefix
from shared.kernel.errors import Conflict, Invalid
from support.billing_facts import charge, seats, usage

MAY = ("2026-05-01", "2026-06-01")


def test_a_run_that_is_done_goes_nowhere() -> None:
    """Finalised and empty are ends."""
    assert set() == {step for step in RUN_STEPS if step[0] in RUN_DONE}


def test_every_open_state_of_a_run_leads_to_an_end() -> None:
    """No state is a trap."""
    reached = set(RUN_DONE)
    for _ in RunState:
        reached |= {start for start, end in RUN_STEPS if end in reached}

    assert set(RunState) == reached


def test_no_step_leads_back_into_a_draft_once_finalised() -> None:
    """Closed is closed."""
    after = {end for start, end in INVOICE_STEPS if start is InvoiceState.FINALISED}

    assert {InvoiceState.PAID} == after


def test_steps_that_are_not_declared_are_refused() -> None:
    """Each with its code."""
    assert step_run(RunState.REQUESTED, RunState.RATING) is RunState.RATING
    assert step_invoice(InvoiceState.FINALISED, InvoiceState.PAID) is InvoiceState.PAID
    with pytest.raises(Conflict, match="run_step_refused"):
        step_run(RunState.FINALISED, RunState.RATING)
    with pytest.raises(Conflict, match="invoice_step_refused"):
        step_invoice(InvoiceState.DRAFT, InvoiceState.PAID)


def test_numbers_are_prefix_and_six_digits_or_more() -> None:
    """The first, and the one after a million."""
    assert invoice_number("ALD-", 1) == "ALD-000001"
    assert invoice_number("ALD", 1_000_001) == "ALD1000001"
    assert line_reference("ALD-000001", 3) == "ALD-000001/3"


@pytest.mark.parametrize("prefix", ["A", "ALD", "HUS-", "INV-2026-", "x_y"])
def test_prefixes_that_tell_numbers_apart_are_taken(prefix: str) -> None:
    """Letters, digits, dashes."""
    assert require_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["", "INV1", "A/", "-A", " A", "Ä-", "A" * 21, "7"])
def test_prefixes_that_make_numbers_ambiguous_are_refused(prefix: str) -> None:
    """A digit before the count, or a slash that ends a number early."""
    with pytest.raises(Invalid, match="invoice_prefix_invalid"):
        require_prefix(prefix)


def test_invoices_are_counted_from_one() -> None:
    """There is no number zero."""
    with pytest.raises(Invalid, match="invoice_count_invalid"):
        invoice_number("ALD-", 0)


def test_a_licence_line_leads_to_its_change() -> None:
    """Rating explains the charge, ingest the change, tax the rate."""
    links = links_of(seats("A", quantity=1, unit_price="1", service=MAY), "inv-1")

    assert (
        Link("charge", "rating", "/v1/charges/A/explain"),
        Link("provider change", "ingest", "/v1/changes/source-of-A"),
        Link("tax determination", "tax", "/v1/determinations/inv-1"),
    ) == links


def test_a_usage_line_leads_to_its_lines_and_files() -> None:
    """Line by line in rating, file by file in ingest."""
    links = links_of(usage("U", "1", azure="AZ-1", category="Storage"), "inv-1")

    assert [link.path.rpartition("/")[2] for link in links] == [
        "explain",
        "usage-lines",
        "source-of-U",
        "inv-1",
    ]


def test_a_purchase_leads_to_rating_and_a_one_time_item_to_tax_only() -> None:
    """A one-time item was entered here: nothing behind it but the audit trail."""
    assert [link.what for link in links_of(charge("P", "1"), "inv-1")] == [
        "charge",
        "tax determination",
    ]
    assert [link.what for link in links_of(None, "inv-1")] == ["tax determination"]
