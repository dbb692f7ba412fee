"""Every topic of the system: who writes it, what orders it, how long it is kept.

Topics are created from this table and from nowhere else; `tests/architecture` fails on an event
whose topic is not here. Each row also implies `<topic>.dlq`, where dead letters are announced.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts import ingest, invoicing, payments, psa_connector, rating, tax
from shared.contracts.audit import AUDIT_TOPIC

DAY_MS = 24 * 60 * 60 * 1000
SERVICES = ("ingest", "rating", "invoicing", "tax", "psa-connector", "payments")


@dataclass(frozen=True, slots=True)
class Topic:
    """`partitions` is the production default and is never raised without a migration note."""

    name: str
    owner: str
    ordered_by: str
    partitions: int = 6
    compacted: bool = False
    retention_ms: int = 14 * DAY_MS

    @property
    def dead_letters(self) -> str:
        return f"{self.name}.dlq"

    def config(self) -> dict[str, str]:
        """Topic settings as the broker names them."""
        policy = (
            {"cleanup.policy": "compact"}
            if self.compacted
            else {"retention.ms": str(self.retention_ms)}
        )
        # Business time is in the payload; the record's own time is the broker's, so that retention
        # never deletes an event because the fact in it is old (regression 12).
        return policy | {"message.timestamp.type": "LogAppendTime"}


TOPICS: tuple[Topic, ...] = (
    Topic(ingest.SUBSCRIPTIONS, "ingest", "subscription id"),
    Topic(ingest.USAGE, "ingest", "customer bucket", partitions=12),
    Topic(ingest.PROVIDER_CHARGES, "ingest", "provider customer id"),
    Topic(ingest.PRICE_SHEETS, "ingest", "market and currency"),
    Topic(rating.LICENCE_CHANGES, "rating", "subscription id"),
    Topic(rating.CHARGES, "rating", "contract id", partitions=12),
    Topic(rating.USAGE_FILES, "rating", "usage file id"),
    Topic(rating.FX_RATES, "rating", "currency pair"),
    Topic(invoicing.ACCOUNTS, "invoicing", "account id", compacted=True),
    Topic(invoicing.CONTRACTS, "invoicing", "contract id", compacted=True),
    Topic(invoicing.CYCLES, "invoicing", "contract id"),
    Topic(invoicing.INVOICES, "invoicing", "account id"),
    Topic(tax.DETERMINATIONS, "tax", "account id"),
    Topic(psa_connector.DELIVERIES, "psa-connector", "connection and target"),
    Topic(payments.PAYMENTS, "payments", "account id"),
    *(Topic(AUDIT_TOPIC.format(service=s), s, "service") for s in SERVICES),
)

BY_NAME = {topic.name: topic for topic in TOPICS}
