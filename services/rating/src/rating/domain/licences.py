"""The charges and log entries that the history of one licence subscription should have made.

One recurring charge per charge cycle, with the quantity of its first day; one proration per change
that takes effect later in a cycle. A change of price or product inside a cycle is two prorations:
the old units at the old price until then, the new units at the new price from then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from rating.domain import licence_log
from rating.domain.closing import closed
from rating.domain.cycles import (
    MONTHLY,
    begins_cycle,
    begins_on_boundary,
    bill_on,
    boundary_for,
    charge_cycle,
    charge_starts,
)
from rating.domain.desired import Desired, Draft, Hold, charge_id
from rating.domain.licence_log import Leg, Priced
from rating.domain.ownership import (
    owner_of_change,
    owner_of_cycle,
    owner_of_instant,
    owner_of_opening,
)
from rating.domain.pricing import PriceBook, UnitPrice, licence_price, subject_of
from rating.domain.promotions import (
    Firsts,
    Promotion,
    Seats,
    Subject,
    reduction,
    reduction_id,
    select,
)
from rating.domain.proration import Part, provider_share, rest_of_cycle, whole_cycle
from rating.domain.timeline import State, Step, Timeline
from shared.contracts.envelope import PeriodField
from shared.contracts.ingest import ChangeKind, LicenceProduct
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.kernel import conventions
from shared.kernel.conventions import Convention
from shared.kernel.errors import Held
from shared.kernel.money import EXACT, Rounding, exponent, round_to, to_decimal

LEGS = ("", "from", "to")


@dataclass(frozen=True, slots=True)
class Terms:
    """A contract among its customer's contracts, the prices, and how far cycles were closed."""

    contract: ContractChanged
    siblings: Sequence[ContractChanged]  # all contracts of the customer, this one included
    book: PriceBook
    through: date | None = None  # the latest boundary an invoice run closed
    firsts: Firsts = field(default_factory=dict)  # the customer's first terms, for promotions
    known_prices: dict[tuple[LicenceProduct, date], UnitPrice] = field(
        default_factory=dict, compare=False, repr=False
    )  # most changes of a subscription ask for the same one

    @property
    def convention(self) -> Convention:
        return conventions.parse(self.contract.convention)

    def price(self, state: State) -> UnitPrice:
        """Raises what `licence_price` raises."""
        key = (state.product, state.price_day)
        if key not in self.known_prices:
            self.known_prices[key] = licence_price(self.book, self.contract, *key)
        return self.known_prices[key]


def licence_charges(terms: Terms, timeline: Timeline) -> Desired:
    """What the contract owes for one subscription, as far as the facts and prices tell."""
    draft = Draft()
    timeline = timeline.counted_by(terms.convention)
    if terms.through is not None:
        _recurring(draft, terms, timeline, terms.through)
    for step in timeline.steps:
        if step.change.kind is ChangeKind.OPENING:
            _opening(draft, terms, timeline, step)
        else:
            _change(draft, terms, step)
    if not timeline.impossible:
        return draft.done()
    waits = Draft(held=draft.held | {charge.charge_id for charge in draft.charges})
    detail = "the known changes sum to less than no seats; one of them is missing"
    waits.hold(Hold("quantity_negative", _object(timeline), timeline.subscription_id, detail))
    return waits.done()


def _recurring(draft: Draft, terms: Terms, timeline: Timeline, through: date) -> None:
    for start in _starts(draft, terms, timeline, through):
        state = timeline.on(start)
        if state.quantity == 0 or not _is_ours(terms, timeline.subscription_id, start):
            continue
        identity = charge_id(
            terms.contract.contract_id, ChargeKind.RECURRING, timeline.subscription_id, start
        )
        try:
            if begins_cycle(terms.contract, state.product, term=state.term, day=start):
                charge = _whole_cycle(terms, timeline, start, identity)
                draft.charges += _promoted(terms, charge, state, Seats(0, state.quantity))
        except Held as held:
            waiting = (identity, _reduction_id(terms, timeline.subscription_id, identity))
            draft.hold(Hold.of(held, object=_object(timeline), key=state.product.key), *waiting)


