"""One side of what happens between two subscriptions, for whoever looks at one of them only."""

from __future__ import annotations

from dataclasses import replace

from rating.domain.provider_lines.cycles import Term
from rating.domain.provider_lines.history import DAY, History, advance
from rating.domain.provider_lines.lines import Span
from rating.domain.provider_lines.reading import Event
from rating.domain.provider_lines.subscriptions import Subscription, family_of, needs_a_base
from rating.domain.provider_lines.windows import OUT_OF_RANGE, Batch, No

CONVERT, MOVE = "convert", "moveQuantity"


def moved_out(history: History, event: Event) -> None:
    """R-UPG: the moved seats come back; those that stay are not touched."""
    source = advance(history, history.of(event), event.day, event)
    seats = event.seats()
    if seats > source.quantity:
        history.refuse(event, No(OUT_OF_RANGE, f"{source.quantity} seats"))
        return
    kind = MOVE if event.flag("into_existing") else CONVERT
    history.charge(source, kind, event, Span.rest(source.cycle, event.day), quantity=-seats)
    history.keep(replace(source, quantity=source.quantity - seats, scheduled={}))


def moved_in(history: History, event: Event) -> None:
    """Seats of an upgrade arrive: in a subscription that is there, or as a new one that has term
    and cycles of the old one."""
    name = event.subscription or "S1"
    if name not in history.subscriptions:
        _arrived(history, event, name)
        return
    target = advance(history, history.subscriptions[name], event.day, event)
    seats = event.seats()
    history.charge(
        target, MOVE, event, Span.rest(target.cycle, event.day), quantity=seats,
        extras=(("net", True),),
    )  # fmt: skip
    history.keep(replace(target, quantity=target.quantity + seats, scheduled={}))


def transferred_out(history: History, event: Event) -> None:
    """Another partner is billed from here on; no refund is documented."""
    left = advance(history, history.of(event), event.day - DAY, event)
    history.keep(replace(left, status="deleted", quantity=0))


def _arrived(history: History, event: Event, name: str) -> None:
    case, seats = history.case, event.seats()
    start = event.day_of("term_start") or event.day
    term = Term(start, case.term, case.plan, event.day_of("custom_term_end_date"))
    cycle = term.cycle_on(event.day)
    made = Subscription(
        name=name,
        family=family_of(case.term, case.title),
        term=term,
        committed_at=event.at,
        price=case.unit_price,
        list_price=case.unit_price,
        quantity=seats,
        batches=(Batch(seats, event.at),),
        charged_until=cycle.end,
        add_on=needs_a_base(case.title),
    )
    history.charge(made, CONVERT, event, Span.rest(cycle, event.day))
    history.keep(made)
