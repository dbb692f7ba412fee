"""Operations as jsonb, decimals as strings: what was planned is what will be sent."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from psa_connector.domain.operations import (
    Addition,
    AdditionClose,
    ContractCharge,
    Operation,
    OperationKind,
    RecordRemoval,
    RecordUpdate,
    ServiceAdjustment,
)

_ADAPTERS: dict[OperationKind, TypeAdapter[Any]] = {
    OperationKind.ADDITION: TypeAdapter(Addition),
    OperationKind.ADDITION_CLOSE: TypeAdapter(AdditionClose),
    OperationKind.SERVICE_ADJUSTMENT: TypeAdapter(ServiceAdjustment),
    OperationKind.CONTRACT_CHARGE: TypeAdapter(ContractCharge),
    OperationKind.RECORD_UPDATE: TypeAdapter(RecordUpdate),
    OperationKind.RECORD_REMOVAL: TypeAdapter(RecordRemoval),
}


def to_row(kind: OperationKind, operation: Operation) -> dict[str, Any]:
    """The jsonb value of an operation."""
    row: dict[str, Any] = _ADAPTERS[kind].dump_python(operation, mode="json")
    return row


def from_row(kind: str, row: dict[str, Any]) -> Operation:
    """The operation in a jsonb value."""
    operation: Operation = _ADAPTERS[OperationKind(kind)].validate_python(row)
    return operation
