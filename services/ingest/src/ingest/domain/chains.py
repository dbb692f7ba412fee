"""Which records, in which order, lead from the state we began with to the state that is.

Steps already published are facts of ours: they stay where they are, and records find their place
before, between or after them. Records may be missing, late, already reflected in a step, or share
one instant. The search takes the explanation with the fewest unexplained jumps, then the one that
leaves out the fewest records, then the one that leaves out the oldest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, permutations, product

from ingest.domain.audit_records import AuditRecord
from ingest.domain.documents import Fields
from ingest.domain.snapshots import State, read_state
from shared.kernel.errors import Invalid

MAX_TIE = 4  # events of one instant whose order is searched
MAX_ORDERS = 200


@dataclass(frozen=True, slots=True)
class Link:
    """A step of the history: what it found (None: not told) and what it left.

    `record` is its evidence; a link without one is a published step, which cannot be left out.
    `guess` is the change id of a published step whose time we guessed.
    """

    at: datetime
    found: State | None
    left: State
    record: AuditRecord | None = None
    guess: str | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """The links used, the records left out, and the number of changes no link explains."""

    start: State
    links: tuple[Link, ...]
    skipped: tuple[AuditRecord, ...]
    jumps: int

    @property
    def cost(self) -> tuple[int, int]:
        return (self.jumps, len(self.skipped))


@dataclass(frozen=True, slots=True)
class _Partial:
    jumps: int
    skipped: tuple[int, ...]
    links: tuple[Link, ...]
    state: State

    @property
    def cost(self) -> tuple[int, int, tuple[int, ...]]:
        return (self.jumps, len(self.skipped), self.skipped)


Event = Link | AuditRecord


def best_path(
    start: State,
    records: Sequence[AuditRecord],
    goal: State,
    *,
    subscription_id: str,
    published: Sequence[Link] = (),
) -> Path:
    """The cheapest way from `start` to `goal` through all published steps and these records."""
    ordered = sorted(records, key=lambda r: (r.at, r.key))
    events: list[Event] = sorted([*published, *ordered], key=lambda e: e.at)
    paths = (
        _cheapest(start, order, goal, subscription_id=subscription_id) for order in _orders(events)
    )
    return min(paths, key=lambda path: path.cost)


def link_on(state: State, record: AuditRecord, subscription_id: str) -> Link | None:
    """What the record does to a subscription in this state; None when it says nothing usable."""
    touch = record.touch(subscription_id)
    if touch is None or touch.after is None or not Fields(touch.after).has(*_TELLING):
        return None
    try:
        found = read_state(touch.before, state) if touch.before is not None else None
        return Link(record.at, found, read_state(touch.after, found or state), record)
    except Invalid:
        return None  # a malformed value explains nothing; the jump it leaves is visible


_TELLING = (
    "quantity", "status", "effectiveStartDate", "commitmentEndDate", "offerId", "termDuration",
    "billingCycle", "friendlyName", "autoRenewEnabled",
)  # fmt: skip


def _orders(events: Sequence[Event]) -> Iterator[tuple[Event, ...]]:
    """The events in time order, in every order of those that share an instant."""
    groups = [tuple(group) for _, group in groupby(events, key=lambda e: e.at)]
    choices = [
        [order for order in permutations(group) if _keeps_published_order(group, order)]
        if 1 < len(group) <= MAX_TIE
        else [group]
        for group in groups
    ]
    for count, choice in enumerate(product(*choices)):
        if count == MAX_ORDERS:
            return
        yield tuple(event for group in choice for event in group)


def _keeps_published_order(group: Sequence[Event], order: Sequence[Event]) -> bool:
    return [e for e in group if isinstance(e, Link)] == [e for e in order if isinstance(e, Link)]


def _cheapest(start: State, events: Sequence[Event], goal: State, *, subscription_id: str) -> Path:
    """Dynamic programming: the cheapest way to arrive at each event, from any earlier one."""
    origin, arrivals = _Partial(0, (), (), start), list[_Partial | None]()
    reach = -1  # the last published step: nothing before it may be jumped over
    for index, event in enumerate(events):
        sources = ((i, origin if i < 0 else arrivals[i]) for i in range(reach, index))
        arrivals.append(_least(_extend(p, i, index, event, subscription_id) for i, p in sources))
        if isinstance(event, Link):
            reach = index
    sources = ((i, origin if i < 0 else arrivals[i]) for i in range(reach, len(events)))
    best = _least(_finish(p, i, len(events), goal) for i, p in sources)
    if best is None:
        raise RuntimeError("leaving out every record is always a path")
    skipped = tuple(e for i in best.skipped if isinstance(e := events[i], AuditRecord))
    return Path(start, best.links, skipped, best.jumps)


def _extend(
    partial: _Partial | None, last: int, index: int, event: Event, subscription_id: str
) -> _Partial | None:
    if partial is None:
        return None
    link = event if isinstance(event, Link) else link_on(partial.state, event, subscription_id)
    if link is None:
        return None
    jump = link.found is not None and link.found.billing != partial.state.billing
    return _Partial(
        partial.jumps + int(jump),
        (*partial.skipped, *range(last + 1, index)),
        (*partial.links, link),
        link.left,
    )


def _finish(partial: _Partial | None, last: int, count: int, goal: State) -> _Partial | None:
    if partial is None:
        return None
    jump = partial.state.billing != goal.billing
    skipped = (*partial.skipped, *range(last + 1, count))
    return _Partial(partial.jumps + int(jump), skipped, partial.links, partial.state)


def _least(options: Iterable[_Partial | None]) -> _Partial | None:
    return min((o for o in options if o is not None), key=lambda o: o.cost, default=None)
