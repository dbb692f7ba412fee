"""What to do about an intent, given what the PSA holds: nothing, write, or stop.

The same question is asked before the first write, before every repeat and after a write; only the
answer of the PSA differs. That is what makes a push effectively once without idempotency keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from psa_connector.domain.adjustments import Services, judge_services
from psa_connector.domain.mapping import Block, Reason
from psa_connector.domain.operations import (
    AdditionClose,
    Operation,
    RecordRemoval,
    RecordUpdate,
    ServiceAdjustment,
)
from psa_connector.domain.outcomes import Done, Drift, Verdict, Write


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of ours that the PSA shows with another value."""

    field: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.field} is {self.found}, not {self.expected}"


@dataclass(frozen=True, slots=True)
class Record:
    """A record in the PSA that carries our key."""

    external_id: str
    differences: tuple[Difference, ...] = ()
    last_on: date | None = None
    billed: bool = False  # known where an update or a removal asks for it


@dataclass(frozen=True, slots=True)
class Records:
    """Every record with our key: none, one, or (never by us) more."""

    found: tuple[Record, ...]


Observation: TypeAlias = Records | Services


def judge(operation: Operation, seen: Observation, *, answered: bool = False) -> Verdict:
    """What is left to do. `answered`: the PSA said yes to our write of this operation."""
    match operation, seen:
        case ServiceAdjustment(), Services():
            return judge_services(operation, seen, answered=answered)
        case AdditionClose(), Records():
            return _judge_close(operation, seen)
        case RecordUpdate(), Records():
            return _judge_update(operation, seen)
        case RecordRemoval(), Records():
            return _judge_removal(operation, seen)
        case _, Records():
            return _judge_record(seen)
    raise TypeError(f"{type(seen).__name__} does not answer {type(operation).__name__}")


def _judge_record(seen: Records) -> Verdict:
    if not seen.found:
        return Write()
    if len(seen.found) > 1:
        ids = ", ".join(record.external_id for record in seen.found)
        return Drift(Block(Reason.RECORD_DUPLICATED, f"records {ids} carry the same key"))
    record = seen.found[0]
    if record.differences:
        detail = "; ".join(str(difference) for difference in record.differences)
        return Drift(Block(Reason.RECORD_DIFFERS, f"record {record.external_id}: {detail}"))
    return Done(record.external_id)


def _judge_close(close: AdditionClose, seen: Records) -> Verdict:
    """A record that somebody deleted bills nothing any more: closed, too (C8)."""
    if not seen.found:
        return Done("deleted")
    record = seen.found[0]
    return Done(record.external_id) if record.last_on == close.last_on else Write()


def _judge_update(update: RecordUpdate, seen: Records) -> Verdict:
    """What a PSA has billed is not edited (C7, A7); what is gone is not updated."""
    record = _with_id(seen, update.external_id)
    if record is None:
        detail = f"record {update.external_id} with our key is gone"
        return Drift(Block(Reason.NOT_VISIBLE, detail))
    if not record.differences:
        return Done(record.external_id)
    return _billed(record) or Write()


def _judge_removal(removal: RecordRemoval, seen: Records) -> Verdict:
    """A record that is gone already was removed (C8)."""
    record = _with_id(seen, removal.external_id)
    if record is None:
        return Done(removal.external_id)
    return _billed(record) or Write()


def _with_id(seen: Records, external_id: str) -> Record | None:
    return next((record for record in seen.found if record.external_id == external_id), None)


def _billed(record: Record) -> Drift | None:
    if not record.billed:
        return None
    return Drift(Block(Reason.RECORD_BILLED, f"record {record.external_id} is billed already"))