def _starts(draft: Draft, terms: Terms, timeline: Timeline, through: date) -> list[date]:
    """Every day on which some term of the subscription may have begun a charge cycle."""
    found: set[date] = set()
    monthly = next((s for s in timeline.terms if s.product.billing_plan == MONTHLY), None)
    others = [s for s in timeline.terms if s.product.billing_plan != MONTHLY]
    for state in ([monthly] if monthly else []) + others:
        try:
            found.update(
                charge_starts(terms.contract, state.product, term=state.term, through=through)
            )
        except Held as held:
            draft.hold(Hold.of(held, object=_object(timeline), key=state.product.key))
    return sorted(found)


def _whole_cycle(terms: Terms, timeline: Timeline, start: date, identity: str) -> ChargeRated:
    """The recurring charge of the charge cycle that begins on `start`."""
    state = timeline.on(start)
    cycle = charge_cycle(terms.contract, state.product, term=state.term, day=start)
    part = whole_cycle(cycle, terms.convention)
    figure = _Figure(identity, state.quantity, terms.price(state), part, start)
    return _charge(
        terms,
        timeline.subscription_id,
        state,
        figure,
        kind=ChargeKind.RECURRING,
        description=state.product_name,
        sources=(state.change_id,) if state.change_id else (),
    )


def _is_ours(terms: Terms, subscription_id: str, start: date) -> bool:
    """Whether this contract bills the recurring charge that begins on `start`."""
    on_boundary = begins_on_boundary(terms.contract, start)
    owner_of = owner_of_cycle if on_boundary else owner_of_change
    owner = owner_of(terms.siblings, subscription_id, start)
    return owner is not None and owner.contract_id == terms.contract.contract_id


def _opening(draft: Draft, terms: Terms, timeline: Timeline, step: Step) -> None:
    """What was there before we looked is no change to be prorated. PSAs are told what the contract
    begins with, which is what was there on the day before it where that was later."""
    contract = terms.contract
    owner = owner_of_opening(terms.siblings, timeline.subscription_id, step.day)
    if owner is None or owner.contract_id != contract.contract_id:
        return
    state = step.after
    if step.day < contract.starts_on:
        state = timeline.on(contract.starts_on - timedelta(days=1))
    try:
        price = terms.price(state)
    except Held as held:
        draft.hold(Hold.of(held, object=_object(timeline), key=state.product.key))
        return
    if state.quantity > 0:
        draft.entries.append(licence_log.opening_entry(contract, step, state, price))


def _change(draft: Draft, terms: Terms, step: Step) -> None:
    change, contract = step.change, terms.contract
    owner = owner_of_instant(terms.siblings, change.subscription_id, change.effective_at)
    if owner is None or owner.contract_id != contract.contract_id:
        return
    try:
        priced = _priced(terms, step)
        made = [(leg, _proration(terms, step, leg)) for leg in priced.legs]
        charged = [(leg, charge) for leg, charge in made if charge is not None]
        promoted = [
            _promoted(terms, charge, leg.state, _seats(step, leg)) for leg, charge in charged
        ]
    except Held as held:
        own = [_proration_id(terms, step, leg) for leg in LEGS]
        waiting = own + [_reduction_id(terms, change.subscription_id, one) for one in own]
        hold = Hold.of(
            held, object=f"subscription/{change.subscription_id}", key=step.after.product.key
        )
        draft.hold(hold, *waiting)
        return
    for charges in promoted:
        draft.charges += charges
    prorations = {leg.name: charge for leg, charge in charged}
    draft.entries += licence_log.entries(contract, step, priced, prorations)


def _priced(terms: Terms, step: Step) -> Priced:
    """The step split into legs that each have one product and one price."""
    before, after = step.before, step.after
    new = terms.price(after)
    single = Leg("", after, step.delta, new)
    unchanged = (before.product, before.price_day) == (after.product, after.price_day)
    if unchanged or before.quantity == 0:
        return Priced(None if before.quantity == 0 else new, new, (single,))
    old = terms.price(before)
    same = before.product == after.product and old.price == new.price
    if same and _promotion(terms, step, before) == _promotion(terms, step, after):
        return Priced(old, new, (single,))
    legs = (Leg("from", before, -before.quantity, old), Leg("to", after, after.quantity, new))
    return Priced(old, new, legs)


