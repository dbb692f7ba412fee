"""What the provider should bill for a real subscription: its facts, told to the provider's rules.

The engine is the one of the simulation. Here the history of a subscription becomes its events, the
price book its prices, and every line is led back to the changes that caused it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from rating.domain.pricing import PriceBook, provider_price
from rating.domain.provider_lines import Line, Outcome, Refusal, Rounding, expected_lines, read_case
from rating.domain.timeline import State, Step, Timeline
from shared.contracts.ingest import ChangeKind
from shared.kernel.errors import Held, Invalid
from shared.kernel.periods import start_of

_DAY = timedelta(days=1)
_BEGINNINGS = frozenset({ChangeKind.OPENING, ChangeKind.PURCHASED, ChangeKind.TRANSFERRED_IN})
_ENDS = frozenset({ChangeKind.CANCELLED, ChangeKind.EXPIRED, ChangeKind.TRANSFERRED_OUT})


@dataclass(frozen=True, slots=True)
class Expected:
    """The lines that begin until a day, what the rules cannot explain, and the seats at the end."""

    lines: tuple[tuple[Line, tuple[str, ...], bool], ...]  # with causes; before first sight?
    unexplained: tuple[tuple[Refusal, tuple[str, ...]], ...]
    seats: int


@dataclass(frozen=True, slots=True)
class Premises:
    """What the facts of one subscription do not tell."""

    book: PriceBook
    currency: str
    through: date
    others: Mapping[str, Timeline] = field(default_factory=dict)  # of the same customer

    def price(self, state: State, day: date) -> str:
        return f"{provider_price(self.book, state.product, self.currency, day).unit_price:f}"


def expected_of(timeline: Timeline, premises: Premises) -> Expected:
    """The provider's lines of one subscription.

    Raises:
        Held: `unknown_product`, `no_price_in_currency`, `market_ambiguous`; `history_unexplained`
            where the facts do not follow from each other.
    """
    steps = [step for step in timeline.steps if step.day <= premises.through]
    if not steps:
        return Expected((), (), 0)
    first, told = _beginning(timeline, premises), _Told()
    told.add(first[0], first[1])
    for step in steps[first[2] :]:
        for event in _events(step, premises):
            told.add(event, step.change.change_id)
    for event in _list_prices(timeline, premises, since=told.events[0]["at"][:10]):
        told.add(event, None)
    state = timeline.terms[0] if first[2] == 0 else timeline.steps[0].after
    case = {
        "term": state.product.term,
        "billing_plan": state.product.billing_plan,
        "unit_price": premises.price(state, state.term_start),
        "currency": premises.currency,
        "term_start": state.term_start.isoformat(),
        "sku_title": state.product_name,
        "happened": True,
        "events": told.events,
    }
    try:
        outcomes = expected_lines(read_case(case), through=premises.through)
    except Invalid as error:
        raise Held("history_unexplained", f"{timeline.subscription_id}: {error.detail}") from error
    return _explained(timeline, told, outcomes, premises.through)


@dataclass(slots=True)
class _Told:
    """The events as the engine reads them, and the change behind each."""

    events: list[dict[str, Any]] = field(default_factory=list)
    changes: list[str | None] = field(default_factory=list)

    def add(self, event: dict[str, Any], change_id: str | None) -> None:
        self.events.append(event)
        self.changes.append(change_id)


def _beginning(timeline: Timeline, premises: Premises) -> tuple[dict[str, Any], str | None, int]:
    """How the subscription came to be: event, change, and how many steps that explains."""
    first = timeline.steps[0]
    kind = first.change.kind
    if kind is ChangeKind.MOVED_IN and first.before.quantity == 0:
        source = premises.others.get(first.change.counterpart_subscription_id or "")
        start = source.on(first.day).term_start if source else first.after.term_start
        event = _event(
            "moved_in", first.change.effective_at, qty=first.after.quantity,
            term_start=start.isoformat(), **_end(first.after),
        )  # fmt: skip
        return event, first.change.change_id, 1
    known = kind in _BEGINNINGS
    state = first.after if known else timeline.origin
    at = start_of(state.term_start)
    if known:
        # What was there at first sight has been charged since its term began.
        opened = kind is ChangeKind.OPENING
        at = min(first.change.effective_at, at) if opened else first.change.effective_at
    end = _end(state)
    if kind is ChangeKind.TRANSFERRED_IN and state.term_start < first.day:
        end = {"custom_term_end_date": (state.term_end - _DAY).isoformat()}
    event = _event("purchase", at, qty=state.quantity, trial=first.change.trial, **end)
    return event, first.change.change_id if known else None, int(known)


def _event(kind: str, at: datetime, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "at": at.isoformat(), **fields}


def _end(state: State) -> dict[str, Any]:
    """The chosen end of a term; an ordinary one needs no telling."""
    months = {"P1M": 1, "P1Y": 12, "P3Y": 36}.get(state.product.term)
    if months is None:
        return {}
    last = state.term_end - _DAY
    whole = {"P1M": 31, "P1Y": 366, "P3Y": 1096}[state.product.term]
    shortest = {"P1M": 28, "P1Y": 364, "P3Y": 1094}[state.product.term]
    days = (state.term_end - state.term_start).days
    return {} if shortest <= days <= whole else {"custom_term_end_date": last.isoformat()}


def _events(step: Step, premises: Premises) -> list[dict[str, Any]]:
    """What one change was, in the engine's words."""
    change, at = step.change, step.change.effective_at
    match change.kind:
        case ChangeKind.SUSPENDED | ChangeKind.RESUMED:
            kind = "suspend" if change.kind is ChangeKind.SUSPENDED else "resume"
            return [_event(kind, at)]
        case ChangeKind.MOVED_OUT | ChangeKind.MOVED_IN:
            return _moved(step, premises)
        case kind if kind in _ENDS:
            return _ended(step)
        case ChangeKind.UPDATED:
            wanted = change.auto_renew
            return [] if wanted is None else [_event("set_auto_renew", at, value=wanted)]
        case _:
            return _renewed_or_changed(step, premises) or _seats(step.delta, at)


