"""What changes records: POST, PATCH, PUT, DELETE, the invoice run, and a human at the keyboard.

Nothing here is idempotent, and only an invoice run keeps two writers apart.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from simulators.calendar_days import second_of
from simulators.connectwise import additions, agreements, custom_fields, patching
from simulators.connectwise import reference_data as reference
from simulators.connectwise.refusals import Refused, in_use, refuse_field
from simulators.connectwise.resources import ADDITIONS, AGREEMENTS, CATALOG, INVOICES, Resource
from simulators.connectwise.state import State
from simulators.exact_json import Document

Schema = Callable[[str], Document]


class Writer:
    """Changes one state in the name of one person or API member."""

    def __init__(self, state: State, now: datetime, by: str, schema: Schema) -> None:
        self._state = state
        self._now = now
        self._by = by
        self._schema = schema

    @property
    def _today(self) -> date:
        return self._now.date()

    def create(self, resource: Resource, given: Document, agreement: int = 0) -> Document:
        given = {k: v for k, v in given.items() if k in self._settable(resource)}
        given = self._with_custom_fields(resource, given)
        if resource is ADDITIONS:
            self._free(agreement)
            row = additions.created(self._state, agreement, given)
        elif resource is AGREEMENTS:
            row = agreements.created(self._state, given, self._today)
        else:
            row = self._plain(resource, given)
        return self._store(resource, row, "Created", f"{resource.label} created")

    def patch(self, resource: Resource, row: Document, operations: list[Document]) -> Document:
        changes = patching.applied(operations, self._schema(resource.label))
        return self.edit(resource, row, changes)

    def edit(self, resource: Resource, row: Document, changes: Document) -> Document:
        """Change fields of a record, with everything that follows from it."""
        self._hold_off(resource, row)
        changes = self._with_custom_fields(resource, changes)
        if resource is ADDITIONS:
            after = additions.changed(self._state, row, changes)
        elif resource is AGREEMENTS:
            after = agreements.changed(self._state, row, changes)
        else:
            after = {k: v for k, v in {**row, **changes}.items() if v is not None}
        stored = self._store(resource, after, "Updated", _difference(resource, row, after))
        if resource is CATALOG:
            for addition in additions.reprice(self._state, after):
                self._store(ADDITIONS, addition, "Updated", "Price updated from the catalog")
        return stored

    def replace(self, resource: Resource, row: Document, given: Document) -> Document:
        """PUT: whatever was not sent falls back to its default."""
        self._hold_off(resource, row)
        given = {k: v for k, v in given.items() if k in self._settable(resource)}
        given = self._with_custom_fields(resource, given)
        if resource is ADDITIONS:
            after = additions.replaced(self._state, row, given)
        else:
            created = agreements.created(self._state, given, self._today)
            after = {**created, "id": row["id"]}
        return self._store(resource, after, "Updated", f"{resource.label} replaced")

    def delete(self, resource: Resource, row: Document) -> None:
        self._hold_off(resource, row)
        if resource is AGREEMENTS and self._state.additions_of(row["id"]):
            raise refuse_field("Agreement", "id", "the agreement has additions")
        del resource.rows(self._state)[row["id"]]
        if resource is INVOICES:  # the period is to be invoiced again
            self._state.invoice_lines.pop(row["id"], None)
            self._state.invoice_periods.pop(row["id"], None)
        self._note(resource, row["id"], "Deleted", f"{resource.label} deleted")

    def run_invoice(self, row: Document) -> list[Document]:
        self._free(row["id"])
        dues = [additions.due(self._state, a) for a in self._state.additions_of(row["id"])]
        made = agreements.run_invoice(self._state, row, dues, self._today)
        for invoice in made:
            self._note(INVOICES, invoice["id"], "Created", "Agreement invoice created")
        return made

    def _plain(self, resource: Resource, given: Document) -> Document:
        defaults = reference.CATALOG if resource is CATALOG else reference.COMPANY
        identifier = given["identifier"]
        rows = resource.rows(self._state).values()
        if any(r["identifier"] == identifier for r in rows):
            raise refuse_field(resource.label, "identifier", f"{identifier} exists already")
        row = {**reference.with_defaults(defaults, given), "id": self._state.new_id()}
        if resource is not CATALOG:
            row.setdefault("currency", reference.currency_reference("USD"))
        return row

    def _settable(self, resource: Resource) -> set[str]:
        fields = self._schema(resource.label)["properties"]
        return {n for n, f in fields.items() if n != "id" and not f.get("x-server-derived")}

    def _with_custom_fields(self, resource: Resource, given: Document) -> Document:
        if "customFields" not in given:
            return given
        values: list[Any] = given["customFields"] or []
        stored = custom_fields.stored(self._state, resource.screen, resource.label, values)
        return {**given, "customFields": stored}

    def _hold_off(self, resource: Resource, row: Document) -> None:
        if resource is ADDITIONS:
            self._free(row["agreementId"])
        elif resource is AGREEMENTS:
            self._free(row["id"])

    def _free(self, agreement: int) -> None:
        if agreement in self._state.held_agreements:
            raise Refused(in_use(agreement))

    def _store(self, resource: Resource, row: Document, action: str, text: str) -> Document:
        info = {"lastUpdated": second_of(self._now), "updatedBy": self._by}
        row = {**row, "_info": {**row.get("_info", {}), **info}}
        resource.rows(self._state)[row["id"]] = row
        self._note(resource, row["id"], action, text)
        return row

    def _note(self, resource: Resource, id: int, action: str, text: str) -> None:
        self._state.note(resource.audit, id, text, by=self._by, at=self._now, action=action)


def _difference(resource: Resource, before: Document, after: Document) -> str:
    names = sorted(k for k in {*before, *after} if before.get(k) != after.get(k))
    changes = [f"{n} from {before.get(n)!s} to {after.get(n)!s}" for n in names]
    return f"{resource.label} changed: {'; '.join(changes) or 'nothing'}"
