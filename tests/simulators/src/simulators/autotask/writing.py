"""What changes records: creates and updates with their rules, the automatic notes, the postings.

Nothing is idempotent, and an adjustment cannot be read back, changed or deleted by anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from simulators.autotask.entities import Entity
from simulators.autotask.refusals import Refused
from simulators.autotask.state import RECURRING, State
from simulators.autotask.units import FOUR_PLACES, level_on
from simulators.calendar_days import day_of, midnight, second_of
from simulators.exact_json import Document

Schema = Callable[[str], Document]
_SERVICE_TEXTS = {"invoiceDescription", "internalDescription"}


class Writer:
    """Changes one state in the name of one resource of the tenant."""

    def __init__(self, state: State, now: datetime, resource: int, schema: Schema) -> None:
        self._state = state
        self._now = now
        self._resource = resource
        self._schema = schema

    def create(self, entity: Entity, given: Document, contract: int | None) -> int:
        """The id of the new record."""
        row = self._settable(entity, given)
        if contract is not None and row.setdefault("contractID", contract) != contract:
            raise Refused("contractID: does not match the parent in the path.")
        self._check_picklists(entity, row)
        make = {
            "adjustments": self._adjustment,
            "charges": self._charge,
            "contract_services": self._contract_service,
            "contracts": self._contract,
        }.get(entity.rows, self._plain)
        made = {**make(row), "id": self._state.new_id()}
        self._state.rows(entity.rows)[made["id"]] = made
        return int(made["id"])

    def update(self, entity: Entity, row: Document, given: Document, *, whole: bool) -> int:
        """PATCH changes what was sent; PUT (`whole`) also unsets what was not."""
        self._unlocked(entity, row)
        changes = self._settable(entity, given)
        self._check_picklists(entity, changes)
        if entity.rows == "contract_services" and set(changes) - _SERVICE_TEXTS:
            raise Refused("Only invoiceDescription and internalDescription can be updated.")
        if whole:
            changes = {**dict.fromkeys(self._updatable(entity)), **changes}
        if entity.rows == "charges":
            changes = {**self._priced(changes), **self._touched()}
        after = {**row, **changes, "id": row["id"]}
        after = {k: v for k, v in after.items() if v is not None}
        self._state.rows(entity.rows)[row["id"]] = after
        return int(row["id"])

    def delete(self, entity: Entity, row: Document) -> int:
        self._unlocked(entity, row)
        del self._state.rows(entity.rows)[row["id"]]
        return int(row["id"])

    # -- rules ------------------------------------------------------------------------------

    def _adjustment(self, row: Document) -> Document:
        existing = self._service_to_adjust(row)
        contract = self._recurring((existing or row).get("contractID"))
        day = day_of(row["effectiveDate"])
        self._check_day(existing, contract, day)
        after = int(row["unitChange"])
        if existing is not None:
            id = existing["id"]
            after += level_on(day, self._state.opening(id), self._state.changes(id)).units
        if after < 0 or (after == 0 and not self._state.tenant.zero_units):
            raise Refused(f"unitChange: the service would have {after} units.")
        service = existing or self._added_service(row)
        name = self._state.rows("services")[service["serviceID"]]["name"]
        text = f"{name}: units changed by {row['unitChange']:+} effective {day}"
        self._note(contract["id"], "Service units adjusted", text)
        return {
            **row,
            "contractID": contract["id"],
            "contractServiceID": service["id"],
            "serviceID": service["serviceID"],
            "effectiveDate": midnight(day),
            "createdAt": second_of(self._now),
            "resourceID": self._resource,
        }

    def _service_to_adjust(self, row: Document) -> Document | None:
        """The contract service an adjustment is for. None: it has to be created, because there is
        none, or because the same service may be repeated on the contract."""
        services = self._state.rows("contract_services")
        if row.get("contractServiceID") is not None:
            found = services.get(row["contractServiceID"])
            if found is None:
                raise Refused("contractServiceID: reference value does not exist.")
            return found
        wanted = (row.get("contractID"), row.get("serviceID"))
        same = [s for s in services.values() if (s["contractID"], s["serviceID"]) == wanted]
        return same[0] if same and not row.get("allowRepeatService") else None

    def _added_service(self, row: Document) -> Document:
        given = {"contractID": row["contractID"], "serviceID": row.get("serviceID")}
        service = {**self._contract_service(given, repeat=True), "id": self._state.new_id()}
        self._state.rows("contract_services")[service["id"]] = service
        return service

    def _contract_service(self, row: Document, *, repeat: bool = False) -> Document:
        contract = self._recurring(row["contractID"])
        service = self._state.rows("services").get(row["serviceID"] or 0)
        if service is None or not service["isActive"]:
            raise Refused("serviceID: reference value does not exist.")
        of_contract = [
            s["serviceID"]
            for s in self._state.rows("contract_services").values()
            if s["contractID"] == contract["id"]
        ]
        if service["id"] in of_contract and not repeat:
            raise Refused("serviceID: the service is already on the contract.")
        self._note(contract["id"], "Service added", f"{service['name']} added to the contract")
        return {"unitPrice": service["unitPrice"], "unitCost": service["unitCost"], **row}

    def _check_day(self, service: Document | None, contract: Document, day: date) -> None:
        if not day_of(contract["startDate"]) <= day <= day_of(contract["endDate"]):
            raise Refused("effectiveDate: must lie between the start and end of the contract.")
        posted = self._state.last_posted_day(service["id"]) if service else None
        if posted is not None and day <= posted:
            raise Refused("effectiveDate: lies in a period that has been approved and posted.")

    def _recurring(self, contract: Any) -> Document:
        row = self._state.rows("contracts").get(contract)
        if row is None:
            raise Refused("contractID: reference value does not exist.")
        if row["contractType"] != RECURRING:
            raise Refused("contractID: must reference a Recurring Service type Contract.")
        return row

    def _charge(self, row: Document) -> Document:
        contract = self._state.rows("contracts").get(row["contractID"])
        if contract is None:
            raise Refused("contractID: reference value does not exist.")
        for name, table in (("billingCodeID", "billing_codes"), ("productID", "products")):
            if row.get(name) is not None and row[name] not in self._state.rows(table):
                raise Refused(f"{name}: reference value does not exist.")
        defaults = {
            "isBillableToCompany": True,
            "isBilled": False,
            "createDate": second_of(self._now),
            "creatorResourceID": self._resource,
            "status": 7,
        }
        given = {k: v for k, v in row.items() if v is not None}
        return self._priced({**self._default_prices(row), **defaults, **given})

    def _default_prices(self, row: Document) -> Document:
        """A missing price is that of the material billing code, or of the product."""
        code = self._state.rows("billing_codes").get(row.get("billingCodeID") or 0, {})
        product = self._state.rows("products").get(row.get("productID") or 0, {})
        source = code or product
        return {"unitPrice": source.get("unitPrice", 0), "unitCost": source.get("unitCost", 0)}

    def _priced(self, row: Document) -> Document:
        """The API rounds quantity, price and cost to four places."""
        names = [n for n in ("unitQuantity", "unitPrice", "unitCost") if row.get(n) is not None]
        exact = {n: Decimal(row[n]).quantize(FOUR_PLACES, ROUND_HALF_UP) for n in names}
        return {**row, **exact}

    def _touched(self) -> Document:
        """Who changed a charge last; that it is told for any change is the simulator's decision."""
        return {
            "statusLastModifiedBy": self._resource,
            "statusLastModifiedDate": second_of(self._now),
        }

    def _contract(self, row: Document) -> Document:
        if row["companyID"] not in self._state.rows("companies"):
            raise Refused("companyID: reference value does not exist.")
        return {"contractPeriodType": 1, **row}

    def _plain(self, row: Document) -> Document:
        return row

    def _unlocked(self, entity: Entity, row: Document) -> None:
        if entity.rows == "charges" and row["isBilled"]:
            raise Refused("The charge has been billed and can no longer be changed.")

    def _check_picklists(self, entity: Entity, row: Document) -> None:
        for name, value in row.items():
            values = self._state.picklists.get(f"{entity.name}.{name}")
            if values is not None and value is not None and str(value) not in values:
                raise Refused(f"{name}: {value} is not a value of the picklist.")

    def _settable(self, entity: Entity, given: Document) -> Document:
        fields = self._schema(entity.schema)["properties"]
        return {
            k: v for k, v in given.items() if k in fields and k != "id" and not _fixed(fields[k])
        }

    def _updatable(self, entity: Entity) -> list[str]:
        fields = self._schema(entity.schema)["properties"]
        return [
            name
            for name, spec in fields.items()
            if name not in ("id", "contractID")
            and not _fixed(spec)
            and not spec.get("x-create-only")
        ]

    def _note(self, contract: int, title: str, text: str) -> None:
        """Every change of services on a contract leaves a note, whoever made it."""
        id = self._state.new_id()
        self._state.rows("notes")[id] = {
            "id": id,
            "contractID": contract,
            "creatorResourceID": self._resource,
            "createDateTime": second_of(self._now),
            "lastActivityDate": second_of(self._now),
            "title": title,
            "description": text,
        }


def _fixed(spec: Document) -> bool:
    return bool(spec.get("readOnly"))
