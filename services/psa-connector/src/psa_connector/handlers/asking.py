"""Questions to a PSA that a person waits for: the vendor's no becomes an answer of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psa_connector.clients.psa import Busy, Denied, PsaClient, PsaError, Refused, Throttled
from psa_connector.clients.vendors import Clients
from psa_connector.domain.connection import Connection
from psa_connector.store import connections
from shared.kernel.errors import Held, NotFound
from shared.runtime.postgres import Database


async def asked_for(database: Database, connection_id: str) -> Connection:
    """The connection somebody named.

    Raises:
        NotFound: `connection_unknown`.
    """
    async with database.read() as reader:
        found = await connections.get(reader, connection_id)
    if found is None:
        raise NotFound("connection_unknown", f"there is no connection {connection_id}")
    return found


@contextmanager
def client_of(clients: Clients, connection: Connection) -> Iterator[PsaClient]:
    """A client for reading; nothing is written here.

    Raises:
        Held: `psa_denied`, `psa_throttled`, `psa_busy`, `psa_refused`, `psa_unavailable`.
    """
    try:
        yield clients.of(connection)
    except PsaError as error:
        raise Held(_code(error), f"{connection.id}: {error}") from error


def _code(error: PsaError) -> str:
    match error:
        case Denied():
            return "psa_denied"
        case Throttled():
            return "psa_throttled"
        case Busy():
            return "psa_busy"
        case Refused():
            return "psa_refused"
    return "psa_unavailable"
