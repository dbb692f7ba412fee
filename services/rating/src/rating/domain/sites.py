"""Shares a provider's timeline out among sites, so that each is billed like a subscription.

Every change of the provider is split by what the allocations say; a move adds steps the provider
never saw. Seats that no site claims are reported, never guessed. The result is a function of the
facts, whatever the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from rating.domain.allocations import Allocation, AllocationKind, SiteSeats
from rating.domain.timeline import State, Step, Timeline
from shared.contracts.ingest import ChangeKind, ChangeSource, SubscriptionChanged
from shared.kernel.periods import Period, start_of

CHANNEL = "allocation"


@dataclass(frozen=True, slots=True)
class Gap:
    """Seats of one provider change that no site has claimed; a claim too many if the sign differs
    from the change's."""

    change_id: str
    day: date
    seats: int
    of: int
    opens: bool  # the change is the first sight of the subscription


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first day on which sites and provider differ by more than the gaps explain."""

    day: date
    provider: int
    sites: int


@dataclass(frozen=True, slots=True)
class SharedOut:
    """One timeline per site. `since` is the first day that the allocations speak of."""

    timelines: dict[str, Timeline]
    gaps: tuple[Gap, ...]
    mismatch: Mismatch | None
    since: date | None

    @property
    def unsettled_from(self) -> date | None:
        """The first day on which it is not yet known what the sites begin with, or they do not
        sum. A log entry of such a day would be written for ever and might be wrong."""
        days = [gap.day for gap in self.gaps if gap.opens]
        if self.mismatch is not None:
            days.append(self.mismatch.day)
        return min(days, default=None)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days on which nothing changes: what the provider has, and each site."""

    period: Period
    provider: int
    sites: dict[str, int]


def share_out(line: Timeline, facts: Iterable[Allocation]) -> SharedOut:
    """The timelines of the sites that `facts` name."""
    known = sorted(facts, key=lambda fact: (fact.effective_on, fact.allocation_id))
    openings = [fact for fact in known if fact.kind is AllocationKind.OPENING]
    since = openings[0].effective_on if openings else None
    work = _Work(line, known)
    for _, _, _, what in sorted(_moments(line, known, since), key=lambda moment: moment[:3]):
        if isinstance(what, Step):
            work.provider(what)
        else:
            work.allocation(what)
    timelines = {
        site: Timeline(
            line.subscription_id,
            line.customer_id,
            replace(line.origin, quantity=0, change_id=None),
            tuple(steps),
        )
        for site, steps in work.steps.items()
    }
    gaps = tuple(work.gaps)
    return SharedOut(timelines, gaps, _mismatch(line, timelines, gaps, since), since)


def stretches(line: Timeline, shared: SharedOut, within: Period) -> list[Stretch]:
    """The days of a period, cut where anything changes."""
    days = {step.day for step in line.steps}
    days |= {step.day for site in shared.timelines.values() for step in site.steps}
    cuts = [within.start, *sorted(day for day in days if within.start < day < within.end)]
    return [
        Stretch(
            Period(start, end),
            line.on(start).quantity,
            {name: site.on(start).quantity for name, site in sorted(shared.timelines.items())},
        )
        for start, end in zip(cuts, [*cuts[1:], within.end], strict=True)
    ]


Moment = tuple[date, int, int, Step | Allocation]


def _moments(line: Timeline, known: Sequence[Allocation], since: date | None) -> list[Moment]:
    """Openings before the changes of their day, moves after them: seats that move on the day of a
    renewal move at the new price."""
    found: list[Moment] = [
        (step.day, 1, position, step)
        for position, step in enumerate(line.steps)
        if since is None or (step.day >= since and step.change.kind is not ChangeKind.OPENING)
    ]
    order = {AllocationKind.OPENING: 0, AllocationKind.MOVE: 2}
    return found + [
        (fact.effective_on, order[fact.kind], position, fact)
        for position, fact in enumerate(known)
        if fact.kind in order
    ]


