"""Facts that psa-connector publishes: what the PSA holds, or why it does not."""

from __future__ import annotations

from typing import ClassVar

from shared.contracts.envelope import Event, Id, Instant

DELIVERIES = "tieout.psa-connector.deliveries.v1"


class DeliveryConfirmed(Event):
    """A record exists in the PSA, read back after it was written."""

    TYPE: ClassVar[str] = "tieout.psa-connector.delivery-confirmed.v1"
    TOPIC: ClassVar[str] = DELIVERIES

    intent_id: Id
    connection_id: Id
    target: Id  # agreement or contract service: the unit of ordering
    kind: str  # addition, service_adjustment, contract_charge
    source_id: Id  # "<invoice number>/<line>" or a licence-change entry id
    external_id: Id
    confirmed_at: Instant

    def key(self) -> str:
        return f"{self.connection_id}/{self.target}"

    def subject(self) -> str:
        return f"intent/{self.intent_id}"


class DeliveryRefused(Event):
    """Blocked by preflight or refused by the vendor; waits for a person."""

    TYPE: ClassVar[str] = "tieout.psa-connector.delivery-refused.v1"
    TOPIC: ClassVar[str] = DELIVERIES

    intent_id: Id
    connection_id: Id
    target: Id
    kind: str
    source_id: Id
    reason: Id  # unmapped_product, agreement_prorates, vendor_refused …
    detail: str

    def key(self) -> str:
        return f"{self.connection_id}/{self.target}"

    def subject(self) -> str:
        return f"intent/{self.intent_id}"
