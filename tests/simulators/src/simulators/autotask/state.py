"""Everything a simulated Autotask tenant knows; seed and dump are one document.

Units are never stored: they follow from the opening units of a contract service and the adjustments
posted since. Only their row ids and what was approved and posted is remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from shared.kernel.periods import Period
from simulators.autotask.entities import PICKLISTS
from simulators.autotask.limits import Limits
from simulators.autotask.units import MONTHS, Change, Level, Mode, periods
from simulators.calendar_days import day_of, midnight
from simulators.exact_json import Document
from simulators.seeds import known_members, with_numbers

Rows = dict[int, Document]
FIRST_ID = 10_000  # seeds choose small ids
RECURRING = 7
_NUMBERS = (
    "unitPrice",
    "unitCost",
    "unitQuantity",
    "adjustedUnitPrice",
    "adjustedUnitCost",
)
_TABLES = (
    "companies",
    "contracts",
    "services",
    "products",
    "billing_codes",
    "currencies",
    "contract_services",
    "adjustments",
    "charges",
    "notes",
    "billing_items",
    "invoices",
)


@dataclass(slots=True)
class Tenant:
    """Who may call, where the entities live, and what this tenant does where tenants differ."""

    user: str = "tieout@msp.example"
    secret: str = "sim-secret"
    integration_codes: list[str] = field(default_factory=lambda: ["SIMINTEGRATION"])
    resource_id: int = 29_000_001
    zone: str = "zone"
    unit_rows: str = "total"  # or delta
    zero_units: bool = True  # False: the tenant refuses to bring a service to no units


@dataclass(slots=True)
class State:
    """Rows by id."""

    tenant: Tenant = field(default_factory=Tenant)
    limits: Limits = field(default_factory=Limits)
    picklists: dict[str, dict[str, str]] = field(default_factory=dict)
    tables: dict[str, Rows] = field(default_factory=lambda: {name: {} for name in _TABLES})
    openings: dict[int, Document] = field(default_factory=dict)  # by contract service
    posted: dict[str, str] = field(default_factory=dict)  # "contract service:period start" → when
    unit_ids: dict[str, int] = field(default_factory=dict)
    next_id: int = FIRST_ID

    def rows(self, table: str) -> Rows:
        return self.tables[table]

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def contract_periods(self, contract: int) -> list[Period]:
        row = self.tables["contracts"][contract]
        months = MONTHS[int(row.get("contractPeriodType", 1))]
        return list(_periods(row["startDate"], row["endDate"], months))

    def opening(self, contract_service: int) -> Level:
        """Prices before any change; opening units are the first change."""
        row = self.tables["contract_services"][contract_service]
        return Level(0, Decimal(row["unitPrice"]), Decimal(row["unitCost"]))

    def changes(self, contract_service: int) -> list[Change]:
        """Opening units and all adjustments, in the order they were made."""
        opening = self.openings.get(contract_service)
        found = []
        if opening is not None:
            found.append(Change(day_of(opening["on"]), int(opening["units"])))
        for row in self.tables["adjustments"].values():
            if row["contractServiceID"] == contract_service:
                found.append(_change(row))
        return found

    def last_posted_day(self, contract_service: int) -> date | None:
        """The last day of the last approved and posted period of a contract service."""
        contract = self.tables["contract_services"][contract_service]["contractID"]
        posted = [
            p.last_day
            for p in self.contract_periods(contract)
            if posted_key(contract_service, p.start) in self.posted
        ]
        return max(posted, default=None)


@cache
def _periods(first: str, last: str, months: int) -> tuple[Period, ...]:
    return tuple(periods(day_of(first), day_of(last), months))


def posted_key(contract_service: int, period_start: date) -> str:
    return f"{contract_service}:{period_start}"


def from_document(document: Document) -> State:
    """A state from a seed or a dump.

    Raises:
        ValueError: a reference that leads nowhere, an unknown switch.
    """
    state = State(
        tenant=known_members(Tenant, document.get("tenant", {})),
        limits=known_members(Limits, document.get("limits", {})),
    )
    Mode(state.tenant.unit_rows)
    given = document.get("picklists", {})
    state.picklists = {k: dict(v) for k, v in {**PICKLISTS, **given}.items()}
    for table in _TABLES:
        for row in document.get(table, ()):
            _add(state, table, row)
    state.openings.update({int(k): v for k, v in document.get("openings", {}).items()})
    state.posted = dict(document.get("posted", {}))
    state.unit_ids = dict(document.get("unit_ids", {}))
    highest = max((id for rows in state.tables.values() for id in rows), default=0)
    state.next_id = max(FIRST_ID, highest + 1, int(document.get("next_id", 0)))
    return state


def to_document(state: State) -> Document:
    """All of it; `from_document` of this is the same state."""
    return {
        "tenant": asdict(state.tenant),
        "limits": asdict(state.limits),
        "picklists": state.picklists,
        **{table: list(rows.values()) for table, rows in state.tables.items()},
        "openings": {str(k): v for k, v in state.openings.items()},
        "posted": state.posted,
        "unit_ids": state.unit_ids,
        "next_id": state.next_id,
    }


def _add(state: State, table: str, given: Document) -> None:
    given = with_numbers(given, _NUMBERS)
    row = _FILLED.get(table, lambda _, row: dict(row))(state, given)
    rows = state.tables[table]
    if row["id"] in rows:
        raise ValueError(f"{table} {row['id']} occurs twice")
    rows[row["id"]] = row


def _contract(state: State, given: Document) -> Document:
    _referred(state, "companies", given["companyID"])
    defaults: Mapping[str, Any] = {
        "contractType": RECURRING,
        "status": 1,
        "contractPeriodType": 1,
        "timeReportingRequiresStartAndStopTimes": 0,
        "startDate": "2026-01-01T00:00:00Z",
        "endDate": "2028-12-31T00:00:00Z",
    }
    return {**defaults, **given}


def _contract_service(state: State, given: Document) -> Document:
    """`units` (from day `on`, by default the contract's first) open the service."""
    contract = _referred(state, "contracts", given["contractID"])
    service = _referred(state, "services", given["serviceID"])
    row = {"unitPrice": service["unitPrice"], "unitCost": service.get("unitCost", 0), **given}
    if "units" in row:
        on = row.pop("on", None) or contract["startDate"]
        state.openings[row["id"]] = {"units": row.pop("units"), "on": midnight(day_of(on))}
    return row


def _service(state: State, given: Document) -> Document:
    del state
    return {"periodType": 1, "billingCodeID": 1, "isActive": True, "unitCost": 0, **given}


def _company(state: State, given: Document) -> Document:
    del state
    return {"companyType": 1, "isActive": True, "phone": "555-0100", **given}


def _billing_code(state: State, given: Document) -> Document:
    del state
    return {"isActive": True, "useType": 1, "unitPrice": 0, "unitCost": 0, **given}


def _referred(state: State, table: str, id: int) -> Document:
    if id not in state.tables[table]:
        raise ValueError(f"there is nothing with id {id} in {table}")
    return state.tables[table][id]


def _change(row: Document) -> Change:
    price, cost = row.get("adjustedUnitPrice"), row.get("adjustedUnitCost")
    return Change(
        effective=day_of(row["effectiveDate"]),
        units=int(row["unitChange"]),
        price=None if price is None else Decimal(price),
        cost=None if cost is None else Decimal(cost),
    )


_FILLED = {
    "companies": _company,
    "contracts": _contract,
    "services": _service,
    "billing_codes": _billing_code,
    "contract_services": _contract_service,
}
