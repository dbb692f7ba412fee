"""What a preview says of a verdict: create, update, nothing or blocked, with a reason."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from psa_connector.domain.adjustments import draft_adjustment
from psa_connector.domain.charges import draft_charges
from psa_connector.domain.mapping import Block, Reason
from psa_connector.domain.operations import AdditionClose, Operation, Product, ServiceAdjustment
from psa_connector.domain.outcomes import Done, Drift, Verdict, Write
from psa_connector.domain.previewing import Action, delivered, follows, foresee
from support.psa_facts import birch_may, change, day

CHARGE = draft_charges(birch_may(), {})[0].operation
CLOSE = AdditionClose("intent", day("2026-04-30"))


def seats(before: int, after: int, **changes: Any) -> ServiceAdjustment:
    draft = draft_adjustment(change("e", before, after, "2026-06-09"), Product("p", "77"))
    assert draft is not None
    assert isinstance(draft.operation, ServiceAdjustment)
    return replace(draft.operation, **changes)


@pytest.mark.parametrize(
    ("operation", "verdict", "action", "words"),
    [
        (CHARGE, Write(), Action.CREATE, "the PSA has nothing with its key"),
        (CHARGE, Done("8"), Action.NOTHING, "the PSA has it as 8"),
        (CLOSE, Write(), Action.UPDATE, "its last billed day becomes 2026-04-30"),
        (seats(30, 22), Write("9001", -8), Action.UPDATE, "-8 units on 2026-06-09"),
        (seats(0, 4, unit_price=Decimal("36.80")), Write(None, 4, restate_price=True),
         Action.CREATE, "+4 units on 2026-06-09 at 36.80 each on a new service of the contract"),
        (CHARGE, Drift(Block(Reason.RECORD_DIFFERS, "price")), Action.BLOCKED, "price"),
    ],
)  # fmt: skip
def test_a_preview_says_what_the_sender_would_do_g2(
    operation: Operation, verdict: Verdict, action: Action, words: str
) -> None:
    """The same verdicts, in words."""
    found = foresee(operation, verdict)
    assert (found.action, found.detail) == (action, words)


def test_a_delivered_line_is_nothing_to_do_g2() -> None:
    """The ledger is the proof."""
    assert delivered("8").action is Action.NOTHING


def test_what_waits_for_another_line_says_which_a2() -> None:
    """The PSA cannot be asked about a second change before the first is there."""
    found = follows(seats(22, 25), "e1")
    assert (found.action, found.reason, found.detail) == (
        Action.UPDATE,
        "after_another",
        "after e1",
    )
