"""What the pieces of work share: the database, the provider, and a few choices."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.clients.graph import Graph
from ingest.clients.partner_center import PartnerCenter
from ingest.domain.price_sheets import Basis
from shared.runtime.postgres import Database

RETRY_FIRST_S, RETRY_LONGEST_S = 0.5, 60.0


@dataclass(frozen=True, slots=True)
class Choices:
    """Knobs of the service, as far as the work needs them."""

    account_id: str
    worker: str = "worker"  # the place this process runs at; the next one there has the same
    run: str = "1"  # this process
    settle_looks: int = 4
    settle_wait_s: float = 1.5
    price_sheet_basis: Basis = Basis.CYCLE
    chunk_lines: int = 20_000
    daily_sync: bool = True
    busy_wait_s: float = 120.0  # a subscription the provider is busy with


@dataclass(frozen=True, slots=True)
class Context:
    """Handed to every piece of work by the composition root."""

    database: Database
    partner_center: PartnerCenter
    graph: Graph
    choices: Choices

    def lease(self, claim: str) -> str:
        """The name under which this process holds what it claims."""
        return f"{self.choices.worker}/{self.choices.run}/{claim}"


def retry_after(attempts: int, asked_s: float | None = None) -> float:
    """How long to wait before the next attempt; never less than the provider asked for."""
    own = min(RETRY_LONGEST_S, RETRY_FIRST_S * 2.0 ** min(attempts, 20))
    return max(own, asked_s or 0.0)