def _moved(step: Step, premises: Premises) -> list[dict[str, Any]]:
    change, at = step.change, step.change.effective_at
    if change.kind is ChangeKind.MOVED_IN:
        return [_event("moved_in", at, qty=step.delta)]
    other = premises.others.get(change.counterpart_subscription_id or "")
    there = other is not None and other.on(step.day - _DAY).quantity > 0
    return [_event("moved_out", at, qty=-step.delta, into_existing=there)]


def _ended(step: Step) -> list[dict[str, Any]]:
    at = step.change.effective_at
    if step.change.kind is ChangeKind.TRANSFERRED_OUT:
        return [_event("transferred_out", at)]
    if step.change.kind is ChangeKind.CANCELLED and step.day < step.before.term_end:
        return [_event("cancel", at)]
    return [
        _event("schedule_action", start_of(step.before.term_end - _DAY), action_type="Cancel"),
        _event("end_of_term", start_of(step.before.term_end - _DAY)),
    ]


def _renewed_or_changed(step: Step, premises: Premises) -> list[dict[str, Any]]:
    """A new term, product or plan, with the price that is locked with it."""
    at, after = step.change.effective_at, step.after
    product = after.product
    new = {"to_term": product.term, "to_billing_plan": product.billing_plan}
    same = step.before.product_name == after.product_name
    sku = {} if same else {"to_sku": after.product_name}
    match step.change.kind:
        case ChangeKind.RENEWED:
            price = premises.price(after, after.term_start)
            wanted = {"qty": after.quantity, "to_unit_price": price}
            return [_event("renew", at, **wanted, **new, **sku, **_end(after))]
        case ChangeKind.EXTENDED:
            price = premises.price(after, after.term_start)
            last = start_of(step.before.term_end - _DAY)
            extend = {"action_type": "RenewToExtendedServiceTerm"}
            return [
                _event("schedule_action", last, **extend),
                _event("end_of_term", last, est_unit_price=price),
            ]
        case ChangeKind.UPGRADED:
            price = premises.price(after, step.day)
            name = {"to_sku": after.product_name}
            return [_event("upgrade", at, mode="full", to_unit_price=price, **name)]
        case ChangeKind.TRIAL_CONVERTED:
            price = premises.price(after, step.day)
            term = new if after.term_start == step.day else {}
            return [
                _event("convert_trial", at, qty=after.quantity, to_unit_price=price, **term, **sku)
            ]
        case ChangeKind.TERM_CHANGED:
            price = premises.price(after, after.term_start)
            return [_event("change_term", at, to_unit_price=price, **new)]
        case ChangeKind.PLAN_CHANGED:
            price = premises.price(after, after.term_start)
            return [_event("change_billing_plan", at, to=product.billing_plan, to_unit_price=price)]
        case _:
            return []


