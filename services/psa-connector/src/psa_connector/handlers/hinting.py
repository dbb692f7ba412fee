"""A proven callback only ever triggers a look: what waits at that place is checked again, live."""

from __future__ import annotations

from psa_connector.clients.connectwise.callbacks import SigningKeys
from psa_connector.domain.callbacks import Hint, verify
from psa_connector.domain.connection import Connection
from psa_connector.handlers.asking import asked_for
from psa_connector.handlers.planning import PLAN
from psa_connector.store import sources
from shared.kernel.errors import Invalid, NotFound
from shared.kernel.ids import sha256_hex
from shared.runtime.postgres import Database, Transaction

CONNECTWISE = "connectwise"


async def prove(
    database: Database, keys: SigningKeys, connection_id: str, *, header: str | None,
    body: bytes, key_url: str,
) -> Connection:  # fmt: skip
    """Whose callback it is.

    Raises:
        NotFound: `connection_unknown`, also for a connection of another vendor.
        Invalid: `signature_missing`, `signature_wrong`, `key_url_not_allowed`.
        Unavailable: the secret cannot be fetched now.
    """
    connection = await asked_for(database, connection_id)
    if connection.vendor != CONNECTWISE:
        raise NotFound("connection_unknown", f"{connection_id} gets no callbacks")
    if not header:
        raise Invalid("signature_missing", "the callback carries no x-content-signature")
    verify(header, body, await keys.of(connection, key_url))
    return connection


async def look(tx: Transaction, connection_id: str, hint: Hint) -> None:
    """Plan and check again what is blocked where something may have changed. Writes no money: a
    push that is still wrong is blocked again, with what is true now."""
    match hint.kind:
        case "agreement":
            await sources.reopen_target(tx, connection_id, hint.record_id)
        case "company":
            await sources.reopen_company(tx, connection_id, hint.record_id)
        case "productcatalog" | "invoice":
            await sources.reopen_connection(tx, connection_id)
        case _:
            return
    tx.wake(PLAN)


async def refused(
    tx: Transaction, connection_id: str, body: bytes, error: Invalid, *, unrecorded: int
) -> None:
    """A callback that proves nothing, on the audit trail; `unrecorded` others were like it."""
    await tx.record(
        "callback.refused",
        f"connection/{connection_id}",
        after={"code": error.code, "sha256": sha256_hex(body), "unrecorded": unrecorded},
    )