@dataclass(slots=True)
class _Work:
    line: Timeline
    known: Sequence[Allocation]
    has: dict[str, int] = field(default_factory=dict)
    steps: dict[str, list[Step]] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    before_zero: dict[str, int] = field(default_factory=dict)

    def allocation(self, fact: Allocation) -> None:
        """Seats that a site gets or gives without the provider."""
        day = fact.effective_on
        opening = fact.kind is AllocationKind.OPENING
        last = next((s for s in reversed(self.line.steps) if s.day <= day), self.line.steps[0])
        state = self.line.on(day - timedelta(days=1) if opening else day)
        for part in fact.sites:
            if part.seats:
                change = _own_change(fact, last.change, state)
                self._step(
                    part.contract_id, part.seats, Step(change, day, state, state, civil=True)
                )

    def provider(self, step: Step) -> None:
        """A change of the provider: every site gets the new terms, and its part of the seats."""
        parts = self._parts(step)
        moves_terms = _terms(step.before) != _terms(step.after)
        for site in sorted({*self.has, *parts}):
            seats, before = parts.get(site, 0), self.has.get(site, 0)
            told = seats or (before and (moves_terms or step.delta == 0))
            if told:
                self._step(site, seats, step)

    def _parts(self, step: Step) -> dict[str, int]:
        if not step.delta:
            return {}
        if step.after.quantity == 0:
            self.before_zero, taken = dict(self.has), {site: -n for site, n in self.has.items()}
            return taken
        back, self.before_zero = self.before_zero, {}
        if step.before.quantity == 0 and back and sum(back.values()) == step.delta:
            return back
        parts: dict[str, int] = {}
        for part in self._claims(step):
            parts[part.contract_id] = parts.get(part.contract_id, 0) + part.seats
        rest = step.delta - sum(parts.values())
        taker = self._default(step.day)
        if rest and taker is not None:
            parts[taker] = parts.get(taker, 0) + rest
        elif rest:
            opens = step.change.kind is ChangeKind.OPENING
            self.gaps.append(Gap(step.change.change_id, step.day, rest, step.delta, opens))
        return parts

    def _claims(self, step: Step) -> list[SiteSeats]:
        """The facts that name this change or its order; then those of its day, while they fit."""
        found: list[SiteSeats] = []
        changes = [fact for fact in self.known if fact.kind is AllocationKind.CHANGE]
        order = step.change.source.order_id
        named = [
            fact
            for fact in changes
            if fact.change_id == step.change.change_id
            or (order is not None and fact.order_id == order)
        ]
        of_day = [
            fact
            for fact in changes
            if fact.change_id is None and fact.order_id is None and fact.effective_on == step.day
        ]
        for fact in named:
            found += fact.sites
        left = step.delta - sum(part.seats for part in found)
        for fact in of_day:
            fits = fact.seats * left > 0 and abs(fact.seats) <= abs(left)
            if fits and fact.allocation_id not in self.used:
                self.used.add(fact.allocation_id)
                found += fact.sites
                left -= fact.seats
        return found

    def _default(self, day: date) -> str | None:
        chosen = [
            fact
            for fact in self.known
            if fact.kind is AllocationKind.DEFAULT and fact.effective_on <= day
        ]
        return chosen[-1].sites[0].contract_id if chosen else None

    def _step(self, site: str, seats: int, like: Step) -> None:
        """Add what `like` is to one site."""
        steps = self.steps.setdefault(site, [])
        had = self.has.get(site, 0)
        self.has[site] = has = had + seats
        before = steps[-1].after if steps else replace(like.before, quantity=0, change_id=None)
        after = replace(like.after, quantity=has, change_id=like.change.change_id)
        if before.change_id is not None and replace(after, change_id=before.change_id) == before:
            after = before
        change = like.change.model_copy(update={"quantity_before": had, "quantity_after": has})
        steps.append(Step(change, like.day, before, after, site=site, civil=like.civil))


def _own_change(fact: Allocation, model: SubscriptionChanged, state: State) -> SubscriptionChanged:
    """The step that an allocation is to a site, in the words of a provider change."""
    opening = fact.kind is AllocationKind.OPENING
    return model.model_copy(
        update={
            "change_id": fact.source,
            "kind": ChangeKind.OPENING if opening else ChangeKind.QUANTITY_CHANGED,
            "product": state.product,
            "product_name": state.product_name,
            "term_start": state.term_start,
            "term_end": state.term_end,
            "effective_at": start_of(fact.effective_on),
            "detected_at": fact.recorded_at,
            "source": ChangeSource(channel=CHANNEL),
        }
    )


def _terms(state: State) -> tuple[object, ...]:
    return (state.product, state.term_start, state.term_end)


def _mismatch(
    line: Timeline, timelines: dict[str, Timeline], gaps: Sequence[Gap], since: date | None
) -> Mismatch | None:
    """The invariant: on every day the sites and what nobody claimed sum to the provider's seats."""
    days = {step.day for step in line.steps}
    days |= {step.day for site in timelines.values() for step in site.steps}
    for day in sorted(day for day in days if since is None or day >= since):
        provider = line.on(day).quantity
        if not provider:
            continue
        sites = sum(site.on(day).quantity for site in timelines.values())
        open_seats = sum(gap.seats for gap in gaps if gap.day <= day and _lasts(line, gap, day))
        if sites + open_seats != provider:
            return Mismatch(day, provider, sites)
    return None


def _lasts(line: Timeline, gap: Gap, day: date) -> bool:
    """Whether unclaimed seats are still there: they end when the subscription falls to nothing."""
    return all(step.after.quantity != 0 for step in line.steps if gap.day <= step.day <= day)
