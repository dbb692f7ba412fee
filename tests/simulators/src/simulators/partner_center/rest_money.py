"""Invoice headers, price sheets and exchange rates."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from starlette.requests import Request
from starlette.routing import Route

from shared.kernel.periods import Period, month_of, utc_day
from simulators.http_messages import Answer
from simulators.partner_center import resources
from simulators.partner_center.edge import call_of, grant_of
from simulators.partner_center.instants import us_date_time
from simulators.partner_center.paging import offset_collection
from simulators.partner_center.records import Invoice, PriceRow
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.shop import Shop

PAGE = 200
VIEWS = frozenset(
    {
        "updatedlicensebased",
        "licensebasedest",
        "licensebasedeos",
        "azure_consumption",
        "azure_reservations",
        "software",
        "marketplace",
    }
)
_ARGUMENT = re.compile(r"(\w+)='([^']*)'")
_FAR_FUTURE = date(9999, 12, 31)


class MoneyApi:
    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def routes(self) -> list[Route]:
        return [
            Route("/v1/invoices", self._invoices),
            Route("/v1/invoices/{invoice}", self._invoice),
            Route("/v1.0/sales/pricesheets({arguments})/$value", self._price_sheet),
            Route("/v1.0/sales/fxrates({arguments})/$value", self._fx_rates),
        ]

    async def _invoices(self, request: Request) -> Answer:
        items = [resources.invoice(i) | {"pdfDownloadLink": None} for i in self._found(request)]
        return Answer.of(200, offset_collection("/invoices", call_of(request), items, PAGE))

    async def _invoice(self, request: Request) -> Answer:
        for invoice in self._found(request):
            if invoice.id == request.path_params["invoice"]:
                return Answer.of(200, resources.invoice(invoice))
        raise Refusal(1000)

    async def _price_sheet(self, request: Request) -> Answer:
        """CSV of one market and view; a zip of it for `Accept-Encoding: deflate` alone."""
        self._require_user(request)
        arguments = dict(_ARGUMENT.findall(request.path_params["arguments"]))
        market, view = arguments.get("Market", "").upper(), arguments.get("PricesheetView", "")
        if view.lower() not in VIEWS or len(market) != 2:
            raise Refusal(3000)
        rows = [
            row
            for row in self._shop.books.price_sheet
            if (row.market.upper(), row.view) == (market, view.lower())
        ]
        wanted = self._on_timeline(rows, dict(request.query_params))
        return _file("sheets.csv", _sheet(wanted, view.lower()), call_of(request).headers)

    async def _fx_rates(self, request: Request) -> Answer:
        self._require_user(request)
        arguments = dict(_ARGUMENT.findall(request.path_params["arguments"]))
        month = arguments.get("Month", "")
        rates = [r for r in self._shop.books.fx_rates if r.month == month]
        if not rates:
            raise Refusal(1000)
        rows = [[r.currency, str(r.usd_per_unit), r.month] for r in rates]
        table = _csv(["CurrencyCode", "USDPerUnit", "Month"], rows)
        return _file("fxrates.csv", table, call_of(request).headers)

    def _found(self, request: Request) -> list[Invoice]:
        tenant = grant_of(request).tenant_id
        found = [i for i in self._shop.books.invoices if i.tenant_id == tenant]
        return sorted(found, key=lambda i: (i.invoice_date, i.id), reverse=True)

    def _require_user(self, request: Request) -> None:
        if self._shop.books.switches.price_sheets_need_user and not grant_of(request).user:
            raise Refusal(900329)

    def _on_timeline(self, rows: list[PriceRow], query: dict[str, str]) -> list[PriceRow]:
        """Rows in force in the current month, in a past one, or changes announced for later."""
        query = {name.lower(): value for name, value in query.items()}
        timeline = query.get("timeline", "current").lower()
        this_month = month_of(utc_day(self._shop.now))
        if timeline == "future":
            found = [r for r in rows if r.effective_from >= this_month.end]
            if not found:
                raise Refusal(1000)
            return found
        month = this_month
        if timeline == "history":
            text = query.get("month", "")
            if not re.fullmatch(r"\d{4}(0[1-9]|1[0-2])", text):
                raise Refusal(3000)
            month = month_of(date(int(text[:4]), int(text[4:]), 1))
        return [r for r in rows if _in_force(r, month)]


def _in_force(row: PriceRow, month: Period) -> bool:
    return row.effective_from < month.end and (row.effective_until or _FAR_FUTURE) > month.start


def _sheet(rows: list[PriceRow], view: str) -> str:
    columns = [
        "ProductTitle", "ProductId", "SkuId", "SkuTitle", "Publisher", "SkuDescription",
        "UnitOfMeasure", "TermDuration", "BillingPlan", "Market", "Currency", "UnitPrice",
        "PricingTierRangeMin", "PricingTierRangeMax", "EffectiveStartDate", "EffectiveEndDate",
        "Tags", "ERP Price", "Segment", "MeterIds", "MeterType",
    ]  # fmt: skip
    azure = view.startswith("azure_")
    hidden = {"ERP Price", "BillingPlan"} if azure else {"MeterIds", "MeterType"}
    shown = [c for c in columns if c not in hidden]
    table = []
    for row in rows:
        values = _values(row)
        table.append([values[c] for c in shown])
    return _csv(shown, table)


def _values(row: PriceRow) -> dict[str, str]:
    return {
        "ProductTitle": row.product_title,
        "ProductId": row.product_id,
        "SkuId": row.sku_id,
        "SkuTitle": row.sku_title or row.product_title,
        "Publisher": "Microsoft Corporation",
        "SkuDescription": row.sku_title or row.product_title,
        "UnitOfMeasure": row.unit_of_measure,
        "TermDuration": row.term,
        "BillingPlan": row.billing_plan.capitalize(),
        "Market": row.market,
        "Currency": row.currency,
        "UnitPrice": _number(row.unit_price),
        "PricingTierRangeMin": row.tier_min,
        "PricingTierRangeMax": row.tier_max,
        "EffectiveStartDate": us_date_time(row.effective_from),
        "EffectiveEndDate": us_date_time(row.effective_until or _FAR_FUTURE),
        "Tags": row.tags,
        "ERP Price": "" if row.erp_price is None else _number(row.erp_price),
        "Segment": row.segment,
        "MeterIds": row.meter_ids,
        "MeterType": row.meter_type,
    }


def _number(value: Decimal) -> str:
    return f"{value:f}"


def _csv(columns: list[str], rows: list[list[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def _file(name: str, text: str, headers: Mapping[str, str]) -> Answer:
    content = text.encode()
    if headers.get("accept-encoding", "").strip().lower() == "deflate":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        content, name = packed.getvalue(), name.replace(".csv", ".zip")
    disposition = f"attachment; filename={name}"
    return Answer(
        200,
        content,
        {"content-type": "application/octet-stream", "content-disposition": disposition},
    )
