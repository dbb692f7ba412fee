"""Lines of the provider's invoice and its price sheets, as events."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from integration.ingest.conftest import Scene, staged
from shared.contracts.ingest import PriceSheetPublished, ProviderPurchaseRecorded
from shared.kernel.clock import FrozenClock
from support.partner_center import ALDER, BIRCH
from support.servers import FreshDatabase

RESERVATION = {
    "customerId": BIRCH, "productId": "DZH318Z0RRRR", "skuId": "00A1",
    "skuName": "Reserved VM Instance, monthly instalment", "unitPrice": "73.00",
    "effectiveUnitPrice": "61.90", "quantity": "1",
    "reservationOrderId": "99f246cf-ed96-41b4-b0cd-0aa43eb1fe91",
}  # fmt: skip
LICENCE = {
    "customerId": ALDER, "productId": "CFQ7TTC0LDPB", "skuId": "0001", "unitPrice": "18.04",
    "quantity": "40", "subscriptionEndDate": "2026-06-30", "billingFrequency": "Monthly",
    "chargeType": "cycleCharge",
}  # fmt: skip


async def load(scene: Scene, *lines: dict[str, Any]) -> dict[str, Any]:
    await scene.partner.pull(
        "POST", "/reconciliation",
        {"invoice_number": "G000426001", "billing_month": "2026-04", "currency": "EUR",
         "exchange_rate": "0.91840", "exchange_rate_date": "2026-04-30", "lines": list(lines)},
    )  # fmt: skip
    made = await scene.ingest.ok(
        "POST", "/v1/reconciliation-exports", json={"invoice_number": "G000426001"}
    )
    await scene.ingest.work("exports")
    row: dict[str, Any] = await scene.ingest.ok("GET", f"/v1/reconciliation-exports/{made['id']}")
    return row


async def purchases(scene: Scene) -> list[ProviderPurchaseRecorded]:
    return await scene.ingest.harness.published(ProviderPurchaseRecorded)


async def test_a_reservation_is_published_and_a_licence_is_kept(scene: Scene) -> None:
    """The money of a reservation is on the invoice only; licences are reconciled later."""
    row = await load(scene, RESERVATION, LICENCE)

    [purchase] = await purchases(scene)
    assert (purchase.category, purchase.customer_id) == ("reservation", BIRCH)
    assert (purchase.unit_price, purchase.effective_unit_price) == (73, Decimal("61.90"))
    assert (purchase.provider_subtotal, purchase.billing_currency) == (Decimal("56.84"), "EUR")
    assert purchase.provider_rate == Decimal("0.91840")
    assert (str(purchase.billing_period.start), purchase.invoice_number) == (
        "2026-04-01", "G000426001",
    )  # fmt: skip
    kept = await scene.fetch("SELECT kind, subtotal, published FROM provider_line ORDER BY 1")
    assert [(k["kind"], k["published"]) for k in kept] == [
        ("licence", False),
        ("reservation", True),
    ]
    assert (row["state"], row["outcome"]) == ("done", "loaded")


async def test_a_purchase_can_be_followed_to_the_line_of_the_invoice(scene: Scene) -> None:
    """By the purchase's id, as the provider sent it."""
    await load(scene, LICENCE, {**RESERVATION, "orderId": "r1"})
    [purchase] = await purchases(scene)

    shown = await scene.ingest.ok("GET", f"/v1/provider-lines/{purchase.purchase_id}")

    assert (shown["line"]["orderId"], shown["kind"]) == ("r1", "reservation")
    assert (shown["subtotal"], shown["line_number"]) == ("56.84", 2)
    unknown = await scene.ingest.http.get("/v1/provider-lines/nope")
    assert unknown.json()["code"] == "provider_line_unknown"


async def test_the_same_invoice_twice_publishes_once(scene: Scene) -> None:
    """Same version: skipped. New version: the same purchase keeps its id."""
    await load(scene, RESERVATION)
    again = await load(scene, RESERVATION)
    changed = await load(scene, RESERVATION, LICENCE)

    ids = [p.purchase_id for p in await purchases(scene)]
    assert (again["outcome"], changed["outcome"]) == ("unchanged", "loaded")
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_a_corrected_purchase_takes_the_earlier_one_back(scene: Scene) -> None:
    """Its price is part of its identity, so the corrected line is another purchase."""
    kept = {**RESERVATION, "skuId": "00A2", "quantity": "2"}
    await load(scene, RESERVATION, kept)
    first = await purchases(scene)
    await load(scene, {**RESERVATION, "effectiveUnitPrice": "60.00"}, kept)

    told = {p.purchase_id: p for p in await purchases(scene)}

    [old] = [p for p in first if p.quantity == 1]
    gone = told[old.purchase_id]
    assert (gone.quantity, gone.provider_subtotal) == (0, 0)
    assert (gone.customer_id, gone.billing_period) == (old.customer_id, old.billing_period)
    assert gone.version != old.version
    charged = sorted(p.effective_unit_price for p in told.values() if p.quantity)
    assert charged == [Decimal("60.00"), Decimal("61.90")]
    [_, record] = await scene.audit("provider-invoice.loaded")
    assert (record["after"]["purchases"], record["after"]["withdrawn"]) == (2, 1)


async def test_a_purchase_that_comes_back_is_charged_again(scene: Scene) -> None:
    """Withdrawn in one version, there again in a later one."""
    await load(scene, RESERVATION)
    await load(scene, LICENCE)
    await load(scene, RESERVATION, LICENCE)

    told = await purchases(scene)

    assert [p.quantity for p in told] == [1, 0, 1]
    assert len({p.purchase_id for p in told}) == 1


