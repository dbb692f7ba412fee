"""Mappings as a sheet: one line each, to be edited by a person and brought back whole.

    kind,connection_id,key,company_id,target_id,external_id,name
    contract,cw-main,ALD-1,250,7001,,Alder Dental
    contract,,OAK-1,,,,goes to no PSA
    product,cw-main,CFQ7TTC0LCHC:0002:P1Y:monthly,,,501,Business Premium

A sheet with one wrong line changes nothing; every wrong line is told. `name` is for the reader and
is not read. What is mapped and not in the sheet stays.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from psa_connector.domain.mapping import ContractMapping

COLUMNS = ("kind", "connection_id", "key", "company_id", "target_id", "external_id", "name")
READ = COLUMNS[:-1]
KEY_MAX = 200
# What goes into a vendor's paths and filters: no slashes, no quotes.
EXTERNAL_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_AFTER_LINE = re.compile(r"(?<=\n)")  # cells may hold other line ends
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ContractLine:
    contract_id: str
    mapping: ContractMapping


@dataclass(frozen=True, slots=True)
class ProductLine:
    connection_id: str
    product_key: str
    external_id: str


SheetLine: TypeAlias = ContractLine | ProductLine


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line; lines are counted as a spreadsheet does, the heading is 1."""

    line: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a sheet says, by line, and everything that is wrong with it."""

    lines: Mapping[int, SheetLine]
    faults: tuple[Fault, ...]


def read_sheet(text: str, connections: frozenset[str]) -> Sheet:
    """Every line, or what is wrong with it."""
    reader = csv.reader(_AFTER_LINE.split(text.removeprefix("\ufeff")))
    lines: dict[int, SheetLine] = {}
    faults: list[Fault] = []
    seen: dict[tuple[str, str, str], int] = {}
    try:
        heading = next(reader, [])
        missing = [name for name in READ if name not in heading]
        if missing:
            detail = f"the first line must name the columns; {', '.join(missing)} is missing"
            return Sheet({}, (Fault(1, "heading_invalid", detail),))
        for cells in reader:
            number = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            row = {name: cell.strip() for name, cell in zip(heading, cells, strict=False)}
            read = _line(number, row, connections)
            if not isinstance(read, Fault):
                first = seen.setdefault(_identity(read), number)
                if first != number:
                    read = Fault(number, "line_repeated", f"line {first} maps the same")
            if isinstance(read, Fault):
                faults.append(read)
            else:
                lines[number] = read
    except csv.Error as error:
        faults.append(Fault(reader.line_num, "csv_invalid", str(error)))
    return Sheet(lines, tuple(faults))


def write_sheet(lines: Iterable[tuple[SheetLine, str]]) -> Iterator[str]:
    """The sheet as text, line by line, each with a name for the reader."""
    yield _csv(COLUMNS)
    for line, name in lines:
        cells: tuple[str | None, ...]
        match line:
            case ContractLine(contract_id, ContractMapping(connection_id, company_id, target_id)):
                cells = ("contract", connection_id, contract_id, company_id, target_id, None)
            case ProductLine(connection, product_key, external_id):
                cells = ("product", connection, product_key, None, None, external_id)
        yield _csv([*(cell or "" for cell in cells), _as_text(name)])


def _line(number: int, row: Mapping[str, str], connections: frozenset[str]) -> SheetLine | Fault:
    key, connection = row.get("key", ""), row.get("connection_id", "")
    ids = [row.get(name, "") for name in ("company_id", "target_id", "external_id")]
    wrong_id = next((id for id in ids if id and not EXTERNAL_ID.fullmatch(id)), None)
    if not key or len(key) > KEY_MAX:
        return Fault(number, "key_invalid", f"the key has 1 to {KEY_MAX} characters")
    if wrong_id is not None:
        return Fault(number, "id_invalid", f"{wrong_id} is no id of a PSA")
    if connection and connection not in connections:
        return Fault(number, "connection_unknown", f"there is no connection {connection}")
    match row.get("kind", ""):
        case "contract":
            return _contract(number, key, connection, ids)
        case "product":
            return _product(number, key, connection, ids)
        case kind:
            detail = f"kind is contract or product, not {kind or 'nothing'}"
            return Fault(number, "kind_unknown", detail)


def _contract(number: int, key: str, connection: str, ids: Sequence[str]) -> SheetLine | Fault:
    company, target, external = ids
    if external:
        return Fault(number, "mapping_mixed", "a contract has no external_id")
    if not connection and (company or target):
        return Fault(number, "mapping_incomplete", "ids without a connection lead nowhere")
    if connection and not (company and target):
        return Fault(number, "mapping_incomplete", "a contract needs company_id and target_id")
    mapping = ContractMapping(connection or None, company or None, target or None)
    return ContractLine(key, mapping)


def _product(number: int, key: str, connection: str, ids: Sequence[str]) -> SheetLine | Fault:
    company, target, external = ids
    if company or target:
        return Fault(number, "mapping_mixed", "a product has no company_id and no target_id")
    if not connection or not external:
        return Fault(number, "mapping_incomplete", "a product needs a connection and an id")
    return ProductLine(connection, key, external)


def _identity(line: SheetLine) -> tuple[str, str, str]:
    match line:
        case ContractLine(contract_id):
            return "contract", "", contract_id
        case ProductLine(connection_id, product_key):
            return "product", connection_id, product_key


def _as_text(name: str) -> str:
    """A spreadsheet would compute a name that looks like a formula."""
    return f"'{name}" if name.startswith(_FORMULA) else name


class _Echo:
    """A file that only hands back what is written."""

    def write(self, text: str) -> str:
        return text


def _csv(cells: Iterable[str]) -> str:
    return str(csv.writer(_Echo()).writerow(cells))
