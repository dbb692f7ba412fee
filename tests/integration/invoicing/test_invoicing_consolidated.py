"""Scenario 4: one invoice in EUR for a site in EUR and one in CHF; the third invoices itself."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from shared.contracts.envelope import Event
from shared.contracts.invoicing import InvoiceDrafted
from shared.contracts.rating import ChargeRated, FxRateEntered
from shared.kernel.ids import derived_id
from support.billing_facts import cycle_rated, day, seats, seats_changed, tax_of
from support.invoicing_world import World

OCTOBER = ("2026-10-01", "2026-11-01")
SEPTEMBER = ("2026-09-01", "2026-10-01")
ON = "2026-10-01"
LYON, GENEVA, TOKYO = "D-1-LYON", "D-2-GENEVA", "D-3-TOKYO"
SITES = {
    LYON: ("delta-lyon", "EUR", "31.40", 16, -4, "2026-09-11"),
    GENEVA: ("delta-geneva", "CHF", "32.95", 16, 4, "2026-09-11"),
    TOKYO: ("delta-tokyo", "JPY", "5125", 21, 3, "2026-09-20"),
}
RATES = {"FR": "0.20", "CH": "0", "JP": "0.10"}
LINES = [
    (LYON, "502.40", "502.40"),
    (LYON, "-83.73", "-83.73"),
    (GENEVA, "527.20", "561.05"),
    (GENEVA, "87.87", "93.51"),
]


def rate(source: str, value: str) -> FxRateEntered:
    return FxRateEntered(
        source_currency=source,
        target_currency="EUR",
        on=day(ON),
        version=1,
        rate=value,
        source="ECB reference",
    )


CHF, JPY = rate("CHF", "1.0642"), rate("JPY", "0.00612")


async def delta(world: World) -> None:
    """Two sellers, a group of accounts, three contracts of one tenant."""
    eu = {"name": "HC-EU", "country": "FR", "tax_mode": "per_group", "invoice_prefix": "HEU-"}
    await world.seller("hc-eu", **eu)
    await world.seller("hc-jp", **eu | {"name": "HC-JP", "country": "JP", "invoice_prefix": "HJP-"})
    places = (
        ("delta", "hc-eu", "FR", "EUR", None),
        ("delta-lyon", "hc-eu", "FR", "EUR", "delta"),
        ("delta-geneva", "hc-eu", "CH", "CHF", "delta"),
        ("delta-tokyo", "hc-jp", "JP", "JPY", "delta"),
    )
    for account_id, seller, place, currency, parent in places:
        await world.account(
            account_id, name=account_id, selling_entity_id=seller, country=place,
            tax_jurisdiction=place, currency=currency, parent_account_id=parent,
        )  # fmt: skip
    for contract_id, (account_id, currency, *_) in SITES.items():
        await world.contract(
            contract_id,
            account_id=account_id,
            currency=currency,
            starts_on="2026-09-01",
            billed_through=ON,
            provider_customer_id="tenant-delta",
            subscription_ids=[],
            shared_subscription_ids=["E3"],
            bill_to_account_id=None if contract_id == TOKYO else "delta",
        )


def charges_of(contract_id: str) -> list[ChargeRated]:
    _, currency, price, quantity, added, effective = SITES[contract_id]
    own: dict[str, Any] = {
        "contract_id": contract_id,
        "currency": currency,
        "customer_id": "tenant-delta",
    }
    return [
        seats(f"{contract_id}-r", quantity=quantity, unit_price=price, service=OCTOBER, **own),
        seats_changed(
            f"{contract_id}-p", added=added, unit_price=price, effective=effective,
            cycle=SEPTEMBER, **own,
        ),
    ]  # fmt: skip


def answers(contract_id: str) -> list[Event]:
    charges = charges_of(contract_id)
    run_id = derived_id("invoice-run", contract_id, ON)
    return [*charges, cycle_rated(run_id, ON, charges, contract_id=contract_id)]


async def taxed(world: World) -> None:
    """Tax by the jurisdiction of each line's site, one amount per rate."""
    newest = {d.invoice_id: d for d in await world.harness.published(InvoiceDrafted)}
    await world.deliver(*(tax_of(draft, RATES) for draft in newest.values()))
    await world.process.work()


def figures(invoice: dict[str, Any]) -> tuple[str, str, str]:
    return invoice["net"], invoice["tax"], invoice["total"]


