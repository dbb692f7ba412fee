"""How a subscription that we never saw before came to us: bought just now, or there all along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ingest.domain.audit_records import AuditRecord
from ingest.domain.chains import best_path, link_on
from ingest.domain.documents import Fields
from ingest.domain.snapshots import Snapshot, State, read_state, start_of_term
from shared.contracts.ingest import ChangeKind
from shared.kernel.errors import Invalid
from shared.kernel.periods import add_months

_MONTHS = {"P1M": 1, "P1Y": 12, "P3Y": 36, "P5Y": 60}


@dataclass(frozen=True, slots=True)
class Origin:
    """The first step of a subscription's history and the records that follow it."""

    kind: ChangeKind
    state: State
    at: datetime
    record: AuditRecord | None
    updates: tuple[AuditRecord, ...]


def origin_of(
    current: Snapshot, records: Sequence[AuditRecord], *, history_begins: datetime | None
) -> Origin:
    """Bought, when a record says so or when it was created after our first look at the account;
    otherwise it was there before us and its history opens with the running term.
    """
    ordered = sorted(records, key=lambda r: (r.at, r.key))
    updates = [r for r in ordered if _touches(r, current, creates=False)]
    creation = next((r for r in ordered if _touches(r, current, creates=True)), None)
    if creation is not None:
        return _bought(current, creation, [r for r in updates if r.at >= creation.at])
    if history_begins is not None and current.created_at > history_begins:
        state, later = _before(current, [r for r in updates if r.at >= current.created_at])
        return Origin(ChangeKind.PURCHASED, state, current.created_at, None, later)
    opens = start_of_term(current.state)
    state, later = _before(current, [r for r in updates if r.at >= opens])
    return Origin(ChangeKind.OPENING, state, opens, None, later)


def _touches(record: AuditRecord, current: Snapshot, *, creates: bool) -> bool:
    touch = record.touch(current.subscription_id)
    return touch is not None and touch.creates == creates


def _bought(current: Snapshot, creation: AuditRecord, updates: Sequence[AuditRecord]) -> Origin:
    state = _as_bought(current, creation, updates)
    kind = ChangeKind.PURCHASED
    if creation.is_transfer:
        kind = ChangeKind.TRANSFERRED_IN
    elif creation.is_upgrade:
        kind = ChangeKind.MOVED_IN
    return Origin(kind, state, creation.at, creation, tuple(updates))


def _as_bought(current: Snapshot, creation: AuditRecord, updates: Sequence[AuditRecord]) -> State:
    """The state right after the purchase: the current one, with the seats and the term of then."""
    state = replace(current.state, status="active")
    if state.term_start > creation.at.date():
        started = current.created_at.date()
        months = _MONTHS.get(state.term)
        end = add_months(started, months) if months else state.term_end
        state = replace(state, term_started_at=current.created_at, term_end=end)
    touch = creation.touch(current.subscription_id)
    bought = _resource_seats(touch.after if touch else None)
    if bought is None and updates:
        link = link_on(state, updates[0], current.subscription_id)
        bought = link.found.seats if link and link.found else None
    return replace(state, seats=bought) if bought is not None else state


def _resource_seats(resource: object) -> int | None:
    if not isinstance(resource, dict):
        return None
    try:
        return Fields(resource).integer("quantity")
    except Invalid:
        return None


def _before(
    current: Snapshot, updates: Sequence[AuditRecord]
) -> tuple[State, tuple[AuditRecord, ...]]:
    """The earliest state from which the records lead to the current one without a jump."""
    sub = current.subscription_id
    for index, first in enumerate(updates):
        touch = first.touch(sub)
        if touch is None or touch.before is None:
            continue
        try:
            start = read_state(touch.before, current.state)
        except Invalid:
            continue
        path = best_path(start, updates[index:], current.state, subscription_id=sub)
        if path.cost == (0, 0) and start.term_start == current.state.term_start:
            return start, tuple(updates[index:])
    return current.state, ()
