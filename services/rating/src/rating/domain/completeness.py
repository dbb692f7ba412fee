"""Whether a usage file is all here: what came, against what the file said it holds."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from shared.contracts.ingest import ControlTotal


class Completeness(StrEnum):
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"  # batches are still on their way
    MISMATCH = "mismatch"  # every batch is here, and they do not add up


@dataclass(frozen=True, slots=True)
class Received:
    """What came of a file so far."""

    batches: int
    lines: int
    quantity: Decimal
    billing_pretax: Decimal


def compare(received: Received, told: ControlTotal) -> tuple[Completeness, str]:
    """The verdict, and both figures in words."""
    if received.batches < told.batches:
        return (
            Completeness.INCOMPLETE,
            f"{received.batches} of {told.batches} batches, {received.lines} of {told.lines} lines",
        )
    figures = (
        ("batches", Decimal(received.batches), Decimal(told.batches)),
        ("lines", Decimal(received.lines), Decimal(told.lines)),
        ("quantity", received.quantity, told.quantity),
        ("pre-tax total", received.billing_pretax, told.billing_pretax),
    )
    wrong = [f"{name} {here:f} ≠ {there:f}" for name, here, there in figures if here != there]
    if wrong:
        return Completeness.MISMATCH, "; ".join(wrong)
    return Completeness.COMPLETE, f"{received.lines} lines"