async def test_scenario_4_consolidated_to_the_cent(world: World) -> None:
    """Four lines with both amounts, VAT on Lyon's alone, 1,156.96 EUR; Tokyo 124,589 JPY."""
    await delta(world)
    await world.deliver(CHF, JPY)
    await world.request(ON)
    for contract_id in SITES:
        await world.deliver(*answers(contract_id))
    await taxed(world)

    invoice = await world.invoice_of(GENEVA, ON)
    found = [(x["site"]["contract_id"], x["site"]["net"], x["net"]) for x in invoice["lines"]]
    assert found == LINES
    assert figures(invoice) == ("1073.23", "83.73", "1156.96")
    assert (invoice["account_id"], invoice["currency"]) == ("delta", "EUR")
    assert invoice == await world.invoice_of(LYON, ON)
    geneva = invoice["lines"][2]
    assert (geneva["site"]["currency"], geneva["net_exact"]) == ("CHF", "561.046240")
    assert (geneva["site"]["fx_rate"], geneva["site"]["fx_on"]) == ("1.0642", ON)
    assert geneva["site"]["fx_source"] == "ECB reference"
    assert [line["tax_rate"] for line in invoice["lines"]] == ["0.20", "0.20", "0", "0"]

    tokyo = await world.invoice_of(TOKYO, ON)
    assert figures(tokyo) == ("113263", "11326", "124589")
    assert all(line["site"] is None for line in tokyo["lines"])


async def test_the_group_report_adds_up_in_one_currency(world: World) -> None:
    """1,073.23 + 693.17 = 1,766.40 EUR."""
    await test_scenario_4_consolidated_to_the_cent(world)
    told = await world.get(
        "/v1/accounts/delta/group-report", start=ON, end="2026-10-02", currency="EUR"
    )
    assert [row["net_converted"] for row in told["invoices"]] == ["1073.23", "693.17"]
    assert told["net"] == "1766.40"


ORDERS = list(permutations(range(6)))


@pytest.mark.parametrize("seed", range(0, 720, 60))
async def test_scenario_4_in_other_orders(world: World, seed: int) -> None:
    """Charges and answers of both sites, in a dozen orders, each twice: the same invoice."""
    await delta(world)
    await world.deliver(CHF)
    await world.request(ON, LYON)
    events = [*answers(LYON), *answers(GENEVA)]
    for index in ORDERS[seed]:
        await world.deliver(events[index], events[index])
    await taxed(world)
    invoice = await world.invoice_of(LYON, ON)
    assert [(x["site"]["contract_id"], x["site"]["net"], x["net"]) for x in invoice["lines"]] == (
        LINES
    )
    assert figures(invoice) == ("1073.23", "83.73", "1156.96")
    assert await world.dead() == []


async def test_a_request_for_one_site_asks_for_all_on_its_invoice(world: World) -> None:
    """Lyon alone is asked for; Geneva's run is requested with it, Tokyo's is not."""
    await delta(world)
    runs = await world.request(ON, LYON)
    assert [run["contract_id"] for run in runs] == [LYON, GENEVA]


async def test_a_missing_rate_holds_until_it_arrives(world: World) -> None:
    """Without a rate for CHF nothing is guessed; the rate releases the invoice."""
    await delta(world)
    await world.request(ON, LYON)
    await world.deliver(*answers(LYON), *answers(GENEVA))
    [hold] = await world.holds()
    assert (hold["reason"], hold["detail"]) == (
        "no_fx_rate",
        "no rate CHF to EUR on or before 2026-10-01",
    )
    await world.deliver(CHF)
    assert await world.holds() == []
    await taxed(world)
    assert figures(await world.invoice_of(LYON, ON)) == ("1073.23", "83.73", "1156.96")


async def test_the_next_invoice_bills_only_what_is_new(world: World) -> None:
    """What was billed is kept in the charge's own currency: a corrected seat of Geneva gives one
    line with the difference."""
    await test_scenario_4_consolidated_to_the_cent(world)
    seventeen = Decimal("560.15")
    late = charges_of(GENEVA)[0].model_copy(
        update={
            "revision": 2,
            "quantity": Decimal(17),
            "amount": seventeen,
            "amount_exact": seventeen,
        }
    )
    await world.request("2026-11-01", LYON)
    for contract_id, charges in ((LYON, charges_of(LYON)), (GENEVA, [late, charges_of(GENEVA)[1]])):
        run_id = derived_id("invoice-run", contract_id, "2026-11-01")
        await world.deliver(
            *charges, cycle_rated(run_id, "2026-11-01", charges, contract_id=contract_id)
        )
    await taxed(world)
    [line] = (await world.invoice_of(GENEVA, "2026-11-01"))["lines"]
    assert (line["site"]["net"], line["net"]) == ("32.95", "35.07")
    assert line["corrects"] == "HEU-000001/3"


async def test_a_payer_of_another_seller_is_refused(world: World) -> None:
    """A consolidated invoice has one seller."""
    await delta(world)
    answer = await world.process.http.request(
        "PUT", f"/v1/contracts/{TOKYO}", json={
            "account_id": "delta-tokyo", "currency": "JPY", "timing": "advance", "anchor_day": 1,
            "starts_on": "2026-09-01", "provider_customer_id": "t", "bill_to_account_id": "delta",
        },
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (422, "bill_to_of_another_seller")


async def test_an_account_is_not_below_itself(world: World) -> None:
    """A group has a top."""
    await delta(world)
    answer = await world.process.http.request(
        "PUT", "/v1/accounts/delta", json={
            "name": "delta", "selling_entity_id": "hc-eu", "country": "FR",
            "tax_jurisdiction": "FR", "currency": "EUR", "parent_account_id": "delta-lyon",
        },
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (422, "account_is_its_own_parent")
