"""Mappings out as a sheet and back in: all lines or none, and first a dry run if wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psa_connector.domain.mapping import ContractMapping
from psa_connector.domain.mapping_sheet import (
    ContractLine,
    Fault,
    ProductLine,
    SheetLine,
    read_sheet,
    write_sheet,
)
from psa_connector.handlers.mapping import map_contract, map_product
from psa_connector.store import connections, known, mappings
from shared.runtime.postgres import Reader, Transaction

NOWHERE = "goes to no PSA"


@dataclass(frozen=True, slots=True)
class Change:
    """What one line does; `before` is None for something that was not mapped."""

    line: int
    what: SheetLine
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a sheet does, or would do."""

    lines: int
    changes: tuple[Change, ...]
    faults: tuple[Fault, ...]
    applied: bool


async def exported(reader: Reader) -> str:
    """All mappings, with the names of accounts for the reader."""
    names = await known.contract_names(reader)
    contracts = await mappings.every_contract(reader)
    products = await mappings.every_product(reader)
    return "".join(write_sheet(_lines(contracts, products, names)))


async def imported(tx: Transaction, text: str, *, dry_run: bool) -> Report:
    """Apply a sheet. With a fault in any line, or in a dry run, nothing is applied."""
    sheet = read_sheet(text, await connections.ids(tx))
    contracts = await mappings.every_contract(tx)
    products = await mappings.every_product(tx)
    changes = [
        change
        for number, line in sheet.lines.items()
        if (change := _change(number, line, contracts, products)) is not None
    ]
    applied = not dry_run and not sheet.faults
    if applied:
        for change in changes:
            match change.what:
                case ContractLine(contract_id, mapping):
                    await map_contract(tx, contract_id, mapping)
                case ProductLine(connection_id, product_key, external_id):
                    await map_product(tx, connection_id, product_key, external_id)
    count = len(sheet.lines) + len(sheet.faults)
    return Report(count, tuple(changes), sheet.faults, applied)


def _lines(
    contracts: dict[str, ContractMapping],
    products: dict[tuple[str, str], str],
    names: dict[str, str],
) -> Iterator[tuple[SheetLine, str]]:
    for contract_id, mapping in contracts.items():
        name = names.get(contract_id, "")
        shown = name if mapping.connection_id else ", ".join(filter(None, (name, NOWHERE)))
        yield ContractLine(contract_id, mapping), shown
    for (connection_id, product_key), external_id in products.items():
        yield ProductLine(connection_id, product_key, external_id), ""


def _change(
    number: int,
    line: SheetLine,
    contracts: dict[str, ContractMapping],
    products: dict[tuple[str, str], str],
) -> Change | None:
    match line:
        case ContractLine(contract_id, mapping):
            there = contracts.get(contract_id)
            before = None if there is None else _shown(there)
            after = _shown(mapping)
        case ProductLine(connection_id, product_key, external_id):
            before, after = products.get((connection_id, product_key)), external_id
    return None if before == after else Change(number, line, before, after)


def _shown(mapping: ContractMapping) -> str:
    if mapping.connection_id is None:
        return NOWHERE
    return f"{mapping.connection_id}: {mapping.company_id or '–'} / {mapping.target_id or '–'}"
