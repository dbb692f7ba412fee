"""What a person would call the step between two states of a subscription.

Most of it shows in the states. What does not (seats that moved between subscriptions, a customer
that changed its partner) the provider's record of the operation tells.
"""

from __future__ import annotations

from ingest.domain.audit_records import AuditRecord
from ingest.domain.snapshots import State
from shared.contracts.ingest import ChangeKind

_EXTENDED = "extended service term"


def kind_of(before: State | None, after: State, record: AuditRecord | None = None) -> ChangeKind:
    """The kind of a step; `record` is its evidence, where there is any."""
    found = _told(before, after, record) if record is not None else None
    if found is None and before is None:
        found = ChangeKind.PURCHASED
    if found is None and before is not None:
        found = _life(before, after) or _term(before, after) or _content(before, after)
    return found or ChangeKind.UPDATED


def _told(before: State | None, after: State, record: AuditRecord) -> ChangeKind | None:
    """What only the operation tells."""
    if record.is_transfer:
        return ChangeKind.TRANSFERRED_IN if before is None else ChangeKind.TRANSFERRED_OUT
    if not record.is_upgrade:
        return None
    was = before.quantity if before is not None else 0
    if was == after.quantity or (before is not None and _product(before) != _product(after)):
        return None
    return ChangeKind.MOVED_IN if after.quantity > was else ChangeKind.MOVED_OUT


def _life(before: State, after: State) -> ChangeKind | None:
    if after.gone and not before.gone:
        return ChangeKind.CANCELLED if after.status == "deleted" else ChangeKind.EXPIRED
    if before.gone and not after.gone:
        return ChangeKind.RESUMED
    return None


def _term(before: State, after: State) -> ChangeKind | None:
    if before.trial and not after.trial:
        return ChangeKind.TRIAL_CONVERTED
    if after.term_start <= before.term_start:
        return None
    if after.term_start < before.term_end and after.term != before.term:
        return ChangeKind.TERM_CHANGED
    begins = _EXTENDED in after.product_name.casefold()
    if begins and _EXTENDED not in before.product_name.casefold():
        return ChangeKind.EXTENDED
    return ChangeKind.RENEWED


def _content(before: State, after: State) -> ChangeKind | None:
    if after.status == "suspended" != before.status:
        return ChangeKind.SUSPENDED
    if before.status == "suspended" != after.status:
        return ChangeKind.RESUMED
    if _product(before) != _product(after):
        return ChangeKind.UPGRADED
    if after.quantity != before.quantity:
        return ChangeKind.QUANTITY_CHANGED
    return ChangeKind.PLAN_CHANGED if after.billing_plan != before.billing_plan else None


def _product(state: State) -> tuple[str, str]:
    return (state.product_id, state.sku_id)
