"""What the License Change Log adds when an entry turns out not to be so: nothing is ever rewritten.

The truth about a guessed change takes the guess's entries back, each by an entry of its own, and is
logged itself beside them. An opening that a late change makes stale gets the difference. So the sum
of all entries is always the seats, and a PSA that follows entry by entry ends where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from shared.contracts.ingest import ChangeKind, SubscriptionChanged
from shared.contracts.rating import LicenceChangeRated
from shared.kernel.ids import derived_id

Entries = Sequence[LicenceChangeRated]


def reversal(
    entry: LicenceChangeRated, *, change_id: str, recorded_at: datetime
) -> LicenceChangeRated:
    """Takes back an entry, unit by unit, on its own day. `change_id`: why."""
    return entry.model_copy(
        update={
            "entry_id": derived_id("licence-change", entry.entry_id, "reversed"),
            "change_id": change_id,
            "kind": ChangeKind.QUANTITY_CHANGED,
            "quantity_before": entry.quantity_after,
            "quantity_after": entry.quantity_before,
            "recorded_at": recorded_at,
            "unit_price_before": entry.unit_price,
            "unit_cost_before": entry.unit_cost,
            "price_changed": False,
            "prorated_amount": -entry.prorated_amount + Decimal(0),
            "supersedes": (),
            "reverses": entry.entry_id,
        }
    )


def reversals(logged: Entries, truths: Sequence[SubscriptionChanged]) -> Entries:
    """What takes back the entries of guesses, the last first. `truths`: changes that supersede one,
    the first told first."""
    by_guess = {truth.supersedes: truth for truth in reversed(truths)}
    return [
        reversal(entry, change_id=truth.change_id, recorded_at=truth.detected_at)
        for entry in reversed(logged)
        if entry.reverses is None and (truth := by_guess.get(entry.change_id)) is not None
    ]


def linked(
    entries: Iterable[LicenceChangeRated], logged: Entries, truths: Sequence[SubscriptionChanged]
) -> Entries:
    """Entries that are the truth of logged ones say of which."""
    guesses = {truth.change_id: truth.supersedes for truth in truths}
    found = []
    for entry in entries:
        guess = guesses.get(entry.change_id)
        replaced = tuple(e.entry_id for e in logged if e.change_id == guess and e.reverses is None)
        found.append(entry.model_copy(update={"supersedes": replaced}) if replaced else entry)
    return found


def opening_corrections(
    wanted: LicenceChangeRated, logged: Entries, *, recorded_at: datetime
) -> Entries:
    """What an opening lacks, or has too much, by what was logged of it and since."""
    last, held = logged[-1], sum(e.quantity_after - e.quantity_before for e in logged)
    same = last.product.key == wanted.product.key
    if same and held == wanted.quantity_after:
        return []
    corrected = wanted.model_copy(
        update={
            "entry_id": derived_id("licence-change", wanted.entry_id, "corrected", len(logged)),
            "kind": ChangeKind.QUANTITY_CHANGED,
            "quantity_before": held if same else 0,
            "recorded_at": recorded_at,
            "supersedes": (last.entry_id,),
        }
    )
    if same or not held:
        return [corrected]
    whole = last.model_copy(update={"quantity_before": 0, "quantity_after": held})
    taken = reversal(whole, change_id=wanted.change_id, recorded_at=recorded_at)
    return [taken, corrected]
