"""Everything a simulated ConnectWise tenant knows, and its form as one JSON document.

The document is seed and dump at once: a story writes the few fields it cares about, the rest is
filled with what a fresh tenant would have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal

from shared.kernel.periods import Period
from simulators.calendar_days import day_of, second_of
from simulators.connectwise import reference_data as reference
from simulators.connectwise.invoicing import Line
from simulators.exact_json import Document
from simulators.seeds import known_members, with_numbers

Rows = dict[int, Document]
FIRST_ID = 10_000  # seeds choose small ids
_NUMBERS = ("price", "cost", "unitPrice", "unitCost", "quantity", "lessIncluded", "billAmount")


@dataclass(slots=True)
class Tenant:
    """Who may call, where the API lives at the moment, and what the server says of itself."""

    company_id: str = "tieout"
    public_key: str = "sim-public"
    private_key: str = "sim-private"
    company_name: str = "Tieout Simulated MSP"
    codebase: str = "v2025_1/"
    version: str = "v2025.1.84123"
    api_version: str = "2025.1"
    server_time_zone: str = "Eastern Standard Time"
    member: str = "tieout-api"
    callback_secret: str = "sim-callback-secret"


@dataclass(slots=True)
class AuditEntry:
    kind: str  # AgreementAddition, Agreement, ProductCatalog, Company, Invoice
    id: int
    text: str
    by: str
    at: str
    action: str


@dataclass(slots=True)
class State:
    """Rows by id; derived fields are never stored."""

    tenant: Tenant = field(default_factory=Tenant)
    companies: Rows = field(default_factory=dict)
    agreements: Rows = field(default_factory=dict)
    catalog: Rows = field(default_factory=dict)
    custom_fields: Rows = field(default_factory=dict)
    additions: Rows = field(default_factory=dict)
    invoices: Rows = field(default_factory=dict)
    invoice_lines: dict[int, list[Line]] = field(default_factory=dict)
    invoice_periods: dict[int, Period] = field(default_factory=dict)  # regular invoices only
    tax_rates: dict[str, Decimal] = field(default_factory=dict)  # by tax code id
    audit: list[AuditEntry] = field(default_factory=list)
    held_agreements: set[int] = field(default_factory=set)
    next_id: int = FIRST_ID

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def additions_of(self, agreement: int) -> list[Document]:
        return [a for a in self.additions.values() if a["agreementId"] == agreement]

    def invoices_of(self, agreement: int) -> list[Document]:
        return [i for i in self.invoices.values() if i["agreement"]["id"] == agreement]

    def billed_additions(self) -> dict[int, frozenset[Period]]:
        """Which periods of which addition stand on an invoice that still exists."""
        found: dict[int, frozenset[Period]] = {}
        for lines in self.invoice_lines.values():
            for line in lines:
                if line.addition is not None:
                    old = found.get(line.addition, frozenset())
                    found[line.addition] = old | frozenset(line.periods)
        return found

    def note(self, kind: str, id: int, text: str, *, by: str, at: datetime, action: str) -> None:
        self.audit.append(AuditEntry(kind, id, text, by, second_of(at), action))


def from_document(document: Document) -> State:
    """A state from a seed or a dump.

    Raises:
        ValueError: a reference that leads nowhere, a currency or field that does not exist.
    """
    state = State(tenant=known_members(Tenant, document.get("tenant", {})))
    state.companies = _rows(document.get("companies", ()), _company)
    state.custom_fields = _rows(document.get("custom_fields", ()), _custom_field)
    state.catalog = _rows(document.get("catalog", ()), _catalog_item)
    state.agreements = _rows(document.get("agreements", ()), lambda a: _agreement(state, a))
    state.additions = _rows(document.get("additions", ()), lambda a: _addition(state, a))
    state.invoices = _rows(document.get("invoices", ()), dict)
    state.tax_rates = {k: Decimal(v) for k, v in document.get("tax_rates", {}).items()}
    state.audit = [AuditEntry(**entry) for entry in document.get("audit", ())]
    state.held_agreements = set(document.get("held_agreements", ()))
    _load_invoicing(state, document)
    tables = (state.companies, state.agreements, state.catalog, state.additions, state.invoices)
    highest = max((id for rows in tables for id in rows), default=0)
    state.next_id = max(FIRST_ID, highest + 1, int(document.get("next_id", 0)))
    return state


def to_document(state: State) -> Document:
    """All of it; `from_document` of this is the same state."""
    return {
        "tenant": asdict(state.tenant),
        "companies": list(state.companies.values()),
        "custom_fields": list(state.custom_fields.values()),
        "catalog": list(state.catalog.values()),
        "agreements": list(state.agreements.values()),
        "additions": list(state.additions.values()),
        "invoices": list(state.invoices.values()),
        "invoice_lines": {
            str(k): [_line_out(v) for v in vs] for k, vs in state.invoice_lines.items()
        },
        "invoice_periods": {str(k): _period_out(v) for k, v in state.invoice_periods.items()},
        "tax_rates": {k: str(v) for k, v in state.tax_rates.items()},
        "audit": [asdict(entry) for entry in state.audit],
        "held_agreements": sorted(state.held_agreements),
        "next_id": state.next_id,
    }


def _rows(documents: Iterable[Document], filled: Callable[[Document], Document]) -> Rows:
    rows: Rows = {}
    for document in documents:
        row = filled(with_numbers(document, _NUMBERS))
        if row["id"] in rows:
            raise ValueError(f"id {row['id']} occurs twice")
        rows[row["id"]] = row
    return rows


def _company(given: Document) -> Document:
    row = reference.with_defaults(reference.COMPANY, given)
    row.setdefault("identifier", str(row["name"]).replace(" ", "")[:30])
    return _with_currency(row, "USD")


def _agreement(state: State, given: Document) -> Document:
    row = reference.with_defaults(reference.AGREEMENT, given)
    company = _referred(state.companies, row["company"]["id"], "company")
    row["company"] = company_reference(company)
    row.setdefault("startDate", "2020-01-01T00:00:00Z")
    return _with_currency(row, company["currency"]["currencyCode"])


def _catalog_item(given: Document) -> Document:
    row = reference.with_defaults(reference.CATALOG, given)
    row.setdefault("description", str(row["identifier"])[:60])
    row.setdefault("customerDescription", row["description"])
    return row


def _addition(state: State, given: Document) -> Document:
    _referred(state.agreements, given["agreementId"], "agreement")
    item = _referred(state.catalog, given["product"]["id"], "catalog item")
    row = {"billCustomer": item["billableOption"], **from_catalog(item), **given}
    return reference.with_defaults(reference.ADDITION, row)


def _custom_field(given: Document) -> Document:
    """`{"id", "caption", "screen"}`; screen is additions, agreements, catalog or companies."""
    row = {"type": "Text", "entryMethod": "EntryField", "screen": "additions", **given}
    if len(row["caption"]) > 25:
        raise ValueError(f"the caption {row['caption']!r} is longer than 25 characters")
    return row


def from_catalog(item: Document) -> Document:
    """The fields of an addition that come from its product."""
    return {
        "product": {
            "id": item["id"],
            "identifier": item["identifier"],
            "serializedFlag": item["serializedFlag"],
        },
        "unitPrice": item["price"],
        "unitCost": item["cost"],
        "taxableFlag": item["taxableFlag"],
        "description": item["description"],
        "invoiceDescription": item["customerDescription"],
        "uom": item["unitOfMeasure"]["name"],
    }


def company_reference(company: Document) -> Document:
    return {k: company[k] for k in ("id", "identifier", "name")}


def _referred(rows: Rows, id: int, what: str) -> Document:
    if id not in rows:
        raise ValueError(f"there is no {what} {id}")
    return rows[id]


def _with_currency(row: Document, default: str) -> Document:
    """`currency` may be given as a code or as the vendor's reference."""
    given = row.get("currency", default)
    code = given if isinstance(given, str) else given["currencyCode"]
    return {**row, "currency": reference.currency_reference(code)}


def _load_invoicing(state: State, document: Document) -> None:
    for key, lines in document.get("invoice_lines", {}).items():
        state.invoice_lines[int(key)] = [_line_in(line) for line in lines]
    for key, period in document.get("invoice_periods", {}).items():
        state.invoice_periods[int(key)] = _period_in(period)


def _period_out(period: Period) -> Document:
    return {"start": period.start, "end": period.end}


def _period_in(document: Document) -> Period:
    return Period(day_of(document["start"]), day_of(document["end"]))


def _line_out(line: Line) -> Document:
    return {**asdict(line), "periods": [_period_out(p) for p in line.periods]}


def _line_in(document: Document) -> Line:
    numbers = {k: Decimal(document[k]) for k in ("quantity", "unit_price", "amount")}
    return Line(**{**document, **numbers, "periods": tuple(map(_period_in, document["periods"]))})
