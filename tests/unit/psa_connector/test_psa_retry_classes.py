"""G3: what each way to fail means for the intent, its target and its connection."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from psa_connector.clients.psa import (
    Busy,
    Denied,
    PsaError,
    Refused,
    Throttled,
    Unavailable,
    WriteUnknown,
)
from psa_connector.domain.connection import Connection
from psa_connector.domain.intents import TRANSITIONS, State
from psa_connector.domain.mapping import Place
from psa_connector.domain.operations import ContractCharge, OperationKind, Product
from psa_connector.jobs.sending import LONGEST_BACKOFF_S, after_error
from psa_connector.store.intents import Intent
from psa_connector.store.queue import Claim
from shared.contracts.envelope import Envelope
from support.psa_facts import day

NOW = datetime(2026, 5, 1, tzinfo=UTC)
INTENT = Intent(
    id="i", connection_id="at", key="bcs-x", target="29", kind=OperationKind.CONTRACT_CHARGE,
    source_seq=1, ordinal=0, source_id="I/1", contract_id="C", place=Place("at", "175", "29"),
    subscription_id=None,
    operation=ContractCharge(
        Product("p", "1"), "n", "d", day("2026-04-30"), amount=Decimal(1),
        cost=None,
    ),
    state=State.SENDING, reason=None, detail=None, attempt=1, answered=False, external_id=None,
    request_hash=None, vendor_request_id=None, planned_at=NOW, state_since=NOW, confirmed_at=None,
)  # fmt: skip
HELD = Claim(
    intent=INTENT,
    connection=Connection("at", "autotask", "http://x", {}, {}, 1),
    cause=Envelope("e", "/t", "t", "s", NOW, "k", "c"),
    currency="EUR",
    checked=True,
    of_source=1,
    settled=False,
    service=None,
    taken=frozenset(),
    closes_external_id=None,
    failures=0,
)
RESOLVING = replace(HELD, intent=replace(INTENT, state=State.UNKNOWN))
ERRORS: tuple[PsaError, ...] = (
    Unavailable("no connection"),
    Throttled("slow down", wait_s=17),
    Busy("threads"),
    Denied("who are you"),
    Refused("field is wrong"),
    WriteUnknown("no answer"),
)
STATES = (
    State.PLANNED, State.PLANNED, State.PLANNED, State.PLANNED, State.REJECTED, State.UNKNOWN,
)  # fmt: skip
PAUSES = (None, 17, None, 60, None, None)


@pytest.mark.parametrize(
    ("error", "state", "pauses"),
    list(zip(ERRORS, STATES, PAUSES, strict=True)),
)
def test_a_failed_sending_ends_in_the_state_of_its_class_g3(
    error: PsaError, state: State, pauses: float | None
) -> None:
    """Nothing written: planned again. The vendor's no: rejected. Nobody knows: unknown."""
    outcome = after_error(HELD, error, look_again_s=2)

    assert (state, pauses) == (
        outcome.settlement.state,
        outcome.pause.seconds if outcome.pause else None,
    )
    assert str(error) == outcome.settlement.detail


@pytest.mark.parametrize("error", ERRORS)
def test_a_failed_look_leaves_the_outcome_unknown_g3(error: PsaError) -> None:
    """While an earlier request may have arrived, no failure makes it planned or rejected."""
    assert State.UNKNOWN is after_error(RESOLVING, error, look_again_s=2).settlement.state


@pytest.mark.parametrize("error", ERRORS)
def test_every_class_takes_a_legal_step_g3(error: PsaError) -> None:
    """The transition table allows what failures do."""
    state = after_error(HELD, error, look_again_s=2).settlement.state

    assert state in TRANSITIONS[State.SENDING]


def test_patience_grows_and_ends_g3() -> None:
    """Each failure in a row waits longer, up to a minute."""
    waits = [
        after_error(replace(HELD, failures=n), Unavailable("x"), look_again_s=2).settlement.wait_s
        for n in range(20)
    ]

    assert sorted(waits) == waits
    assert waits[0] < 1
    assert waits[-1] == LONGEST_BACKOFF_S
