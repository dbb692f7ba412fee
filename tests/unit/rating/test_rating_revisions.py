"""What is news: the difference between the charges that should exist and those that do."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from rating.domain import timeline
from rating.domain.closing import closed
from rating.domain.completeness import Completeness, Received, compare
from rating.domain.desired import Desired
from rating.domain.licences import Terms, licence_charges
from rating.domain.revisions import is_withdrawn, new_entries, revise
from shared.contracts.ingest import ControlTotal
from support.rating_facts import alder_book, change, contract, opening

CONTRACT = contract()


def desired(*quantities: tuple[int, int]) -> Desired:
    """Prorations of some changes in April."""
    facts = [opening("o", quantities[0][0])] + [
        change(f"e{n}", pair, f"2026-04-{10 + n}T00:00:00", version=n + 2)
        for n, pair in enumerate(quantities)
    ]
    return licence_charges(Terms(CONTRACT, [CONTRACT], alder_book()), timeline.build(facts))


def test_a_charge_comes_goes_and_comes_back() -> None:
    """Revisions count on; what should not exist is worth nothing, once."""
    there, gone = desired((10, 15)), Desired()
    first = {c.charge_id: c for c in revise(there, {})}
    withdrawn = {c.charge_id: c for c in revise(gone, first)}
    back = {c.charge_id: c for c in revise(there, withdrawn)}
    states = [next(iter(found.values())) for found in (first, withdrawn, back)]
    assert [(c.revision, c.amount, c.quantity, is_withdrawn(c)) for c in states] == [
        (1, Decimal("78.93"), 5, False),
        (2, 0, 0, True),
        (3, Decimal("78.93"), 5, False),
    ]
    assert revise(gone, withdrawn) == []


def test_only_what_changed_is_news() -> None:
    """An unchanged charge is silent beside a changed one."""
    before = {c.charge_id: c for c in revise(desired((10, 15), (15, 20)), {})}
    news = revise(desired((10, 15), (15, 21)), before)
    assert [(c.source_ids, c.revision) for c in news] == [(("e1",), 2)]


def test_a_logged_entry_stays_as_it_is() -> None:
    """Entries are new or known, never revised."""
    first = new_entries(desired((10, 15)), [])
    later = new_entries(desired((10, 16), (16, 20)), [entry.entry_id for entry in first])
    assert [entry.change_id for entry in first] == ["o", "e0"]
    assert [entry.change_id for entry in later] == ["e1"]


def test_amounts_round_once_away_from_zero() -> None:
    """Ties go away from zero in the currency's own minor unit."""
    cases = [("5637.5", "JPY"), ("-0.005", "EUR"), ("0.0005", "KWD"), ("1.004999", "USD")]
    rounded = [closed(Fraction(exact), contract(currency=currency)) for exact, currency in cases]
    assert rounded == [Decimal(5638), Decimal("-0.01"), Decimal("0.001"), Decimal("1.00")]


def test_amounts_round_as_the_contract_says() -> None:
    """The same ties under the other two roundings that a contract may choose."""
    even, down = (contract(convention=f"days/v1;rounding={r}") for r in ("half_even", "down"))
    assert [Decimal("0.02"), Decimal("-0.02")] == [
        closed(Fraction(exact), even) for exact in ("0.015", "-0.025")
    ]
    assert [Decimal("0.01"), Decimal("-0.01")] == [
        closed(Fraction(exact), down) for exact in ("0.0199", "-0.0199")
    ]


def test_a_file_is_complete_when_every_figure_agrees() -> None:
    """Short of batches it waits; with all of them it must add up."""
    told = ControlTotal(batches=2, lines=8, quantity=Decimal("1.5"), billing_pretax=Decimal(7))
    whole = Received(2, 8, Decimal("1.50"), Decimal("7.0"))
    assert compare(whole, told)[0] is Completeness.COMPLETE
    short = Received(1, 5, Decimal(1), Decimal(3))
    assert compare(short, told) == (Completeness.INCOMPLETE, "1 of 2 batches, 5 of 8 lines")
    wrong = Received(2, 8, Decimal("1.5"), Decimal(8))
    assert compare(wrong, told) == (Completeness.MISMATCH, "pre-tax total 8 ≠ 7")
