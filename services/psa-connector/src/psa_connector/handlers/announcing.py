"""Telling the others, and the audit trail, that something waits for a person."""

from __future__ import annotations

from psa_connector.domain.mapping import Block, Place
from psa_connector.domain.operations import OperationKind
from shared.contracts.psa_connector import DeliveryRefused
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Transaction


def refusal(
    *,
    intent_id: str,
    place: Place,
    target: str,
    kind: OperationKind,
    source_id: str,
    block: Block,
) -> DeliveryRefused:
    return DeliveryRefused(
        intent_id=intent_id,
        connection_id=place.connection_id,
        target=target,
        kind=kind.value,
        source_id=source_id,
        reason=block.reason.value,
        detail=block.detail,
    )


async def announce_refusal(
    tx: Transaction, event: DeliveryRefused, *, action: str, attempt: int
) -> None:
    """Publish and record. The instant is in the id: the same refusal after a repair is news."""
    await tx.publish(
        event,
        id=derived_id("delivery-refused", event.intent_id, event.reason, attempt, tx.now),
    )
    await tx.record(
        action,
        event.subject(),
        after={
            "connection": event.connection_id,
            "target": event.target,
            "source": event.source_id,
            "reason": event.reason,
        },
        reason=event.detail,
    )
