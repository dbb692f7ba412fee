"""How many of what a subscription had on which day, from its changes in any order of arrival.

Quantities are sums of changes over the quantity the first known version found. So the result does
not depend on the order of arrival, and a change that was learnt late but happened early moves only
the days between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time

from shared.contracts.ingest import ChangeKind, LicenceProduct, SubscriptionChanged
from shared.kernel.conventions import Convention
from shared.kernel.errors import Invalid
from shared.kernel.periods import utc_day


@dataclass(frozen=True, slots=True)
class State:
    """What is in force: `change_id` is the change that last altered quantity, product or term."""

    quantity: int
    product: LicenceProduct
    product_name: str
    term_start: date
    term_end: date
    change_id: str | None
    repriced_on: date | None = None  # only where a simulation lifts the protection of the term

    @property
    def price_day(self) -> date:
        """The day whose prices hold."""
        return self.repriced_on or self.term_start

    @property
    def term(self) -> tuple[date, date]:
        return (self.term_start, self.term_end)


@dataclass(frozen=True, slots=True)
class Step:
    """One change on the UTC day from which it counts, between the states around it."""

    change: SubscriptionChanged
    day: date
    before: State
    after: State
    site: str | None = None  # the contract whose part of the subscription this is
    civil: bool = False  # `day` was told as a date: the same in every zone

    @property
    def delta(self) -> int:
        return self.change.quantity_after - self.change.quantity_before


@dataclass(frozen=True, slots=True)
class Timeline:
    """The history of one subscription in effective order."""

    subscription_id: str
    customer_id: str
    origin: State  # before the first step
    steps: tuple[Step, ...]
    told: int | None = None  # seats that the provider told last, guesses included

    def on(self, day: date) -> State:
        """The state once every change that takes effect on `day` or before it is counted."""
        counted = bisect_right(self.steps, day, key=_day)
        return self.steps[counted - 1].after if counted else self.origin

    def counted_by(self, convention: Convention) -> Timeline:
        """The same history on the civil days of another time zone."""
        if convention.zone == "UTC":
            return self
        steps, day = [], date.min
        for step in self.steps:
            day = max(day, step.day if step.civil else _day_in(convention, step.change))
            steps.append(replace(step, day=day))
        return replace(self, steps=tuple(steps))

    @property
    def terms(self) -> tuple[State, ...]:
        """The distinct combinations of product and term that were ever in force, in order."""
        found: dict[tuple[LicenceProduct, date, date], State] = {}
        for state in (self.origin, *(step.after for step in self.steps)):
            found.setdefault((state.product, state.term_start, state.term_end), state)
        return tuple(found.values())

    @property
    def impossible(self) -> bool:
        """Some day has less than nothing: a change is missing or contradicts the others."""
        return any(step.after.quantity < 0 for step in self.steps)


def build(changes: Iterable[SubscriptionChanged]) -> Timeline:
    """The timeline of the changes of one subscription. Repeats of a `change_id` count once, and
    guesses of which the truth is known count no more.

    Raises:
        Invalid: `timeline_empty`, `timeline_mixed` for changes of several subscriptions.
    """
    known = {change.change_id: change for change in changes}
    if not known:
        raise Invalid("timeline_empty", "a timeline needs a change")
    if len({change.subscription_id for change in known.values()}) > 1:
        raise Invalid("timeline_mixed", "a timeline is of one subscription")
    guessed = {c.supersedes for c in known.values()}
    counted = [c for c in known.values() if c.change_id not in guessed] or list(known.values())
    ordered = sorted(counted, key=lambda c: (_instant(c), c.version, c.change_id))
    earliest_version = min(known.values(), key=_by_version)
    # The truth about an old guess is told late, and says nothing of what is there now.
    told = max((c for c in known.values() if c.supersedes is None), key=_by_version, default=None)
    origin = replace(_state_after(ordered[0], earliest_version.quantity_before), change_id=None)
    return Timeline(
        ordered[0].subscription_id, ordered[0].customer_id, origin, _steps(origin, ordered),
        told.quantity_after if told else None,
    )  # fmt: skip


def _steps(origin: State, ordered: Iterable[SubscriptionChanged]) -> tuple[Step, ...]:
    steps = []
    before = origin
    for change in ordered:
        moved = before.quantity + change.quantity_after - change.quantity_before
        after = _state_after(change, moved)
        if before.change_id is not None and _same_to_a_bill(before, after):
            after = replace(after, change_id=before.change_id)
        steps.append(Step(change, utc_day(_instant(change)), before, after))
        before = after
    return tuple(steps)


def _same_to_a_bill(before: State, after: State) -> bool:
    return replace(after, change_id=before.change_id, product_name=before.product_name) == before


def _state_after(change: SubscriptionChanged, quantity: int) -> State:
    return State(
        quantity=quantity,
        product=change.product,
        product_name=change.product_name,
        term_start=change.term_start,
        term_end=change.term_end,
        change_id=change.change_id,
    )


def _by_version(change: SubscriptionChanged) -> tuple[int, str]:
    return (change.version, change.change_id)


def _day(step: Step) -> date:
    return step.day


def _day_in(convention: Convention, change: SubscriptionChanged) -> date:
    """A term begins on a date of the provider, wherever the customer is."""
    day = convention.day_of(change.effective_at)
    return min(day, change.term_start) if change.kind is ChangeKind.OPENING else day


def _instant(change: SubscriptionChanged) -> datetime:
    """When the change counts. What we saw first existed since its term began."""
    if change.kind is ChangeKind.OPENING:
        term_start = datetime.combine(change.term_start, time(), tzinfo=UTC)
        return min(change.effective_at, term_start)
    return change.effective_at
