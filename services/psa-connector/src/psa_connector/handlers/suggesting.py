"""Suggests mappings from names, and takes a person's yes; until then nothing is mapped (G5)."""

from __future__ import annotations

from dataclasses import dataclass

from psa_connector.clients.vendors import Clients, kinds_of
from psa_connector.domain.mapping import ContractMapping, Place
from psa_connector.domain.suggesting import (
    ContractSuggestion,
    ProductSuggestion,
    suggest_contracts,
    suggest_products,
)
from psa_connector.handlers.asking import asked_for, client_of
from psa_connector.handlers.mapping import map_contract, map_product
from psa_connector.store import known, mappings
from shared.kernel.errors import Conflict
from shared.runtime.postgres import Database, Transaction


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What could be mapped, and what nothing fits."""

    contracts: tuple[ContractSuggestion, ...]
    products: tuple[ProductSuggestion, ...]
    without: tuple[str, ...]  # contract ids and product keys


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A suggestion that a person agreed to. For a product, `ids` is one external id."""

    kind: str  # contract or product
    connection_id: str
    key: str
    ids: tuple[str, ...]
    confidence: int


async def suggest(
    database: Database, clients: Clients, connection_id: str, *, at_least: int
) -> Suggestions:
    """Names of ours beside names in the PSA. Reads only, there and here.

    Raises:
        NotFound: `connection_unknown`.
        Held: the PSA does not answer now.
    """
    connection = await asked_for(database, connection_id)
    async with database.read() as reader:
        contracts = await known.unmapped_contracts(reader)
        products = await known.unmapped_products(reader, connection_id)
    with client_of(clients, connection) as client:
        places = await client.places() if contracts else None
        offers = await client.offers() if products else ()
    by_contract = (
        suggest_contracts(contracts, places, at_least=at_least) if places is not None else []
    )
    by_product = suggest_products(
        products, offers, kinds=kinds_of(connection.vendor), at_least=at_least
    )
    found = {s.contract.id for s in by_contract} | {s.product.key for s in by_product}
    wanted = [contract.id for contract in contracts] + [product.key for product in products]
    without = tuple(dict.fromkeys(key for key in wanted if key not in found))
    return Suggestions(tuple(by_contract), tuple(by_product), without)


async def require_still_there(database: Database, clients: Clients, confirmed: Confirmed) -> None:
    """A suggestion is as old as the list it was read from: look again before it is believed.

    Raises:
        Conflict: `suggestion_stale`.
        NotFound, Held: as for `suggest`.
    """
    connection = await asked_for(database, confirmed.connection_id)
    with client_of(clients, connection) as client:
        if confirmed.kind == "contract":
            company_id, target_id = confirmed.ids
            place = Place(connection.id, company_id, target_id)
            await client.forget(place)
            facts = await client.target_facts(place)
            there = facts is not None and facts.company_id == company_id
        else:
            there = any(offer.external_id == confirmed.ids[0] for offer in await client.offers())
    if not there:
        detail = f"the PSA does not show {' / '.join(confirmed.ids)} any more; suggest again"
        raise Conflict("suggestion_stale", detail)


async def confirm(tx: Transaction, confirmed: Confirmed) -> None:
    """Map what a person agreed to, unless somebody else decided otherwise meanwhile.

    Raises:
        Conflict: `already_mapped`.
    """
    if confirmed.kind == "contract":
        wanted = ContractMapping(confirmed.connection_id, *confirmed.ids)
        there = await mappings.contract(tx, confirmed.key)
        if there is not None and there != wanted:
            raise Conflict("already_mapped", f"contract {confirmed.key} is mapped already")
        await map_contract(tx, confirmed.key, wanted)
    else:
        mapped = await mappings.products(tx, confirmed.connection_id, [confirmed.key])
        if mapped.get(confirmed.key, confirmed.ids[0]) != confirmed.ids[0]:
            raise Conflict("already_mapped", f"product {confirmed.key} is mapped already")
        await map_product(tx, confirmed.connection_id, confirmed.key, confirmed.ids[0])
    await tx.record(
        "mapping.suggestion-confirmed",
        f"{confirmed.kind}/{confirmed.key}",
        after={
            "connection": confirmed.connection_id,
            "ids": list(confirmed.ids),
            "confidence": confirmed.confidence,
        },
    )
