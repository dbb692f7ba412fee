"""What to publish: the charges that should exist, minus the charges that do.

One mechanism for late seats, late usage, price corrections and replays: a changed charge gets its
next revision, a charge that should no longer exist gets one that is worth nothing, and what agrees
is silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from rating.domain.desired import Desired
from shared.contracts.rating import ChargeKind, ChargeRated, LicenceChangeRated

_KIND_ORDER = {kind: position for position, kind in enumerate(ChargeKind)}


def revise(desired: Desired, published: Mapping[str, ChargeRated]) -> list[ChargeRated]:
    """The revisions that make the published charges equal to the desired ones, in a fixed order."""
    wanted = {charge.charge_id: charge for charge in desired.charges}
    news = [
        charge.model_copy(update={"revision": _revision_after(published.get(identity))})
        for identity, charge in wanted.items()
        if not _agrees(charge, published.get(identity))
    ]
    news += [
        _withdrawn(charge)
        for identity, charge in published.items()
        if identity not in wanted and identity not in desired.held and not is_withdrawn(charge)
    ]
    return sorted(news, key=_position)


def new_entries(desired: Desired, logged: Iterable[str]) -> list[LicenceChangeRated]:
    """Entries not in the log yet, in effective order. A logged entry never changes."""
    known = frozenset(logged)
    fresh = [entry for entry in desired.entries if entry.entry_id not in known]
    return sorted(fresh, key=lambda entry: entry.effective_on)  # stable: same days keep their order


def is_withdrawn(charge: ChargeRated) -> bool:
    """Whether the last revision said that the charge should not exist."""
    return charge.quantity == 0 and charge.amount == 0


def _agrees(charge: ChargeRated, known: ChargeRated | None) -> bool:
    return known is not None and charge.model_copy(update={"revision": known.revision}) == known


def _revision_after(known: ChargeRated | None) -> int:
    return known.revision + 1 if known else 1


def _withdrawn(charge: ChargeRated) -> ChargeRated:
    nothing = Decimal(0)
    return charge.model_copy(
        update={
            "revision": charge.revision + 1,
            "quantity": nothing,
            "amount": nothing,
            "amount_exact": nothing,
            "cost": nothing,
        }
    )


def _position(charge: ChargeRated) -> tuple[int, str, str, str]:
    return (
        _KIND_ORDER[charge.kind],
        charge.subscription_id or "",
        charge.service_period.start.isoformat(),
        charge.charge_id,
    )
