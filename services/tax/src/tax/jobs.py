"""Asks the engine about drafts: new ones, and held ones whenever the engine's data has changed."""

from __future__ import annotations

from functools import partial

from shared.kernel.errors import DomainError, Held
from shared.runtime.jobs import Job
from shared.runtime.postgres import Database, Reader
from tax import handlers, store
from tax.clients.engine import TaxEngine
from tax.domain.determination import Determination, Document


def jobs(database: Database, engine: TaxEngine) -> tuple[Job, ...]:
    return (
        Job(
            handlers.DETERMINE,
            partial(determine_next, database, engine),
            pending=partial(_open_drafts, engine),
        ),
    )


async def determine_next(database: Database, engine: TaxEngine) -> bool:
    """Answer one draft. The engine is asked outside any transaction.

    The version is taken before the answer, so a rate that arrives in between counts as news.
    """
    version = await engine.version()
    async with database.transaction() as tx:
        await store.request_stale_holds(tx, version)
        draft = await store.claim_draft(tx)
    if draft is None:
        return False
    outcome = await _ask(engine, draft.document)
    async with database.transaction(cause=draft.cause) as tx:
        await handlers.settle(tx, draft.document, outcome=outcome, engine_version=version)
    return True


async def _ask(engine: TaxEngine, document: Document) -> Determination | Held:
    """Whatever rule the engine names against a document, a person has to look at it: it is held."""
    try:
        return await engine.determine(document)
    except Held as held:
        return held
    except DomainError as refused:
        return Held(refused.code, refused.detail)


async def _open_drafts(engine: TaxEngine, reader: Reader) -> int:
    return await store.count_open_drafts(reader, await engine.version())
