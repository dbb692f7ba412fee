"""One try to collect one invoice: its states, and which of them may follow which.

Knowledge about a payment arrives late, twice and out of order, so it is applied by rank: what says
less than we already know changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.kernel.money import Money


class State(StrEnum):
    """Where an attempt stands."""

    CREATED = "created"  # written down, nothing sent
    IN_FLIGHT = "in_flight"  # being sent
    UNKNOWN = "unknown"  # sent, and no clear answer; never sent again under another key
    REQUIRES_ACTION = "requires_action"  # the payer has to do something
    PENDING = "pending"  # the provider has it, and it is not confirmed yet
    FAILED = "failed"
    SUCCEEDED = "succeeded"  # confirmed by a signed webhook or by a later look at the provider
    NOT_CHARGED = "not_charged"  # there was no reason or no means to charge


RANK = {
    State.CREATED: 0,
    State.IN_FLIGHT: 1,
    State.UNKNOWN: 2,
    State.REQUIRES_ACTION: 3,
    State.PENDING: 4,
    State.FAILED: 5,
    State.SUCCEEDED: 6,
}
OPEN = frozenset(
    {State.CREATED, State.IN_FLIGHT, State.UNKNOWN, State.REQUIRES_ACTION, State.PENDING}
)
"""While an attempt is open no other attempt for its invoice may begin."""


class Source(StrEnum):
    """How we come to know something about a payment."""

    ANSWER = "answer"  # the answer to our own request
    WEBHOOK = "webhook"  # looked up because a signed webhook said so
    POLL = "poll"  # looked up because too much time has passed without one


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a payment failed: the provider's code, and what follows from it."""

    code: str
    decline_class: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt as written down before anything is sent. What is sent is made of it alone, so that
    repeating it sends the same bytes."""

    attempt_id: str
    invoice_id: str
    invoice_number: str
    account_id: str
    amount: Money
    provider: str
    provider_customer_id: str
    provider_method_id: str
    state: State
    provider_payment_id: str | None = None
    sent_at: datetime | None = None  # the first time; the life of the idempotency key begins here
    last_sent_at: datetime | None = None
    checks: int = 0  # how often we looked for its outcome in this state

    @property
    def idempotency_key(self) -> str:
        return f"pay_{self.attempt_id}"


@dataclass(frozen=True, slots=True)
class Report:
    """What the provider says of a payment. `state` is one of requires_action, pending, failed and
    succeeded; `attempt_id` is what we put into its metadata. A stalled payment exists, and nothing
    is under way that could end it."""

    provider_payment_id: str | None
    state: State
    amount: Money | None
    attempt_id: str | None = None
    provider_status: str | None = None  # in the provider's own word
    decline: Decline | None = None
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """The next state of an attempt; `decline` goes with `failed`."""

    state: State
    provider_payment_id: str | None
    decline: Decline | None = None


def advance(attempt: Attempt, report: Report, source: Source) -> Step | None:
    """What a report changes. None when it says nothing that outranks what we know.

    Our own request being answered `succeeded` is not a confirmation yet: money counts as received
    when a signed webhook, or a look at the provider after the waiting time, says so as well.
    """
    target = report.state
    if target is State.SUCCEEDED and source is Source.ANSWER:
        target = State.PENDING
    if target not in RANK or attempt.state not in RANK or RANK[target] <= RANK[attempt.state]:
        return None
    payment_id = attempt.provider_payment_id or report.provider_payment_id
    return Step(target, payment_id, report.decline if target is State.FAILED else None)


def mismatch(attempt: Attempt, report: Report) -> str | None:
    """Why a report cannot be about this attempt's money, or None. An answer of the provider is
    checked like any other input."""
    known = attempt.provider_payment_id
    if known is not None and report.provider_payment_id not in (None, known):
        return f"{report.provider_payment_id} carries this attempt's id, {known} is its payment"
    if report.amount is not None and report.amount != attempt.amount:
        return f"{report.provider_payment_id} is over {report.amount}, not over {attempt.amount}"
    return None
