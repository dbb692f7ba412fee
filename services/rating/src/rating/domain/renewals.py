"""What the renewal desk has to know: commitments that end, windows in which seats may still be
given back, and prices that change; each with the money that depends on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from rating.domain.licences import Terms
from rating.domain.pricing import UnitPrice
from rating.domain.provider_lines.cycles import PLAN_MONTHS, TERM_MONTHS
from rating.domain.provider_lines.windows import WINDOW
from rating.domain.timeline import State, Timeline
from shared.contracts.ingest import ChangeKind, LicenceProduct, NextTerm, RenewalScheduled
from shared.kernel.errors import Held
from shared.kernel.money import EXACT
from shared.kernel.periods import Period, start_of

OPENING_KINDS = (ChangeKind.PURCHASED, ChangeKind.RENEWED)  # open a window for all seats
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Stake:
    """Seats at a price, for one charge cycle and for a whole term; None: the length is unknown."""

    price: UnitPrice
    seats: int
    cycles: int | None

    @property
    def per_cycle(self) -> Decimal:
        return EXACT.multiply(self.price.price, Decimal(self.seats))

    @property
    def cost_per_cycle(self) -> Decimal:
        return EXACT.multiply(self.price.cost, Decimal(self.seats))

    @property
    def per_term(self) -> Decimal | None:
        return None if self.cycles is None else self.per_cycle * self.cycles

    @property
    def cost_per_term(self) -> Decimal | None:
        return None if self.cycles is None else self.cost_per_cycle * self.cycles


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why a price is not known."""

    reason: str
    detail: str


ENDS = {
    "Cancel": Unknown("ends_with_its_term", "it is cancelled at the end of its term"),
    "RenewToExtendedServiceTerm": Unknown(
        "extended_service_term", "it goes on month by month, at the price of that"
    ),
}
RENEWAL_IS_OFF = Unknown(
    "renewal_is_off", "it does not renew; unless somebody chooses, it goes on month by month"
)


@dataclass(frozen=True, slots=True)
class Renewal:
    """The end of a commitment. `on` is the first day of the next term; `window_closes` is the
    earliest: the provider counts from when it completes the renewal."""

    subscription_id: str
    state: State
    following: State  # of the next term, with what is scheduled for it
    on: date
    auto_renew: bool | None  # None: the provider did not say
    at_term_end: str | None  # Cancel, RenewToExtendedServiceTerm
    now: Stake | Unknown
    next: Stake | Unknown
    window_closes: datetime

    @property
    def is_scheduled(self) -> bool:
        """Whether the next term is to have other seats, or another product, term or plan."""
        before, after = self.state, self.following
        return (before.quantity, before.product) != (after.quantity, after.product)

    @property
    def price_change(self) -> Decimal | None:
        """Of a seat, where both are prices of equally long charge cycles."""
        compared = self._compared
        return compared and compared[1].price.price - compared[0].price.price

    @property
    def change_per_cycle(self) -> Decimal | None:
        """Of all seats, those that come or go included."""
        compared = self._compared
        return compared and compared[1].per_cycle - compared[0].per_cycle

    @property
    def _compared(self) -> tuple[Stake, Stake] | None:
        if self.state.product.billing_plan != self.following.product.billing_plan:
            return None
        if isinstance(self.now, Stake) and isinstance(self.next, Stake):
            return self.now, self.next
        return None


