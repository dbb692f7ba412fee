"""Facts that payments publishes: whether we were paid."""

from __future__ import annotations

from typing import ClassVar

from shared.contracts.envelope import Currency, Event, Exact, Id, Instant

PAYMENTS = "tieout.payments.payments.v1"


class PaymentSucceeded(Event):
    TYPE: ClassVar[str] = "tieout.payments.payment-succeeded.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    attempt_id: Id
    invoice_id: Id
    invoice_number: Id
    account_id: Id
    amount: Exact
    currency: Currency
    provider: str
    provider_payment_id: Id
    succeeded_at: Instant

    def key(self) -> str:
        return self.account_id

    def subject(self) -> str:
        return f"payment/{self.attempt_id}"


class PaymentFailed(Event):
    TYPE: ClassVar[str] = "tieout.payments.payment-failed.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    attempt_id: Id
    invoice_id: Id
    invoice_number: Id
    account_id: Id
    amount: Exact
    currency: Currency
    provider: str
    provider_payment_id: str | None
    decline_code: str
    decline_class: str  # hard, needs_update, needs_auth, soft_funds, soft_issuer, transient, config

    def key(self) -> str:
        return self.account_id

    def subject(self) -> str:
        return f"payment/{self.attempt_id}"
