"""The life of an intent: which steps exist, and who may take them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa_connector.domain.intents import (
    FINISHED,
    TRANSITIONS,
    WAITS_FOR_A_PERSON,
    State,
    move,
    retry,
)
from shared.kernel.errors import Conflict


def test_the_usual_way_from_plan_to_proof_g3() -> None:
    """Sending is committed before the request, proof ends it."""
    assert move(move(State.PLANNED, State.SENDING), State.CONFIRMED) is State.CONFIRMED


@pytest.mark.parametrize(
    ("state", "to"),
    [
        (State.PLANNED, State.CONFIRMED),  # nobody has looked at the PSA
        (State.UNKNOWN, State.SENDING),  # read back first
        (State.CONFIRMED, State.PLANNED),  # would be pushed a second time
        (State.SUPERSEDED, State.SENDING),
    ],
)
def test_steps_that_could_push_twice_do_not_exist_g3(state: State, to: State) -> None:
    """A blind repeat is no transition."""
    with pytest.raises(Conflict) as refused:
        move(state, to)

    assert refused.value.code == "intent_transition"


@given(st.sampled_from(State))
def test_a_person_retries_only_what_waits_for_one(state: State) -> None:
    """Blocked, rejected and drifted intents; the others take care of themselves."""
    if state in WAITS_FOR_A_PERSON:
        assert retry(state) is State.PLANNED
    else:
        with pytest.raises(Conflict):
            retry(state)


def test_every_state_has_its_row() -> None:
    """Adding a state means deciding where it can go."""
    assert set(TRANSITIONS) == set(State)
    assert not FINISHED & WAITS_FOR_A_PERSON
