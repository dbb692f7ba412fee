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
    provider, ours = last.change.quantity_after, line.steps[-1].after.quantity
    expected = ours - _under_no_contract(contracts, line)
    if provider == ours and (waits or logged == expected):
        return None
    detail = (
        f"the log sums to {logged} seats, {expected} are under contracts; "
        f"the changes sum to {ours}, the provider told {provider}"
    )
    return Hold(REASON, f"subscription/{line.subscription_id}", line.customer_id, detail)


def _under_no_contract(contracts: Sequence[ContractChanged], line: Timeline) -> int:
    """Seats of changes that no contract was there for: nobody's log has them."""
    name = line.subscription_id
    if sharing(contracts, name):
        return 0
    began = min((contract.starts_on for contract in contracts), default=None)
    return sum(
        step.delta
        for step in line.steps
        if step.change.kind is not ChangeKind.OPENING
        and (began is None or step.day >= began)
        and owner_of_instant(contracts, name, step.change.effective_at) is None
    )
