"""What the pieces of work share: the database, the provider's account, and a few choices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.clients.graph import Graph
from ingest.clients.partner_center import PartnerCenter
from ingest.domain.accounts import DEFAULT, job_of
from ingest.domain.price_sheets import Basis
from shared.kernel.errors import Invalid
from shared.runtime.postgres import Database

RETRY_FIRST_S, RETRY_LONGEST_S = 0.5, 60.0


@dataclass(frozen=True, slots=True)
class Choices:
    """Knobs of the service, as far as the work needs them."""

    worker: str = "worker"  # the place this process runs at; the next one there has the same
    run: str = "1"  # this process
    settle_looks: int = 4
    settle_wait_s: float = 1.5
    price_sheet_basis: Basis = Basis.CYCLE
    chunk_lines: int = 20_000
    daily_sync: bool = True
    busy_wait_s: float = 120.0  # a subscription the provider is busy with
    order_look_s: float = 86_400.0  # for what came of a call, before a person has to


@dataclass(frozen=True, slots=True)
class Account:
    """A partner tenant. `id` is our name for it, and `tenant_id` what everybody else calls it."""

    id: str
    tenant_id: str
    callback_url: str | None = None  # where its notifications arrive
    application_id: str = ""  # by which the provider's record knows our calls


@dataclass(frozen=True, slots=True)
class Context:
    """Handed to every piece of work: its own account, and nobody else's clients."""

    database: Database
    account: Account
    partner_center: PartnerCenter
    graph: Graph
    choices: Choices

    def lease(self, claim: str) -> str:
        """The name under which this process holds what it claims."""
        return f"{self.choices.worker}/{self.choices.run}/{claim}"

    def job(self, kind: str) -> str:
        """The job to wake for more work of this kind."""
        return job_of(kind, self.account.id)


class Accounts:
    """The accounts of this process. Work whose account is not among them waits for it."""

    def __init__(self, contexts: Sequence[Context]) -> None:
        self._contexts = {context.account.id: context for context in contexts}

    def __iter__(self) -> Iterator[Context]:
        return iter(self._contexts.values())

    @property
    def default(self) -> Context:
        return self._contexts[DEFAULT]

    @property
    def database(self) -> Database:
        return self.default.database

    def of(self, account_id: str | None) -> Context:
        """What work for this account needs; without a name, for the default one.

        Raises:
            Invalid: `provider_account_unknown`.
        """
        found = self._contexts.get(account_id or DEFAULT)
        if found is None:
            known = ", ".join(self._contexts)
            raise Invalid("provider_account_unknown", f"no account {account_id!r}; known: {known}")
        return found


def retry_after(attempts: int, asked_s: float | None = None) -> float:
    """How long to wait before the next attempt; never less than the provider asked for."""
    own = min(RETRY_LONGEST_S, RETRY_FIRST_S * 2.0 ** min(attempts, 20))
    return max(own, asked_s or 0.0)
