"""The few things a PSA can be asked to hold, without a vendor's field names.

Amounts are as invoiced or as rated; nothing here is computed from them. A client of one vendor
translates an operation into requests, and knows how to find what an earlier request left behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from shared.kernel.money import EXACT


class OperationKind(StrEnum):
    """The kinds of record; also the `kind` of the delivery events."""

    ADDITION = "addition"
    ADDITION_CLOSE = "addition_close"
    SERVICE_ADJUSTMENT = "service_adjustment"
    CONTRACT_CHARGE = "contract_charge"
    RECORD_UPDATE = "record_update"
    RECORD_REMOVAL = "record_removal"


@dataclass(frozen=True, slots=True)
class Product:
    """Our product key and what it is called in the PSA; None while nobody has mapped it."""

    key: str
    external_id: str | None


@dataclass(frozen=True, slots=True)
class Addition:
    """A line on an agreement. `last_on` is the last day it is billed; None: until it is closed."""

    product: Product
    quantity: Decimal
    unit_price: Decimal
    unit_cost: Decimal
    effective_on: date
    last_on: date | None
    taxable: bool
    charged: bool  # False: shown on the document without a charge
    description: str

    @property
    def extended(self) -> Decimal:
        """What the PSA will put on its document for this line."""
        return EXACT.multiply(self.quantity, self.unit_price)


@dataclass(frozen=True, slots=True)
class AdditionClose:
    """The end of an open addition: billed up to and including `last_on`."""

    closes: str  # intent id of the addition
    last_on: date


@dataclass(frozen=True, slots=True)
class ServiceAdjustment:
    """A change of units of a recurring service; the PSA prorates it, we do not.

    `unit_price` and `unit_cost` hold after the change. They are restated only when they changed or
    when the service is new on the contract: an adjusted price applies to all units, and a price
    sent with a pure quantity change has corrupted prices elsewhere.
    """

    product: Product
    subscription_id: str
    effective_on: date
    units_before: int
    units_after: int
    unit_price: Decimal
    unit_cost: Decimal | None
    restates_price: bool
    opening: bool  # first sight of a subscription that existed before
    recorded_on: date
    corrects: bool = False  # takes an earlier entry back, or tells what was true instead of it


@dataclass(frozen=True, slots=True)
class ContractCharge:
    """A one-time charge on a contract; quantity is always one."""

    product: Product
    name: str
    description: str
    charged_on: date
    amount: Decimal
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class RecordUpdate:
    """All owned fields of an unbilled record back to these, in one request."""

    record: Addition | ContractCharge
    external_id: str


@dataclass(frozen=True, slots=True)
class RecordRemoval:
    """An unbilled record of ours that should not be there. `record`: what it was made as."""

    external_id: str
    record: Addition | ContractCharge


Operation: TypeAlias = (
    Addition | AdditionClose | ServiceAdjustment | ContractCharge | RecordUpdate | RecordRemoval
)


def kind_of(operation: Operation) -> OperationKind:
    """The kind under which an operation is stored and announced."""
    match operation:
        case Addition():
            return OperationKind.ADDITION
        case AdditionClose():
            return OperationKind.ADDITION_CLOSE
        case ServiceAdjustment():
            return OperationKind.SERVICE_ADJUSTMENT
        case ContractCharge():
            return OperationKind.CONTRACT_CHARGE
        case RecordUpdate():
            return OperationKind.RECORD_UPDATE
        case RecordRemoval():
            return OperationKind.RECORD_REMOVAL


def product_of(operation: Operation) -> Product | None:
    """The product an operation needs a mapping for; what only ends a record needs none."""
    match operation:
        case AdditionClose() | RecordRemoval():
            return None
        case RecordUpdate(record=record):
            return record.product
        case _:
            return operation.product
