"""The billing exports: protocol, versions, exact digits, and how links end."""

from __future__ import annotations

import gzip
from decimal import Decimal
from typing import Any

import httpx
import pytest

from simulators.contract import Contract
from simulators.exact_json import Document, loads
from simulators.partner_center.vendor_contract import definitions
from support.partner_center import BIRCH, Partner

USAGE = "/graph/v1.0/reports/partners/billing/usage/billed/export"
INVOICE = "G000000426"


def line(number: int, **given: Any) -> Document:
    return {
        "customerId": BIRCH,
        "entitlementId": "a2000000-0000-4000-8000-000000000001",
        "usageDate": f"2026-04-{number:02d}",
        "meterCategory": "Virtual Machines",
        "meterId": "vm-d4",
        "meterName": "D4",
        "quantity": Decimal("72.000000"),
        "unitPrice": Decimal("0.2304"),
        "rateOfPartnerEarnedCredit": Decimal("0.15"),
        **given,
    }


def usage(*lines: Document, **given: Any) -> Document:
    return {
        "invoice_number": INVOICE,
        "billing_month": "2026-04",
        "currency": "EUR",
        "exchange_rate": Decimal("0.91840"),
        "exchange_rate_date": "2026-04-30",
        "lines": list(lines),
        **given,
    }


async def operation(partner: Partner, path: str = USAGE, body: Any = None) -> Document:
    """Start an export and look at it until it has ended."""
    wanted = body or {"invoiceId": INVOICE, "attributeSet": "full"}
    started = await partner.call("POST", path, wanted)
    assert started.status_code == 202, started.text
    location = httpx.URL(started.headers["location"]).path
    while (found := await partner.get(location))["status"] in ("notstarted", "running"):
        pass
    return dict(found)


async def blobs(partner: Partner, manifest: Document) -> list[bytes]:
    """What the storage holds, fetched with the token of the manifest and no bearer."""
    root = httpx.URL(manifest["rootDirectory"]).path
    found = []
    for blob in manifest["blobs"]:
        answer = await partner.http.get(f"{root}/{blob['name']}?{manifest['sasToken']}")
        assert answer.status_code == 200, answer.text
        found.append(answer.content)
    return found


async def exported(partner: Partner, body: Any = None) -> list[Document]:
    manifest = (await operation(partner, body=body))["resourceLocation"]
    rows = b"".join(gzip.decompress(b) for b in await blobs(partner, manifest)).splitlines()
    return [loads(row) for row in rows]


async def test_an_export_runs_and_then_names_its_files(partner: Partner) -> None:
    """202 with a place to look, running for as many looks as switched, then the manifest."""
    await partner.pull("POST", "/usage", usage(line(3), line(12)))
    await partner.switch(export_polls=2, export_retry_after=7)
    started = await partner.call("POST", USAGE, {"invoiceId": INVOICE, "attributeSet": "full"})
    location = httpx.URL(started.headers["location"]).path
    looks = [await partner.call("GET", location) for _ in range(3)]
    assert [a.json()["status"] for a in looks] == ["running", "running", "succeeded"]
    assert [a.headers.get("retry-after") for a in looks] == ["7", "7", None]
    manifest = looks[2].json()["resourceLocation"]
    assert (manifest["blobCount"], len(manifest["blobs"])) == (1, 1)


async def test_lines_carry_every_column_with_exact_digits(partner: Partner) -> None:
    """Numbers are JSON numbers with the digits of the story; the rest is derived exactly."""
    await partner.pull("POST", "/usage", usage(line(3, lineId="u1")))
    manifest = (await operation(partner))["resourceLocation"]
    (content,) = await blobs(partner, manifest)
    text = gzip.decompress(content).decode()
    assert '"quantity":72.000000,' in text
    row = loads(text)
    assert Decimal("0.195840") == row["effectiveUnitPrice"]
    assert Decimal("14.100480") == row["pricingPreTaxTotal"]
    assert Decimal("12.9498808320") == row["billingPreTaxTotal"]
    assert (
        row["customerName"],
        row["customerCountry"],
        row["invoiceNumber"],
    ) == ("Birch Logistics", "NL", INVOICE)
    assert Contract([], definitions()).errors({"$ref": "#/$defs/usage_line"}, row) == []
    assert row["additionalInfo"] == '{"lineId":"u1"}'
    assert len(row) == 55


async def test_the_basic_set_lacks_credit_and_tags(partner: Partner) -> None:
    """Whoever asks for less gets less."""
    await partner.pull("POST", "/usage", usage(line(3)))
    (row,) = await exported(partner, {"invoiceId": INVOICE, "attributeSet": "basic"})
    assert {"rateOfPartnerEarnedCredit", "tags", "meterCategory"}.isdisjoint(row)
    assert row["quantity"] == 72


async def test_many_lines_are_cut_into_blobs_of_several_gzip_members(partner: Partner) -> None:
    """A reader that stops after the first member loses lines."""
    await partner.switch(blob_lines=10, gzip_member_lines=4)
    given = [line(1 + n % 28, quantity=n) for n in range(25)]
    published = await partner.pull("POST", "/usage", usage(*given))
    manifest = (await operation(partner))["resourceLocation"]
    contents = await blobs(partner, manifest)
    assert (published["lines"], manifest["blobCount"], len(contents)) == (25, 3, 3)
    assert contents[0].count(b"\x1f\x8b\x08") == 3
    rows = b"".join(gzip.decompress(b) for b in contents).splitlines()
    assert list(range(25)) == [loads(r)["quantity"] for r in rows]


