"""Preflight of a whole connection as a report: asked live, with nothing written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psa_connector.clients.psa import Denied, PsaClient
from psa_connector.clients.vendors import Clients
from psa_connector.domain.connection import Connection
from psa_connector.domain.mapping import ContractMapping, Place
from psa_connector.domain.preflight import Expectation
from psa_connector.domain.preflight_report import (
    Finding,
    Level,
    report_connection,
    report_products,
    report_target,
)
from psa_connector.handlers.asking import asked_for, client_of
from psa_connector.store import known, mappings
from shared.kernel.periods import utc_day
from shared.runtime.postgres import Database


@dataclass(frozen=True, slots=True)
class Mapped:
    """What is mapped through a connection, with the currencies of the contracts."""

    contracts: dict[str, ContractMapping]
    products: dict[str, str]
    currencies: dict[str, str]


async def preflight(
    database: Database, clients: Clients, connection_id: str, *, contract_id: str | None
) -> list[Finding]:
    """Permissions, clock and products of a connection, and every agreement that is mapped to it.

    Raises:
        NotFound: `connection_unknown`.
        Held: the PSA does not answer now. Refused credentials are a finding.
    """
    connection = await asked_for(database, connection_id)
    async with database.read() as reader:
        contracts = {
            id: mapping
            for id, mapping in (await mappings.every_contract(reader)).items()
            if mapping.connection_id == connection_id and contract_id in {None, id}
        }
        products = {
            key: external_id
            for (owner, key), external_id in (await mappings.every_product(reader)).items()
            if owner == connection_id
        }
        mapped = Mapped(contracts, products, await known.contract_currencies(reader))
    with client_of(clients, connection) as client:
        try:
            return await _report(client, connection, mapped, database.clock.now())
        except Denied as denied:
            advice = "put the connection again with credentials of an API user that is active"
            found = Finding(Level.BLOCKS, "credentials_refused", "connection", str(denied), advice)
            return [found]


async def _report(
    client: PsaClient, connection: Connection, mapped: Mapped, now: datetime
) -> list[Finding]:
    found = report_connection(await client.probe(), now)
    if mapped.products:
        found += report_products(mapped.products, await client.offers())
    for contract_id, mapping in mapped.contracts.items():
        if mapping.company_id is None or mapping.target_id is None:
            continue
        place = Place(connection.id, mapping.company_id, mapping.target_id)
        await client.forget(place)
        expected = Expectation(
            target_id=place.target_id,
            company_id=place.company_id,
            currency=mapped.currencies.get(contract_id),
            operations=(),
            other_cycles_allowed=connection.other_cycles_allowed,
        )
        facts = await client.target_facts(place)
        found += report_target(expected, facts, contract_id, today=utc_day(now))
    return found
