"""The charges that should exist, what holds others back, and the identity of a charge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.contracts.rating import ChargeKind, ChargeRated, LicenceChangeRated
from shared.kernel.errors import Held
from shared.kernel.ids import derived_id


@dataclass(frozen=True, slots=True, order=True)
class Hold:
    """A fact that is missing. `object` says what waits, `key` which fact would release it."""

    reason: str
    object: str
    key: str
    detail: str

    @classmethod
    def of(cls, held: Held, *, object: str, key: str) -> Hold:
        return cls(held.code, object, key, held.detail)


@dataclass(frozen=True, slots=True)
class Desired:
    """A conclusion from facts. A charge in `held` keeps its published state: not to know an amount
    is no reason to take it back."""

    charges: tuple[ChargeRated, ...] = ()
    entries: tuple[LicenceChangeRated, ...] = ()
    holds: frozenset[Hold] = frozenset()
    held: frozenset[str] = frozenset()


@dataclass(slots=True)
class Draft:
    """Collects a conclusion while it is computed."""

    charges: list[ChargeRated] = field(default_factory=list)
    entries: list[LicenceChangeRated] = field(default_factory=list)
    holds: set[Hold] = field(default_factory=set)
    held: set[str] = field(default_factory=set)

    def hold(self, hold: Hold, *charge_ids: str) -> None:
        self.holds.add(hold)
        self.held.update(charge_ids)

    def done(self) -> Desired:
        return Desired(
            tuple(self.charges), tuple(self.entries), frozenset(self.holds), frozenset(self.held)
        )


def merge(parts: Iterable[Desired]) -> Desired:
    """All of several conclusions."""
    whole = Draft()
    for part in parts:
        whole.charges += part.charges
        whole.entries += part.entries
        whole.holds |= part.holds
        whole.held |= part.held
    return whole.done()


def charge_id(contract_id: str, kind: ChargeKind, subject: str, *cause: object) -> str:
    """The identity of a charge: contract, kind, what it is for, and what caused it."""
    return derived_id("charge", contract_id, kind.value, subject, *cause)