async def test_the_etag_changes_exactly_when_a_line_does(partner: Partner) -> None:
    """The same lines again are the same version; another quantity is a new one."""
    first = await partner.pull("POST", "/usage", usage(line(3)))
    again = await partner.pull("POST", "/usage", usage(line(3)))
    other = await partner.pull("POST", "/usage", usage(line(3, quantity=73)))
    more = await partner.pull("POST", "/usage", usage(line(4), append=True))
    assert first["etag"] == again["etag"]
    assert len({first["etag"], other["etag"], more["etag"]}) == 3
    assert [r["quantity"] for r in await exported(partner)] == [73, 72]


async def test_an_old_manifest_goes_on_naming_the_old_version(partner: Partner) -> None:
    """A download that overlaps a regeneration is still consistent."""
    await partner.pull("POST", "/usage", usage(line(3)))
    manifest = (await operation(partner))["resourceLocation"]
    await partner.pull("POST", "/usage", usage(line(3, quantity=1)))
    (content,) = await blobs(partner, manifest)
    assert loads(gzip.decompress(content))["quantity"] == 72


async def test_a_fresh_invoice_has_no_data_yet(partner: Partner) -> None:
    """Not an error of the protocol: the operation fails with code 5000."""
    found = await operation(partner)
    assert (
        found["status"],
        found["error"]["code"],
        found["error"]["message"],
    ) == ("failed", "5000", "No data available")


async def test_unbilled_data_is_named_by_currency_and_period(partner: Partner) -> None:
    """Unbilled lines have no invoice number."""
    data = usage(line(3), invoice_number=None, period="last")
    await partner.pull("POST", "/usage", data)
    path = "/graph/beta/reports/partners/billing/usage/unbilled/export"
    for period, status in (("last", "succeeded"), ("current", "failed")):
        found = await operation(partner, path, {"currencyCode": "EUR", "billingPeriod": period})
        assert status == found["status"]


async def test_links_expire(partner: Partner) -> None:
    """410 for operation and manifest, 403 from the storage: start again."""
    await partner.pull("POST", "/usage", usage(line(3)))
    found = await operation(partner)
    manifest = found["resourceLocation"]
    await partner.pull("POST", "/exports/expire")
    base = "/graph/v1.0/reports/partners/billing"
    gone = [
        (await partner.call("GET", f"{base}/{path}")).status_code
        for path in (f"operations/{found['id']}", f"manifests/{manifest['id']}")
    ]
    with pytest.raises(AssertionError, match="AuthenticationFailed"):
        await blobs(partner, manifest)
    assert gone == [410, 410]
    assert (await operation(partner))["status"] == "succeeded"


async def test_the_storage_takes_the_sas_token_and_nothing_else(partner: Partner) -> None:
    """A bearer token or a missing query closes the door."""
    await partner.pull("POST", "/usage", usage(line(3)))
    manifest = (await operation(partner))["resourceLocation"]
    path = f"{httpx.URL(manifest['rootDirectory']).path}/{manifest['blobs'][0]['name']}"
    bearer = {"authorization": f"Bearer {await partner.token('https://graph.microsoft.com')}"}
    with_bearer = await partner.http.get(f"{path}?{manifest['sasToken']}", headers=bearer)
    without_token = await partner.http.get(path)
    assert (with_bearer.status_code, without_token.status_code) == (403, 403)


async def test_the_manifest_may_be_a_link(partner: Partner) -> None:
    """Both documented forms of the finished operation exist."""
    await partner.switch(inline_manifest=False)
    await partner.pull("POST", "/usage", usage(line(3)))
    found = await operation(partner)
    link = httpx.URL(found["resourceLocation@odata.navigationLink"]).path
    assert (await partner.get(link))["blobCount"] == 1


async def test_a_reservation_instalment_comes_through_the_invoice_lines(partner: Partner) -> None:
    """Purchases are on the invoice, cut to cents toward zero, not in the daily usage."""
    instalment = {
        "customerId": BIRCH,
        "productName": "Reserved VM Instance",
        "chargeType": "new",
        "quantity": 1,
        "unitPrice": Decimal("73.00"),
        "effectiveUnitPrice": Decimal("61.90"),
        "reservationOrderId": "res-1",
    }
    await partner.pull("POST", "/reconciliation", usage(instalment))
    path = USAGE.replace("usage/billed", "reconciliation/billed")
    found = await operation(partner, path)
    (content,) = await blobs(partner, found["resourceLocation"])
    row = loads(gzip.decompress(content))
    assert Decimal("56.84") == row["subtotal"]
    assert Contract([], definitions()).errors({"$ref": "#/$defs/invoice_line"}, row) == []


@pytest.mark.parametrize(
    "body", [{}, {"invoiceId": ""}, {"invoiceId": INVOICE, "attributeSet": "all"}]
)
async def test_a_malformed_export_request_is_refused(body: Document, partner: Partner) -> None:
    """Graph's error form."""
    answer = await partner.call("POST", USAGE, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")


async def test_a_misspelt_column_is_the_storys_mistake(partner: Partner) -> None:
    """A story that names a column that does not exist hears it; a new column can be forced."""
    wrong = usage(line(3, meterCategry="x"))
    assert (await partner.lever("POST", "/usage", wrong)).status_code == 422
    await partner.pull("POST", "/usage", {**wrong, "allow_unknown": True})
    (row,) = await exported(partner)
    assert row["meterCategry"] == "x"
