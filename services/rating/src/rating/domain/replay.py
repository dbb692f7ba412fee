"""How charges that were computed again differ from the published ones, cent by cent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from rating.domain.revisions import is_withdrawn
from shared.contracts.rating import ChargeRated

NOT_PUBLISHED = "was never published"
NOT_OWED = "is not owed"


@dataclass(frozen=True, slots=True)
class Span:
    """Charges whose service period touches these days; an open end is None."""

    since: date | None = None
    until: date | None = None  # exclusive

    def touches(self, charge: ChargeRated) -> bool:
        period = charge.service_period
        return (self.since is None or period.end > self.since) and (
            self.until is None or period.start < self.until
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """`published` is None for a charge that is missing; `recomputed` is what the facts say now."""

    published: ChargeRated | None
    recomputed: ChargeRated
    why: tuple[str, ...]

    @property
    def was(self) -> Decimal:
        return self.published.amount if self.published else Decimal(0)

    @property
    def now(self) -> Decimal:
        return self.recomputed.amount


def differences(
    published: Mapping[str, ChargeRated], recomputed: Mapping[str, ChargeRated], span: Span
) -> list[Difference]:
    """Every charge that differs in anything but its revision, by contract, period and id."""
    found = []
    for identity, now in recomputed.items():
        was = published.get(identity)
        if was is not None and was.model_copy(update={"revision": now.revision}) == now:
            continue
        if span.touches(now) or (was is not None and span.touches(was)):
            found.append(Difference(was, now, tuple(_why(was, now))))
    return sorted(found, key=_position)


def counted(charges: Mapping[str, ChargeRated], span: Span) -> int:
    """How many charges of the span are owed."""
    return sum(span.touches(one) and not is_withdrawn(one) for one in charges.values())


def _why(was: ChargeRated | None, now: ChargeRated) -> Iterator[str]:
    if was is None:
        yield NOT_PUBLISHED
        return
    if is_withdrawn(now):
        yield NOT_OWED
        return
    known, told = _facts(was), _facts(now)
    changed = [name for name in told if known[name] != told[name]]
    for name in changed:
        yield f"{name} {known[name]} → {told[name]}"
    if not changed:
        names = sorted(name for name, value in now if getattr(was, name) != value)
        yield ", ".join(name for name in names if name != "revision")


def _facts(charge: ChargeRated) -> dict[str, str]:
    """What an amount follows from, in the order in which one would ask."""
    price, part, used = charge.price, charge.proration, charge.usage
    return {
        "quantity": f"{charge.quantity:f}",
        "unit price": "–" if price.unit_price is None else f"{price.unit_price:f}",
        "rule": price.rule_id,
        "rule version": str(price.rule_version),
        "days": f"{part.days}/{part.cycle_days}" if part else "–",
        "period": f"{charge.service_period.start}..{charge.service_period.end}",
        "usage lines": f"{used.lines}" if used else "–",
        "exchange rate": f"{used.fx_rate:f}" if used else "–",
        "cost": f"{charge.cost:f} {charge.cost_currency}",
        "product": charge.product.name,
        "billed on": charge.bill_on.isoformat(),
    }


def _position(one: Difference) -> tuple[str, date, str]:
    charge = one.recomputed
    return (charge.contract_id, charge.service_period.start, charge.charge_id)
