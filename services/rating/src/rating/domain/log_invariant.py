"""Σ entries of the License Change Log = seats by our changes = seats the provider told last."""

from __future__ import annotations

from collections.abc import Sequence

from rating.domain.allocations import sharing
from rating.domain.desired import Hold
from rating.domain.ownership import owner_of_instant
from rating.domain.timeline import Timeline
from shared.contracts.ingest import ChangeKind
from shared.contracts.invoicing import ContractChanged

REASON = "licence_log_differs"


def log_differs(
    contracts: Sequence[ContractChanged], line: Timeline, logged: int, *, waits: bool
) -> Hold | None:
    """What is wrong with a subscription's log. `logged`: the sum of its entries' changes. Where
    something of it `waits` already, its entries wait too; the provider is compared all the same."""
    last = max(line.steps, key=lambda step: (step.change.version, step.change.change_id))
    provider = last.change.quantity_after if line.told is None else line.told
    ours = line.steps[-1].after.quantity
    expected = ours - _not_logged(contracts, line)
    if provider == ours and (waits or logged == expected):
        return None
    detail = (
        f"the entries of the log sum to {logged:+d} seats and should to {expected:+d}; "
        f"the changes say {ours}, the provider told {provider}"
    )
    return Hold(REASON, f"subscription/{line.subscription_id}", line.customer_id, detail)


def _not_logged(contracts: Sequence[ContractChanged], line: Timeline) -> int:
    """Seats that no entry has: of changes that no contract was there for, and what was there before
    the first known change. An opening is an entry, with all that its contract began with."""
    name = line.subscription_id
    if sharing(contracts, name):
        return 0
    began = min((contract.starts_on for contract in contracts), default=None)
    opens = any(step.change.kind is ChangeKind.OPENING for step in line.steps)
    before = 0 if opens else line.origin.quantity
    return before + sum(
        step.delta
        for step in line.steps
        if step.change.kind is not ChangeKind.OPENING
        and (began is None or step.day >= began or not opens)
        and owner_of_instant(contracts, name, step.change.effective_at) is None
    )
