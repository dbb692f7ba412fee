"""The three answers to "what is left to do": nothing, one write, or a person has to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from psa_connector.domain.mapping import Block


@dataclass(frozen=True, slots=True)
class Done:
    """The PSA holds it, under this id."""

    external_id: str


@dataclass(frozen=True, slots=True)
class Write:
    """One request is needed. The fields matter to service adjustments only."""

    service: str | None = None  # the PSA's id of the service to adjust; None: make one
    unit_change: int = 0
    restate_price: bool = False
    repeats_service: bool = False  # the contract has this service already, for another subscription


@dataclass(frozen=True, slots=True)
class Drift:
    """The PSA holds something that we did not put there: stop, show it, overwrite nothing."""

    block: Block


Verdict: TypeAlias = Done | Write | Drift