async def test_a_correction_that_is_taken_back_is_undone(scene: Scene) -> None:
    """The first version again, byte for byte: its purchases count and those of the other do not."""
    corrected = {**RESERVATION, "effectiveUnitPrice": "60.00"}
    rows = [await load(scene, one) for one in (RESERVATION, corrected, RESERVATION, RESERVATION)]

    told = await purchases(scene)
    last = {p.purchase_id: p for p in told}
    counts = {p.effective_unit_price for p in last.values() if p.quantity}
    assert [row["outcome"] for row in rows] == [*["loaded"] * 3, "unchanged"]
    assert counts == {Decimal("61.90")}
    assert len({(p.purchase_id, p.version) for p in told}) == len(told)


async def test_an_unknown_charge_type_waits_for_a_person(scene: Scene) -> None:
    """Kept with its money, shown, not published."""
    row = await load(scene, {**RESERVATION, "chargeType": "somethingNew"})

    listed = (await scene.ingest.ok("GET", f"/v1/quarantine?source_id={row['file_id']}"))["data"]
    assert [q["code"] for q in listed] == ["charge_type_unknown"]
    assert await purchases(scene) == []


PRICE = {
    "product_id": "CFQ7TTC0LDPB", "sku_id": "0001", "product_title": "Business Premium",
    "term": "P1Y", "billing_plan": "Monthly", "unit_price": "18.04", "erp_price": "22.00",
    "effective_from": "2026-04-01",
}  # fmt: skip


async def import_sheet(scene: Scene) -> dict[str, Any]:
    made = await scene.ingest.ok(
        "POST", "/v1/price-sheets:import", json={"market": "US", "currency": "USD"}
    )
    await scene.ingest.work("price-sheets")
    row: dict[str, Any] = await scene.ingest.ok("GET", f"/v1/price-sheets/{made['id']}")
    return row


async def test_a_price_sheet_is_published_once_a_version(scene: Scene) -> None:
    """The vendor wants a signed-in user for it; the same file again is said to be unchanged."""
    await scene.partner.switch(price_sheets_need_user=True)
    euro = {**PRICE, "currency": "EUR"}
    no_price = {**PRICE, "sku_id": "0002", "erp_price": None}
    await scene.partner.pull("POST", "/additions", {"price_sheet": [PRICE, euro, no_price]})

    first, second = await import_sheet(scene), await import_sheet(scene)

    [sheet] = await scene.ingest.harness.published(PriceSheetPublished)
    [row] = sheet.rows
    assert (row.product.key, row.unit_price, row.erp_price) == (
        "CFQ7TTC0LDPB:0001:P1Y:monthly", Decimal("18.04"), Decimal("22.00"),
    )  # fmt: skip
    assert (first["outcome"], first["rows"], first["refused"]) == ("published", 1, 1)
    assert (second["outcome"], second["sheet_id"]) == ("unchanged", first["sheet_id"])
    listed = (await scene.ingest.ok("GET", "/v1/quarantine?source=price-sheet"))["data"]
    assert [q["code"] for q in listed] == ["price_without_erp"]


async def test_a_price_sheet_that_comes_back_is_published_again(scene: Scene) -> None:
    """Else the prices it was replaced by would stay, also where the clock stands still."""
    dearer = {**PRICE, "unit_price": "19.00"}
    rows = []
    for price in (PRICE, dearer, PRICE, PRICE, dearer):
        scene.partner.simulator.shop.books.price_sheet = []
        await scene.partner.pull("POST", "/additions", {"price_sheet": [price]})
        rows.append(await import_sheet(scene))

    sheets = await scene.ingest.harness.published(PriceSheetPublished)
    assert [row["outcome"] for row in rows] == [*["published"] * 3, "unchanged", "published"]
    assert rows[3]["sheet_id"] == rows[2]["sheet_id"]
    assert [str(sheet.rows[0].unit_price) for sheet in sheets] == ["18.04", "19.00"] * 2
    assert len({sheet.sheet_id for sheet in sheets}) == 4
    fetched = [sheet.fetched_at for sheet in sheets]
    assert sorted(set(fetched)) == fetched


async def test_a_sheet_of_prices_per_term_is_divided_by_its_cycles(
    fresh_database: FreshDatabase, provider_keys: Path, clock: FrozenClock
) -> None:
    """The setting says what one price pays for."""
    chosen = {"ingest_price_sheet_basis": "term"}
    async with staged(fresh_database, provider_keys, clock, **chosen) as scene:
        yearly = {**PRICE, "unit_price": "216.48", "erp_price": "264"}
        await scene.partner.pull("POST", "/additions", {"price_sheet": [yearly]})

        await import_sheet(scene)

        [sheet] = await scene.ingest.harness.published(PriceSheetPublished)
        assert (sheet.rows[0].unit_price, sheet.rows[0].erp_price) == (Decimal("18.04"), 22)


async def test_a_refused_sheet_ends_as_failed_with_the_providers_words(
    fresh_database: FreshDatabase, provider_keys: Path, clock: FrozenClock
) -> None:
    """Without a user the vendor answers 900329, however often it is asked."""
    chosen = {"ingest_refresh_token": None}
    async with staged(fresh_database, provider_keys, clock, **chosen) as scene:
        await scene.partner.switch(price_sheets_need_user=True)
        row = await import_sheet(scene)
        for _ in range(10):
            await scene.execute("UPDATE price_sheet_import SET due_at = now()")
            await scene.ingest.work("price-sheets")
        row = await scene.ingest.ok("GET", f"/v1/price-sheets/{row['id']}")

        assert row["state"] == "failed"
        assert "900329" in row["reason"]
