"""Lines that are in a PSA already when our first push comes: nothing may be billed twice.

At cut-over an agreement often holds, entered by hand, what we are about to write. Such a line stops
the push until a person decides: it is ours (we take it over as it is and write our key into it), or
it is something else (we write beside it). Only a line with the same amount can be taken over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeAlias

from psa_connector.domain.adjustments import Services, fits, units_on
from psa_connector.domain.mapping import Block, Reason
from psa_connector.domain.operations import (
    Addition,
    ContractCharge,
    Operation,
    OperationKind,
    ServiceAdjustment,
)
from shared.kernel.errors import Conflict

LineRecord: TypeAlias = Addition | ContractCharge
LINES = frozenset({OperationKind.ADDITION, OperationKind.CONTRACT_CHARGE})


@dataclass(frozen=True, slots=True)
class ExistingLine:
    """A line as a PSA holds it, in our words. `obstacles`: why it cannot be taken over as it is."""

    external_id: str
    record: LineRecord
    key: str | None = None  # that stands where ours do
    obstacles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rival:
    """Something in the PSA that could be what an operation would write."""

    external_id: str
    description: str
    differences: tuple[str, ...]  # none: it can be taken over

    @property
    def is_equal(self) -> bool:
        return not self.differences


def recognised(lines: Iterable[ExistingLine], ours: Collection[str]) -> tuple[ExistingLine, ...]:
    """Only a key that is in our ledger makes a line ours; any other is in the way of ours."""
    return tuple(
        line if not line.key or line.key in ours else _with_a_foreign_key(line) for line in lines
    )


def _with_a_foreign_key(line: ExistingLine) -> ExistingLine:
    told = f"it carries {line.key} where our key would stand"
    return replace(line, key=None, obstacles=(*line.obstacles, told))


def rivals(
    operation: Operation, lines: Iterable[ExistingLine], decided: frozenset[str]
) -> list[Rival]:
    """Lines without our key that would bill the same again and are not decided about; equal ones
    first."""
    found = [
        Rival(line.external_id, line.record.description, _differences(operation, line))
        for line in lines
        if not line.key and line.external_id not in decided and _bills_again(operation, line)
    ]
    return sorted(found, key=lambda rival: len(rival.differences))


def service_rivals(adjustment: ServiceAdjustment, seen: Services) -> list[Rival]:
    """Services of the product on the contract that no subscription is linked to."""
    if seen.linked:
        return []
    found = []
    for units in seen.candidates:
        on = adjustment.effective_on
        if adjustment.opening:
            on = max(on, adjustment.recorded_on)
        told = f"it has {units_on(units.rows, on)} units on {on}"
        found.append(Rival(units.service, told, () if fits(adjustment, units) else (told,)))
    return sorted(found, key=lambda rival: len(rival.differences))


def cut_over_blocks(
    operations: Sequence[Operation], lines: Sequence[ExistingLine], decided: frozenset[str]
) -> tuple[Block, ...]:
    """What stops the first push of a product: one block for each line nobody has decided about."""
    told: dict[str, str] = {}
    for operation in operations:
        for rival in rivals(operation, lines, decided):
            how = "the same" if rival.is_equal else "; ".join(rival.differences)
            told.setdefault(rival.external_id, how)
    return tuple(
        Block(Reason.EXISTING_LINE, f"line {id} is there already ({how}): adopt or dismiss it")
        for id, how in told.items()
    )


def adopted(operation: Operation, line: ExistingLine) -> LineRecord:
    """The operation as the line fulfils it: its days, words and cost stay, the amount is equal.

    Raises:
        Conflict: `not_adoptable`, with what is different.
    """
    if line.key or not _bills_again(operation, line):
        raise Conflict("not_adoptable", f"line {line.external_id} is not what this would write")
    differences = _differences(operation, line)
    if differences:
        raise Conflict("not_adoptable", f"line {line.external_id}: {'; '.join(differences)}")
    match operation, line.record:
        case Addition(), Addition() as there:
            return replace(
                operation,
                effective_on=there.effective_on,
                last_on=there.last_on,
                unit_cost=there.unit_cost,
                description=there.description,
            )
        case ContractCharge(), ContractCharge() as there:
            return replace(
                operation,
                name=there.name,
                description=there.description,
                charged_on=there.charged_on,
                cost=there.cost,
            )
    raise Conflict("not_adoptable", "this is no line")


def _bills_again(operation: Operation, line: ExistingLine) -> bool:
    """The same product on days that would be billed again."""
    match operation, line.record:
        case Addition() as ours, Addition() as there:
            return (
                ours.product.external_id == there.product.external_id
                and ours.charged
                and there.charged
                and _is_one_off(ours) == _is_one_off(there)
                and there.effective_on <= (ours.last_on or date.max)
                and ours.effective_on <= (there.last_on or date.max)
            )
        case ContractCharge() as ours, ContractCharge() as there:
            return ours.product.external_id == there.product.external_id and _month(
                ours.charged_on
            ) == _month(there.charged_on)
    return False


def _is_one_off(addition: Addition) -> bool:
    """Billed once: first and last day lie in one month of the PSA."""
    last_on = addition.last_on
    return last_on is not None and _month(last_on) == _month(addition.effective_on)


def _differences(operation: Operation, line: ExistingLine) -> tuple[str, ...]:
    found = list(line.obstacles)
    match operation, line.record:
        case Addition() as ours, Addition() as there:
            if there.quantity != ours.quantity:
                found.append(f"quantity is {there.quantity:f}, not {ours.quantity:f}")
            if there.unit_price != ours.unit_price:
                found.append(f"price is {there.unit_price:f}, not {ours.unit_price:f}")
            if there.taxable != ours.taxable:
                found.append("it is taxable" if there.taxable else "it is not taxable")
            if ours.last_on is None and there.last_on is not None:
                found.append(f"it ends on {there.last_on}")
        case ContractCharge() as ours, ContractCharge() as there:
            if there.amount != ours.amount:
                found.append(f"amount is {there.amount:f}, not {ours.amount:f}")
    return tuple(found)


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month
