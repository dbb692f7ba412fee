"""Cut-over: lines that are in the PSA already, adopted or dismissed by a person."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints

from psa_connector.clients.vendors import Clients
from psa_connector.handlers import adopting
from psa_connector.handlers.adopting import Proposal
from shared.runtime.postgres import Database
from shared.runtime.web import Operates, Reads, page

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ExternalId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]


class AdoptionProposal(BaseModel):
    """Something in the PSA that could be what an intent would write."""

    intent_id: str
    source_id: str
    connection_id: str
    target_id: str
    kind: str
    external_id: str
    description: str
    adoptable: bool
    differences: list[str]


class Adoption(BaseModel):
    """This line is ours."""

    model_config = ConfigDict(extra="forbid")

    intent_id: Text
    external_id: ExternalId


class Withdrawal(BaseModel):
    """Not ours after all, or not for this intent."""

    model_config = ConfigDict(extra="forbid")

    intent_id: Text


class Dismissal(BaseModel):
    """This line is something else."""

    model_config = ConfigDict(extra="forbid")

    connection_id: Text
    external_id: ExternalId


def add_routes(routes: APIRouter, database: Database, clients: Clients) -> None:
    @routes.get("/adoptions", operation_id="adoptions.list")
    async def proposals(caller: Reads, contract_id: Text) -> dict[str, Any]:
        """What the PSA holds already of what is still to be written for a contract; the first
        500 lines of it."""
        found = await adopting.propose(database, clients, contract_id)
        return page([_row(one).model_dump() for one in found])

    @routes.post("/adoptions:confirm", operation_id="adoptions.confirm")
    async def confirm(body: Adoption, caller: Operates) -> dict[str, str]:
        """Take a line over: our key goes into it, and no second one is written."""
        line = await adopting.live_line(database, clients, body.intent_id, body.external_id)
        async with database.transaction(actor=caller.subject) as tx:
            intent = await adopting.adopt(tx, body.intent_id, body.external_id, line)
        return {"intent_id": intent.id, "external_id": body.external_id}

    @routes.post("/adoptions:withdraw", operation_id="adoptions.withdraw")
    async def withdraw(body: Withdrawal, caller: Operates) -> dict[str, str]:
        """Take back what was confirmed, before it is delivered; the line is asked about again."""
        async with database.transaction(actor=caller.subject) as tx:
            intent = await adopting.withdraw(tx, body.intent_id)
        return {"intent_id": intent.id}

    @routes.post("/adoptions:dismiss", operation_id="adoptions.dismiss")
    async def dismiss(body: Dismissal, caller: Operates) -> dict[str, str]:
        """Write ours beside a line, adopted or not; it is never asked about again."""
        async with database.transaction(actor=caller.subject) as tx:
            await adopting.dismiss(tx, body.connection_id, body.external_id)
        return {"connection_id": body.connection_id, "external_id": body.external_id}


def _row(proposal: Proposal) -> AdoptionProposal:
    intent, rival = proposal.intent, proposal.rival
    return AdoptionProposal(
        intent_id=intent.id,
        source_id=intent.source_id,
        connection_id=intent.connection_id,
        target_id=intent.place.target_id,
        kind=intent.kind.value,
        external_id=rival.external_id,
        description=rival.description,
        adoptable=rival.is_equal,
        differences=list(rival.differences),
    )
