"""The life of an intent: what we want a PSA to hold, from plan to proof.

PLANNED → SENDING is committed before a request leaves, so a crash leaves a trace. An outcome that
nobody saw is UNKNOWN, which only reading back resolves. BLOCKED, REJECTED and DRIFTED wait for a
person and hold up their own target, no other.
"""

from __future__ import annotations

from enum import StrEnum

from shared.kernel.errors import Conflict


class State(StrEnum):
    PLANNED = "planned"
    SENDING = "sending"
    UNKNOWN = "unknown"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    BLOCKED = "blocked"
    DRIFTED = "drifted"
    SUPERSEDED = "superseded"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.SENDING, State.BLOCKED, State.SUPERSEDED}),
    State.SENDING: frozenset(
        {
            State.CONFIRMED,
            State.UNKNOWN,  # sent and not answered, or the process died
            State.REJECTED,
            State.BLOCKED,  # preflight, before anything was written
            State.DRIFTED,
            State.PLANNED,  # nothing was written: throttled, or no connection
        }
    ),
    State.UNKNOWN: frozenset({State.CONFIRMED, State.PLANNED, State.DRIFTED}),
    State.BLOCKED: frozenset({State.PLANNED, State.SUPERSEDED}),
    State.REJECTED: frozenset({State.PLANNED, State.SUPERSEDED}),
    State.DRIFTED: frozenset({State.PLANNED, State.SUPERSEDED}),
    State.CONFIRMED: frozenset({State.DRIFTED}),
    State.SUPERSEDED: frozenset({State.PLANNED}),  # never sent; wanted again after a mapping
}

FINISHED = frozenset({State.CONFIRMED, State.SUPERSEDED})
"""States that let the next intent of the target go."""

WAITS_FOR_A_PERSON = frozenset({State.BLOCKED, State.REJECTED, State.DRIFTED})
"""States that a mapping, a corrected PSA or a retry resolves."""


def move(state: State, to: State) -> State:
    """The next state.

    Raises:
        Conflict: `intent_transition` when the step is not in the table.
    """
    if to not in TRANSITIONS[state]:
        raise Conflict("intent_transition", f"an intent that is {state} cannot become {to}")
    return to


def retry(state: State) -> State:
    """What a person's retry does to an intent.

    Raises:
        Conflict: `intent_not_waiting` when nobody has to do anything about it.
    """
    if state not in WAITS_FOR_A_PERSON:
        raise Conflict("intent_not_waiting", f"an intent that is {state} does not wait for a retry")
    return State.PLANNED
