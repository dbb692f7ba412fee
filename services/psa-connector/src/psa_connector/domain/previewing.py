"""What a push would do, line by line, said in four words: create, update, nothing, blocked.

The question to the PSA and the verdict are those of the sender; only the write is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from psa_connector.domain.mapping import Block
from psa_connector.domain.operations import AdditionClose, Operation, ServiceAdjustment
from psa_connector.domain.outcomes import Done, Drift, Verdict, Write


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    NOTHING = "nothing"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would happen to one line, and why."""

    action: Action
    reason: str
    detail: str
    external_id: str | None = None


def foresee(operation: Operation, verdict: Verdict) -> Foreseen:
    """What the sender would do with this verdict."""
    match verdict:
        case Done(external_id):
            return Foreseen(
                Action.NOTHING, "there", f"the PSA has it as {external_id}", external_id
            )
        case Drift(block):
            return stopped(block)
        case Write():
            return _written(operation, verdict)


def stopped(block: Block) -> Foreseen:
    """A person has to do something first."""
    return Foreseen(Action.BLOCKED, block.reason.value, block.detail)


def delivered(external_id: str | None) -> Foreseen:
    """Confirmed in the ledger; what happened to it since is a question of drift."""
    detail = f"delivered as {external_id}" if external_id else "delivered"
    return Foreseen(Action.NOTHING, "delivered", detail, external_id)


def under_way() -> Foreseen:
    """A request left and nobody saw its outcome yet: the writer looks for it."""
    return Foreseen(Action.NOTHING, "under_way", "a request is under way; it is looked for")


def follows(operation: Operation, earlier: str) -> Foreseen:
    """Something of the same target comes first; the PSA cannot be asked about it yet."""
    return Foreseen(_action(operation, None), "after_another", f"after {earlier}")


def takes_over(external_id: str) -> Foreseen:
    """A line that a person adopted gets our key."""
    detail = f"line {external_id} is taken over"
    return Foreseen(Action.UPDATE, "adopted", detail, external_id)


def _written(operation: Operation, wanted: Write) -> Foreseen:
    match operation:
        case ServiceAdjustment():
            words = [f"{wanted.unit_change:+d} units on {operation.effective_on}"]
            if wanted.restate_price:
                words.append(f"at {operation.unit_price:f} each")
            if wanted.service is None:
                words.append("on a new service of the contract")
            detail = " ".join(words)
        case AdditionClose(last_on=last_on):
            detail = f"its last billed day becomes {last_on}"
        case _:
            detail = "the PSA has nothing with its key"
    return Foreseen(_action(operation, wanted.service), "missing", detail, wanted.service)


def _action(operation: Operation, service: str | None) -> Action:
    match operation:
        case AdditionClose():
            return Action.UPDATE
        case ServiceAdjustment():
            is_first = service is None and operation.units_before == 0
            return Action.CREATE if is_first else Action.UPDATE
    return Action.CREATE