def _proration(terms: Terms, step: Step, leg: Leg) -> ChargeRated | None:
    """The charge of one leg; None where it has nothing to charge."""
    if leg.delta == 0:
        return None
    state = leg.state
    cycle = charge_cycle(terms.contract, state.product, term=state.term, day=step.day)
    since = step.change.effective_at
    part = rest_of_cycle(cycle, step.day, terms.convention, since=since)
    if part is None:
        return None
    identity = _proration_id(terms, step, leg.name)
    figure = _Figure(identity, leg.delta, leg.price, part, step.day, since)
    why = {"": "", "from": ", the old price until then", "to": ", the new price from then"}
    charge = _charge(
        terms, step.change.subscription_id, state, figure,
        kind=ChargeKind.PRORATION, sources=(step.change.change_id,),
        description=f"{state.product_name}, {leg.delta:+d} from {step.day}{why[leg.name]}",
    )  # fmt: skip
    return charge.model_copy(update={"effective_at": step.change.effective_at})


def _promoted(terms: Terms, charge: ChargeRated, state: State, seats: Seats) -> list[ChargeRated]:
    """A charge, and what a promotion takes off it."""
    if not terms.book.promotions:
        return [charge]
    subject = _subject(terms, charge.subscription_id or "", state)
    off = reduction(terms.book.promotions, subject, charge, seats=seats, contract=terms.contract)
    return [charge] if off is None else [charge, off]


def _promotion(terms: Terms, step: Step, state: State) -> Promotion | None:
    """What holds for a state in the cycle of a step."""
    if not terms.book.promotions:
        return None
    cycle = charge_cycle(terms.contract, state.product, term=state.term, day=step.day)
    subject = _subject(terms, step.change.subscription_id, state)
    return select(terms.book.promotions, subject, cycle.whole.start)


def _subject(terms: Terms, subscription_id: str, state: State) -> Subject:
    contract = terms.contract
    return Subject(
        subject_of(contract, state.product),
        state,
        subscription_id,
        max(state.price_day, contract.starts_on),
        terms.firsts,
    )


def _seats(step: Step, leg: Leg) -> Seats:
    before = 0 if leg.name == "to" else step.before.quantity
    return Seats(before, before + leg.delta)


def _reduction_id(terms: Terms, subscription_id: str, base_id: str) -> str:
    return reduction_id(terms.contract.contract_id, subscription_id, base_id)


@dataclass(frozen=True, slots=True)
class _Figure:
    """Quantity × price × share, and the day that decides when it is billed."""

    charge_id: str
    quantity: int
    price: UnitPrice
    part: Part
    day: date
    since: datetime | None = None  # of a change

    @property
    def exact(self) -> Fraction:
        counted = self.part.coefficient
        numerator, denominator = self.price.price.as_integer_ratio()
        return Fraction(
            self.quantity * numerator * counted.numerator, denominator * counted.denominator
        )

    @property
    def cost(self) -> Decimal:
        """The provider counts UTC days, whatever our convention; it truncates the unit price of a
        part of a cycle, then multiplies by seats."""
        unit = self.price.cost
        days = provider_share(self.part.period, self.part.cycle, self.since)
        if days != 1:
            places = exponent(self.price.cost_currency)
            unit = round_to(Fraction(unit) * days, places, Rounding.DOWN)
        return EXACT.multiply(unit, Decimal(self.quantity))


def _charge(
    terms: Terms,
    subscription_id: str,
    state: State,
    figure: _Figure,
    *,
    kind: ChargeKind,
    description: str,
    sources: tuple[str, ...],
) -> ChargeRated:
    contract = terms.contract
    part, exact = figure.part, figure.exact
    is_share = kind is ChargeKind.PRORATION or not part.is_whole
    return ChargeRated(
        charge_id=figure.charge_id,
        revision=1,
        kind=kind,
        contract_id=contract.contract_id,
        customer_id=contract.provider_customer_id,
        subscription_id=subscription_id,
        product=licence_log.product_of(state),
        description=description,
        quantity=Decimal(figure.quantity),
        currency=contract.currency,
        amount=closed(exact, contract),
        amount_exact=to_decimal(exact),
        cost=figure.cost,
        cost_currency=figure.price.cost_currency,
        service_period=PeriodField.of(part.period),
        bill_on=bill_on(contract, boundary_for(contract, figure.day)),
        price=figure.price.basis,
        proration=part.basis() if is_share else None,
        source_ids=sources,
    )


def _proration_id(terms: Terms, step: Step, leg: str) -> str:
    change = step.change
    return charge_id(
        terms.contract.contract_id,
        ChargeKind.PRORATION,
        change.subscription_id,
        change.change_id,
        leg,
    )


def _object(timeline: Timeline) -> str:
    return f"subscription/{timeline.subscription_id}"
