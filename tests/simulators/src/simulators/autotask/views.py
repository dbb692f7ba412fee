"""Records as the API shows them: everything that follows from something else is computed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from simulators.autotask.entities import Entity
from simulators.autotask.state import State, posted_key
from simulators.autotask.units import FOUR_PLACES, Mode, UnitRow, level_on, unit_rows
from simulators.calendar_days import midnight
from simulators.exact_json import Document


def records(
    state: State, entity: Entity, *, known: Mapping[str, int] | None = None
) -> list[Document]:
    """The records of an entity, by id. `known` ids spare computing records without them; what
    does not tell them apart may still be among the rest."""
    known = known or {}
    if entity.rows == "units":
        return sorted(_all_units(state, known), key=lambda row: int(row["id"]))
    rows = (row for row in state.rows(entity.rows).values() if _fits(row, known))
    shown = _SHOWN.get(entity.rows, lambda _, row: row)
    return sorted((shown(state, row) for row in rows), key=lambda row: int(row["id"]))


def units_of(state: State, contract_service: int) -> list[Document]:
    """The unit rows of one contract service, by date."""
    row = state.rows("contract_services")[contract_service]
    found = unit_rows(
        state.contract_periods(row["contractID"]),
        state.opening(contract_service),
        state.changes(contract_service),
        Mode(state.tenant.unit_rows),
    )
    return [_unit(state, row, number, one) for number, one in enumerate(found)]


def units_on(state: State, contract_service: int, day: date) -> int:
    """How many units are in force, whatever the rows look like."""
    return level_on(day, state.opening(contract_service), state.changes(contract_service)).units


def _all_units(state: State, known: Mapping[str, int]) -> Iterator[Document]:
    """A service is a long list of rows, so those of other services are not made."""
    for id, row in state.rows("contract_services").items():
        if known.get("contractServiceID", id) == id and _fits(row, known, of=("contractID",)):
            yield from units_of(state, id)


def _fits(row: Document, known: Mapping[str, int], of: Sequence[str] | None = None) -> bool:
    names = known.keys() if of is None else known.keys() & set(of)
    return all(row[name] == known[name] for name in names if name in row)


def _unit(state: State, service: Document, number: int, row: UnitRow) -> Document:
    key = f"{service['id']}:{row.start}"
    if key not in state.unit_ids:
        state.unit_ids[key] = state.new_id()
    shown = {
        "id": state.unit_ids[key],
        "contractID": service["contractID"],
        "contractServiceID": service["id"],
        "serviceID": service["serviceID"],
        "startDate": midnight(row.start),
        "endDate": midnight(row.end),
        "units": row.units,
        "price": row.price,
        "cost": row.cost,
        "internalCurrencyPrice": row.price,
    }
    posted = state.posted.get(posted_key(service["id"], row.period.start))
    return shown if posted is None else {**shown, "approveAndPostDate": posted}


def _contract_service(state: State, row: Document) -> Document:
    """The price in force since the last adjustment stands beside the original one."""
    level = level_on(date.max, state.opening(row["id"]), state.changes(row["id"]))
    return {
        **row,
        "internalCurrencyUnitPrice": row["unitPrice"],
        "internalCurrencyAdjustedPrice": level.price,
    }


def _charge(state: State, row: Document) -> Document:
    """Amounts are kept with four decimals."""
    del state
    quantity = Decimal(row["unitQuantity"])
    amount = (quantity * Decimal(row["unitPrice"])).quantize(FOUR_PLACES, ROUND_HALF_UP)
    cost = (quantity * Decimal(row["unitCost"])).quantize(FOUR_PLACES, ROUND_HALF_UP)
    return {
        **row,
        "billableAmount": amount,
        "extendedCost": cost,
        "internalCurrencyBillableAmount": amount,
        "internalCurrencyUnitPrice": row["unitPrice"],
    }


_SHOWN = {"contract_services": _contract_service, "charges": _charge}
