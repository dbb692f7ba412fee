"""Which cycles an invoice date closes and opens, and on which dates a contract is invoiced.

The invoice date is a cycle boundary plus the contract's offset. Advance: it bills the cycle that
starts at the boundary. Arrears: it bills the cycle that ends there. Either way the changes and the
usage of the cycle that ends there are due. Cycles are always whole: a contract that starts or ends
inside one does not shorten the denominator of anybody's proration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from invoicing.domain.terms import Terms
from shared.contracts.invoicing import Timing
from shared.kernel.errors import Invalid
from shared.kernel.periods import Period, monthly_cycle, next_cycle, previous_cycle

# More missed dates than this are a contract set up with the wrong `billed_through`, not an outage.
CATCH_UP_MAX = 24


@dataclass(frozen=True, slots=True)
class Due:
    """What an invoice of `invoice_date` covers."""

    invoice_date: date
    recurring: Period  # the cycle whose recurring lines are due
    closed: Period  # the cycle just ended: its changes and its usage are due


def due_on(terms: Terms, invoice_date: date) -> Due | None:
    """What is due on this date; None when the contract has no invoice then.

    The first boundary with an invoice is the first whose recurring cycle starts on or after the
    first day that is ours (advance), or the end of the cycle that contains it (arrears). The last
    is the end of the last cycle that has a day of the contract.
    """
    boundary = invoice_date - timedelta(days=terms.invoice_offset_days)
    opening = monthly_cycle(terms.anchor_day, boundary)
    if opening.start != boundary:
        return None
    closed = previous_cycle(opening, terms.anchor_day)
    if terms.timing is Timing.ADVANCE:
        recurring, begun = opening, boundary >= terms.first_day
    else:
        recurring, begun = closed, boundary > terms.first_day
    ended = terms.ends_on is not None and closed.start >= terms.ends_on
    return Due(invoice_date, recurring, closed) if begun and not ended else None


def due_dates(terms: Terms, *, through: date, after: date | None = None) -> Iterator[Due]:
    """Everything due on dates in `(after, through]`, in order; from the first one by default."""
    cycle = monthly_cycle(terms.anchor_day, terms.first_day)
    offset = timedelta(days=terms.invoice_offset_days)
    while cycle.start + offset <= through:
        due = due_on(terms, cycle.start + offset)
        if due is not None and (after is None or due.invoice_date > after):
            yield due
        cycle = next_cycle(cycle, terms.anchor_day)


def missed_and_due(terms: Terms, *, invoice_date: date, last_run: date | None) -> list[Due]:
    """The runs that a request for `invoice_date` asks for: that date and every one missed before.

    Missed dates are billed each on its own invoice, dated as due: skipping one would lose its
    recurring lines, because rating completes a cycle only when it is closed.

    Raises:
        Invalid: `not_an_invoice_date`, or `too_many_missed_dates` for a contract whose terms say
            that years were never invoiced.
    """
    if due_on(terms, invoice_date) is None:
        raise Invalid("not_an_invoice_date", f"nothing is due on {invoice_date} by these terms")
    dues = list(due_dates(terms, through=invoice_date, after=last_run))
    if len(dues) > CATCH_UP_MAX:
        raise Invalid(
            "too_many_missed_dates",
            f"{len(dues) - 1} invoice dates before {invoice_date} have no run: "
            "set billed_through to the day through which the customer was billed elsewhere",
        )
    return dues


def next_invoice_date(terms: Terms, *, after: date) -> date | None:
    """The first invoice date later than `after`; None when the contract has no more."""
    start = max(after, terms.first_day)
    through = start + timedelta(days=terms.invoice_offset_days + 93)
    first = next(due_dates(terms, through=through, after=after), None)
    return first.invoice_date if first else None
