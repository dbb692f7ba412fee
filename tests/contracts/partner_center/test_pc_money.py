"""Price sheets, exchange rates, invoice headers."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import pytest

from shared.kernel.clock import FrozenClock
from support.partner_center import Partner

SHEET = "/v1.0/sales/pricesheets(Market='US',PricesheetView='updatedlicensebased')/$value"


def row(price: str, start: str, end: str | None = None, **given: Any) -> dict[str, Any]:
    return {
        "product_id": "CFQ7TTC0LDPB",
        "sku_id": "0001",
        "product_title": "Microsoft 365 Business Premium",
        "term": "P1Y",
        "billing_plan": "Monthly",
        "unit_price": price,
        "erp_price": "270.60",
        "effective_from": start,
        "effective_until": end,
        **given,
    }


@pytest.fixture(autouse=True)
async def sheet(partner: Partner) -> None:
    rows = [
        row("216.48", "2025-01-01", "2026-07-01"),
        row("230.00", "2026-07-01"),
        row("21.65", "2025-01-01", None, term="P1M"),
        row("0.0960", "2026-04-01", None, view="azure_consumption", tags="Azure,Consumption"),
    ]
    rate = {"month": "202604", "currency": "EUR", "usd_per_unit": "1.08885"}
    await partner.pull("POST", "/additions", {"price_sheet": rows, "fx_rates": [rate]})


async def rows_of(partner: Partner, path: str) -> list[dict[str, str]]:
    answer = await partner.call("GET", path)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_the_current_sheet_holds_what_is_in_force(partner: Partner) -> None:
    """Columns, the blank in `ERP Price` and US dates are the vendor's; prices are as given."""
    first, _ = await rows_of(partner, SHEET)
    expected = {
        "SkuId": "0001",
        "TermDuration": "P1Y",
        "BillingPlan": "Monthly",
        "UnitPrice": "216.48",
        "ERP Price": "270.60",
        "EffectiveStartDate": "1/1/2025 12:00:00 AM",
        "EffectiveEndDate": "7/1/2026 12:00:00 AM",
        "Segment": "Commercial",
    }
    assert expected == {name: first[name] for name in expected}


@pytest.mark.parametrize(
    ("query", "prices"),
    [
        ("?timeline=future", ["230.00"]),
        ("?timeline=history&month=202512", ["216.48", "21.65"]),
        ("?Timeline=current", ["216.48", "21.65"]),
    ],
)
async def test_the_timeline_chooses_the_rows(
    query: str, prices: list[str], partner: Partner
) -> None:
    """Announced, past and present prices are three calls."""
    assert prices == [r["UnitPrice"] for r in await rows_of(partner, SHEET + query)]


async def test_no_announced_change_is_not_found(partner: Partner) -> None:
    """404 for the future of a market without changes."""
    path = SHEET.replace("'US'", "'DE'") + "?timeline=future"
    assert (await partner.call("GET", path)).status_code == 404


async def test_deflate_means_a_zip_file(partner: Partner) -> None:
    """Not an HTTP encoding: a zip with the sheet in it."""
    answer = await partner.call("GET", SHEET, headers={"accept-encoding": "deflate"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert b"CFQ7TTC0LDPB" in archive.read("sheets.csv")


async def test_meters_have_their_own_columns(partner: Partner) -> None:
    """The Azure sheet knows meters, but neither plan nor suggested price."""
    path = SHEET.replace("updatedlicensebased", "azure_consumption")
    (meter,) = await rows_of(partner, path)
    assert (meter["UnitPrice"], "MeterIds" in meter) == ("0.0960", True)
    assert {"ERP Price", "BillingPlan"}.isdisjoint(meter)


async def test_price_sheets_can_insist_on_a_user(partner: Partner) -> None:
    """As the vendor does: application-only is 403/900329, a refresh token of a user opens."""
    await partner.switch(price_sheets_need_user=True)
    refused = await partner.call("GET", SHEET)
    token = await partner.token(
        "https://api.partner.microsoft.com", grant_type="refresh_token", refresh_token="vaulted"
    )
    accepted = await partner.call("GET", SHEET, headers={"authorization": f"Bearer {token}"})
    assert (
        refused.status_code,
        refused.json()["code"],
        accepted.status_code,
    ) == (403, 900329, 200)


async def test_exchange_rates_are_a_file_a_month(partner: Partner) -> None:
    """Units of USD per unit of the currency."""
    path = "/v1.0/sales/fxrates(Month='202604')/$value"
    expected = [{"CurrencyCode": "EUR", "USDPerUnit": "1.08885", "Month": "202604"}]
    assert expected == await rows_of(partner, path)


async def test_invoices_come_newest_first_by_offset(partner: Partner, clock: FrozenClock) -> None:
    """The list has no document link; one invoice has its exact total."""
    for number in (1, 2, 3):
        invoice = {
            "id": f"G00000000{number}",
            "invoice_date": f"2026-0{number}-08",
            "period_start": f"2026-0{number}-01",
            "period_end": f"2026-0{number}-28",
            "total": "187.31",
        }
        await partner.pull("POST", "/invoices", invoice)
    first = await partner.get("/v1/invoices?size=2&offset=0")
    second = await partner.get("/v1/invoices?size=2&offset=2")
    assert [i["id"] for i in first["items"]] == ["G000000003", "G000000002"]
    assert (
        [i["id"] for i in second["items"]],
        "next" in second["links"],
    ) == (["G000000001"], False)
    one = await partner.get("/v1/invoices/G000000002")
    assert str(one["totalCharges"]) == "187.31"
    assert (await partner.audit())[0]["operationType"] == "ready_invoice"