def _seats(delta: int, at: datetime) -> list[dict[str, Any]]:
    if delta == 0:
        return []
    return [_event("add_seats" if delta > 0 else "remove_seats", at, qty=abs(delta))]


def _list_prices(timeline: Timeline, premises: Premises, *, since: str) -> list[dict[str, Any]]:
    """What a renewal that no fact tells of would take (R-LOCK)."""
    found: dict[date, str] = {}
    for state in timeline.terms:
        for row in premises.book.rows_of(state.product):
            day = row.effective_from
            in_force = timeline.on(day).product == state.product
            due = since < day.isoformat() <= premises.through.isoformat()
            if row.currency == premises.currency and in_force and due:
                found[day] = premises.price(state, day)
    return [
        _event("price_list_change", start_of(day), to_unit_price=price)
        for day, price in sorted(found.items())
    ]


def _explained(timeline: Timeline, told: _Told, outcomes: list[Outcome], through: date) -> Expected:
    first = timeline.steps[0].change
    seen = date.min if first.kind is ChangeKind.PURCHASED else first.detected_at.date()
    lines, unexplained = [], []
    for one in outcomes:
        if isinstance(one, Line) and one.order_date <= through:
            lines.append((one, _causes(timeline, told, one), one.order_date < seen))
        elif isinstance(one, Refusal):
            cause = told.changes[one.source]
            unexplained.append((one, (cause,) if cause else ()))
    return Expected(tuple(lines), tuple(unexplained), timeline.on(through).quantity)


def _causes(timeline: Timeline, told: _Told, line: Line) -> tuple[str, ...]:
    """The change that a line is about; a recurring one is about whatever is in force."""
    event = told.events[line.source]
    on_its_day = event["at"][:10] == line.order_date.isoformat()
    its_own = on_its_day or line.span.months is not None or event["type"] == "end_of_term"
    cause = told.changes[line.source] if its_own else None
    if line.charge_type == "cycleCharge" or cause is None:
        cause = timeline.on(line.order_date - _DAY).change_id
    return (cause,) if cause else ()


def shown(line: Line, rounding: Rounding | None) -> dict[str, Any]:
    """A line as the simulation prints it, in another rounding than the documented where asked."""
    printed = line.printed()
    if rounding is not None:
        printed["amount"] = printed["amounts"][rounding.value]
        agree = len(set(printed["amounts"].values())) == 1
        printed["rounding"] = (Rounding.NONE if agree else rounding).value
    return printed


def total(lines: list[dict[str, Any]]) -> dict[str, str]:
    """By invoice month."""
    sums: dict[str, Decimal] = {}
    for line in lines:
        month = line["invoice_month"]
        sums[month] = sums.get(month, Decimal(0)) + Decimal(line["amount"])
    return {month: f"{amount:f}" for month, amount in sorted(sums.items())}