@dataclass(frozen=True, slots=True)
class Window:
    """Until `closes` these seats may be given back, or the subscription cancelled."""

    subscription_id: str
    state: State
    kind: ChangeKind
    seats: int
    opened: datetime

    @property
    def closes(self) -> datetime:
        return self.opened + WINDOW


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A product costs something else in terms that begin on `on` or later."""

    product: LicenceProduct
    product_name: str
    on: date
    seats: int  # in use; running terms keep their price
    before: UnitPrice | Unknown
    after: UnitPrice | Unknown


def renewal(
    line: Timeline,
    within: Period,
    *,
    now: Terms | None,
    following: Terms | None,
    schedule: RenewalScheduled | None = None,
) -> Renewal | None:
    """The end of the last known term, if it lies in the period and somebody has seats then. With
    the terms of the contracts that bill before and after it; None: no contract does."""
    state = line.steps[-1].after
    if state.quantity <= 0 or not within.start <= state.term_end < within.end:
        return None
    if schedule is not None and schedule.term_end != state.term_end:
        schedule = None  # it was about another term
    after = _scheduled(state, schedule.next_term if schedule else None)
    action = schedule.at_term_end if schedule else None
    told = [s.change.auto_renew for s in line.steps if s.change.auto_renew is not None]
    renews = told[-1] if told else None
    ends = ENDS.get(action or "") or (RENEWAL_IS_OFF if renews is False else None)
    return Renewal(
        line.subscription_id,
        state,
        after,
        state.term_end,
        renews,
        action,
        _stake(now, state),
        ends or _stake(following, after),
        start_of(state.term_end) + WINDOW,
    )


def _scheduled(state: State, wanted: NextTerm | None) -> State:
    """What is in force once the term has ended."""
    following = replace(state, term_start=state.term_end)
    if wanted is None:
        return following
    product = wanted.product or state.product
    product = product.model_copy(update={"segment": state.product.segment})
    same = (product.product_id, product.sku_id) == (state.product.product_id, state.product.sku_id)
    return replace(
        following,
        quantity=state.quantity if wanted.quantity is None else wanted.quantity,
        product=product,
        product_name=state.product_name if same else product.key,
    )


def windows(line: Timeline, within: Period) -> list[Window]:
    """The windows that close in the period: one for every batch of seats that came, without those
    that went already."""
    found: list[Window] = []
    for step in line.steps:
        kind, at = step.change.kind, step.change.effective_at
        seats = step.after.quantity if kind in OPENING_KINDS else step.delta
        if kind in OPENING_KINDS:  # one window for all
            found = [one for one in found if one.closes < at]
        if seats > 0 and kind in (*OPENING_KINDS, ChangeKind.QUANTITY_CHANGED):
            found.append(Window(line.subscription_id, step.after, kind, seats, at))
        elif seats < 0:
            found = list(_without(found, -seats, at))
    return [one for one in found if one.closes.date() in within]


def _without(known: Sequence[Window], seats: int, at: datetime) -> Iterator[Window]:
    """As the provider's side of the engine has it: the window that closes first gives first."""
    left = seats
    for one in known:
        taken = min(one.seats, left) if at <= one.closes else 0
        left -= taken
        if one.seats > taken:
            yield replace(one, seats=one.seats - taken)


def price_changes(terms: Terms, lines: Iterable[Timeline], within: Period) -> list[PriceChange]:
    """Every day of the period from which a product in use costs something else."""
    in_use: dict[LicenceProduct, list[State]] = {}
    for line in lines:
        state = line.steps[-1].after
        if state.quantity > 0:
            in_use.setdefault(state.product, []).append(state)
    found = []
    for states in in_use.values():
        for day in _days(terms, states[0], within):
            change = _price_change(terms, states, day)
            if change is not None:
                found.append(change)
    return found


def _price_change(terms: Terms, states: Sequence[State], day: date) -> PriceChange | None:
    state = states[0]
    before = _price(terms, replace(state, term_start=day - ONE_DAY))
    after = _price(terms, replace(state, term_start=day))
    if _figures(before) == _figures(after):
        return None
    seats = sum(one.quantity for one in states)
    return PriceChange(state.product, state.product_name, day, seats, before, after)


def _days(terms: Terms, state: State, within: Period) -> list[date]:
    """The days of the period on which a sheet row or a rule begins or ends."""
    book = terms.book
    days = {rule.valid_from for rule in book.rules}
    days |= {rule.valid_until for rule in book.rules if rule.valid_until}
    rows = book.rows_of(state.product)
    days |= {row.effective_from for row in rows}
    days |= {row.effective_until for row in rows if row.effective_until}
    return sorted(day for day in days if day in within)


def _figures(price: UnitPrice | Unknown) -> object:
    if isinstance(price, Unknown):
        return price.reason
    return (price.price, price.cost, price.cost_currency)


def _stake(terms: Terms | None, state: State) -> Stake | Unknown:
    if terms is None:
        return Unknown("no_contract", "no contract bills this subscription on that day")
    price = _price(terms, state)
    if isinstance(price, Unknown):
        return price
    term = TERM_MONTHS.get(state.product.term)
    plan = PLAN_MONTHS.get(state.product.billing_plan)
    return Stake(price, state.quantity, term // plan if term and plan else None)


def _price(terms: Terms, state: State) -> UnitPrice | Unknown:
    try:
        return terms.price(state)
    except Held as held:
        return Unknown(held.code, held.detail)
