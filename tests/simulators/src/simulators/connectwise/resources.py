"""The record types of the simulated API: where their rows live and how they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from simulators.connectwise import additions, agreements, custom_fields
from simulators.connectwise import reference_data as reference
from simulators.connectwise.state import Rows, State
from simulators.exact_json import Document


@dataclass(frozen=True, slots=True)
class Resource:
    """One record type; `audit` names it in the audit trail, `screen` in custom fields."""

    label: str
    rows: Callable[[State], Rows]
    derived: Callable[[State, Document, date], Document]
    audit: str = ""
    screen: str = ""

    def view(self, state: State, row: Document, today: date) -> Document:
        shown = self.derived(state, row, today)
        if self.screen:
            shown = {**shown, "customFields": custom_fields.shown(state, self.screen, row)}
        return shown


def _as_stored(state: State, row: Document, today: date) -> Document:
    del state, today
    return row


def _field_view(state: State, row: Document, today: date) -> Document:
    del state, today
    return custom_fields.definition_view(row)


COMPANIES = Resource(
    "Company", lambda s: s.companies, _as_stored, audit="Company", screen="companies"
)
AGREEMENTS = Resource(
    "Agreement", lambda s: s.agreements, agreements.view, audit="Agreement", screen="agreements"
)
ADDITIONS = Resource(
    "Addition", lambda s: s.additions, additions.view, audit="AgreementAddition", screen="additions"
)
CATALOG = Resource(
    "CatalogItem", lambda s: s.catalog, _as_stored, audit="ProductCatalog", screen="catalog"
)
INVOICES = Resource("Invoice", lambda s: s.invoices, _as_stored, audit="Invoice")
CYCLES = Resource("BillingCycle", lambda _: reference.CYCLES, _as_stored)
CURRENCIES = Resource("Currency", lambda _: reference.CURRENCIES, _as_stored)
FIELDS = Resource("UserDefinedField", lambda s: s.custom_fields, _field_view)
