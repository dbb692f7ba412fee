"""Two partner tenants side by side: what belongs to one never touches the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ingest.clients.partner_center import PartnerCenter
from ingest.handlers import SWEEPS, SYNCS, sweeping
from ingest.handlers.observing import Look, Seen
from ingest.store.subscriptions import Observation
from integration.ingest.conftest import CALLBACK, Scene, staged
from integration.ingest.test_ingest_invoices_and_prices import RESERVATION
from integration.ingest.test_ingest_orders import place, until_ended
from integration.ingest.test_ingest_usage_exports import INVOICE, batches, closed, line, read
from integration.ingest.test_ingest_webhook_receiver import deliveries, event, signed
from shared.contracts.ingest import ProviderPurchaseRecorded
from shared.kernel.clock import FrozenClock
from shared.kernel.errors import Invalid
from shared.runtime.jobs import JobRunner
from shared.runtime.postgres import Transaction
from support.partner_center import ALDER, ANNUAL, BIRCH, MONTHLY, SEED, TENANT
from support.servers import FreshDatabase

EU = "7e0a1eb1-0000-4000-8000-0000000000e0"
CEDAR, DOGWOOD, ELM = (f"e0e0e0e0-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
SEATS = "eeeeeeee-0000-4000-8000-000000000001"
PRODUCT = {"product_id": "CFQ7TTC0LDPB", "sku_id": "0001"}
SECRETS = {"client_id": "tieout-eu", "client_secret": "eu-s3cret"}
BOTH = {
    **SEED,
    "tenants": [
        *SEED["tenants"],
        {"id": EU, "name": "Partner EU", "applications": [SECRETS],
         "users": [{"upn": "admin@eu", "refresh_token": "eu-vaulted"}]},
    ],
    "customers": [
        *SEED["customers"],
        *({"id": i, "name": n, "tenant_id": EU, "country": "DE"}
          for i, n in ((CEDAR, "Cedar GmbH"), (DOGWOOD, "Dogwood AG"), (ELM, "Elm KG"))),
    ],
    "subscriptions": [
        *SEED["subscriptions"],
        {"id": SEATS, "customer_id": CEDAR, "product_id": "CFQ7TTC0LDPB",
         "name": "Business Premium", "term": "P1Y", "quantity": 10, "term_start": "2026-04-10",
         "currency": "EUR"},
    ],
    "price_sheet": [
        {"market": m, "currency": c, "product_id": "CFQ7TTC0LDPB", "sku_id": "0001",
         "product_title": "Business Premium", "unit_price": "18.04", "erp_price": "22.00",
         "effective_from": "2026-04-01"}
        for m, c in (("US", "USD"), ("DE", "EUR"))
    ],
}  # fmt: skip
AT_WORK = ("checks@eu", "syncs@eu", "sweeps@eu", "exports@eu", "orders@eu", "price-sheets@eu")


@pytest.fixture
async def two(
    fresh_database: FreshDatabase, provider_keys: Path, clock: FrozenClock
) -> AsyncIterator[Scene]:
    """The default account and `eu`, both registered for webhooks, neither synced."""
    accounts = {"eu": {"tenant_id": EU, "refresh_token": "eu-vaulted", **SECRETS}}
    given = {"ingest_accounts": accounts, "ingest_webhook_callback_url": CALLBACK}
    async with staged(fresh_database, provider_keys, clock, **given) as scene:
        await scene.partner.pull("PUT", "/state", BOTH)
        await scene.partner.switch(export_retry_after=0, price_sheets_need_user=True)
        for account in ({}, {"account_id": "eu"}):
            await scene.ingest.ok("POST", "/v1/webhook-registrations", json=account)
        yield scene


async def synced(scene: Scene, **account: str) -> dict[str, Any]:
    made = await scene.ingest.ok("POST", "/v1/syncs", json=account)
    await scene.ingest.work()
    row: dict[str, Any] = await scene.ingest.ok("GET", f"/v1/syncs/{made['id']}")
    return row


async def lock_out(scene: Scene) -> None:
    """The application of the EU tenant has another secret now, and old tokens are void."""
    tenant = scene.partner.simulator.shop.books.tenant(EU)
    assert tenant is not None
    tenant.applications[0].client_secret = "rotated"
    scene.partner.simulator.shop.login.expire_all()


async def let_in(scene: Scene) -> None:
    tenant = scene.partner.simulator.shop.books.tenant(EU)
    assert tenant is not None
    tenant.applications[0].client_secret = SECRETS["client_secret"]
    for table in ("sync", "export", "price_sheet_import", "subscription_check"):
        await scene.execute(f"UPDATE {table} SET due_at = now()")


async def test_each_account_mirrors_what_its_own_tenant_shows(two: Scene) -> None:
    """And facts name the tenant they come from."""
    await synced(two)
    await synced(two, account_id="eu")

    rows = (await two.ingest.ok("GET", "/v1/subscriptions"))["data"]
    assert {r["subscription_id"]: r["account_id"] for r in rows} == {
        ANNUAL: "default", MONTHLY: "default", SEATS: "eu",
    }  # fmt: skip
    only = await two.ingest.ok("GET", "/v1/subscriptions?account_id=eu")
    assert [r["subscription_id"] for r in only["data"]] == [SEATS]
    told = {(c.subscription_id, c.provider_account) for c in await two.changes()}
    assert told == {(ANNUAL, TENANT), (MONTHLY, TENANT), (SEATS, EU)}
    customers = await two.fetch("SELECT account_id, customer_id FROM customer")
    assert {(c["account_id"], c["customer_id"]) for c in customers} == {
        ("default", ALDER), ("default", BIRCH), ("eu", CEDAR), ("eu", DOGWOOD), ("eu", ELM),
    }  # fmt: skip


async def test_a_webhook_comes_to_its_own_account(two: Scene) -> None:
    """Registered below the default receiver, read with the account's own token."""
    await synced(two, account_id="eu")
    mark = len(await two.changes())

    await two.change(SEATS, quantity=14)
    await two.settle()

    [change] = (await two.changes())[mark:]
    assert (change.quantity_after, change.provider_account) == (14, EU)
    assert change.source.channel == "webhook"
    [delivery] = await deliveries(two)
    assert (delivery["account_id"], delivery["state"]) == ("eu", "done")
    shown = await two.ingest.ok("GET", f"/v1/changes/{change.change_id}")
    assert (shown["account_id"], shown["webhook"]["id"]) == ("eu", delivery["id"])
    assert shown["audit_record"] is not None


async def test_a_webhook_to_the_wrong_account_is_kept_and_not_applied(two: Scene) -> None:
    """The true one, which comes later to the right receiver, is no repeat of it."""
    await synced(two)
    body = json.dumps(event()).encode()
    headers = signed(two, body)

    wrong = await two.ingest.http.post("/webhooks/partner-center/eu", content=body, headers=headers)
    right = await two.ingest.http.post("/webhooks/partner-center", content=body, headers=headers)

    assert (wrong.status_code, wrong.json()["reason"]) == (202, "webhook_of_another_account")
    assert (right.status_code, right.json()["result"]) == (200, "accepted")
    asked = await two.fetch("SELECT account_id FROM subscription_check WHERE requested > handled")
    assert [row["account_id"] for row in asked] == ["default"]
    [kept] = (await two.ingest.ok("GET", "/v1/quarantine"))["data"]
    assert kept["source_id"] == wrong.json()["id"]
    assert f"subscription {ANNUAL} of account default" in kept["detail"]


async def test_a_webhook_about_something_unseen_ends_at_the_tenant_it_names(two: Scene) -> None:
    """Nobody has mirrored it, so the account asks, and its tenant does not know it."""
    body = json.dumps(event()).encode()

    answer = await two.ingest.http.post(
        "/webhooks/partner-center/eu", content=body, headers=signed(two, body)
    )
    await two.ingest.work()

    assert answer.status_code == 200
    [check] = (await two.ingest.ok("GET", "/v1/subscription-checks"))["data"]
    assert (check["account_id"], check["state"]) == ("eu", "pending")
    assert "no commerce relationship" in check["reason"]
    assert await two.changes() == []


async def test_a_receiver_of_no_account_does_not_exist(two: Scene) -> None:
    """Signed or not."""
    body = json.dumps(event()).encode()

    answer = await two.ingest.http.post(
        "/webhooks/partner-center/mars", content=body, headers=signed(two, body)
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "provider_account_unknown")
    assert await deliveries(two) == []


async def test_a_subscription_stays_with_the_account_that_sold_it(two: Scene) -> None:
    """Whatever another account's tenant shows under that id, it is told as a failure."""
    await synced(two)
    await two.execute(
        "UPDATE subscription SET account_id = 'eu' WHERE subscription_id = $1", ANNUAL
    )
    mark = len(await two.changes())
    await two.change(ANNUAL, quantity=50)

    row = await synced(two)

    assert row["state"] == "done"
    assert len(await two.changes()) == mark
    checks = (await two.ingest.ok("GET", "/v1/subscription-checks"))["data"]
    [check] = [c for c in checks if c["subscription_id"] == ANNUAL]
    assert check["account_id"] == "default"
    assert "subscription_of_another_account" in check["reason"]


async def test_a_new_subscription_that_cannot_be_told_leaves_nothing_half_done(
    two: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written of it before the refusal is taken back, and the others of its sweep stay."""
    observe = sweeping.observe

    async def refusing(tx: Transaction, observation: Observation, look: Look) -> Seen:
        seen = await observe(tx, observation, look)
        if observation.snapshot.subscription_id == ANNUAL:
            raise Invalid("number_malformed", "after its mirror was written")
        return seen

    monkeypatch.setattr(sweeping, "observe", refusing)
    await two.ingest.ok("POST", "/v1/syncs", json={})
    await two.ingest.work(SYNCS)
    await two.ingest.work(SWEEPS)

    assert [c.subscription_id for c in await two.changes()] == [MONTHLY]
    mirrored = await two.fetch("SELECT subscription_id FROM subscription")
    assert [row["subscription_id"] for row in mirrored] == [MONTHLY]
    asked = await two.fetch("SELECT subscription_id FROM subscription_check WHERE requested > 0")
    assert [row["subscription_id"] for row in asked] == [ANNUAL]


async def test_what_a_customer_bought_through_one_account_is_not_missed_by_the_other(
    two: Scene,
) -> None:
    """A customer may buy from both; each tenant lists its own subscriptions only."""
    await synced(two)
    await two.execute(
        "UPDATE subscription SET account_id = 'eu' WHERE subscription_id = $1", MONTHLY
    )
    books = two.partner.simulator.shop.books
    mark = len(await two.changes())
    listed = books._of_customer[ALDER]
    listed.remove(MONTHLY)

    row = await synced(two)

    assert (row["state"], row["differing"]) == ("done", 0)
    assert len(await two.changes()) == mark


async def test_the_same_invoice_number_of_two_tenants_is_two_files(two: Scene) -> None:
    """Each with its own lines; the default account's file is called as ever."""
    data = {
        "invoice_number": INVOICE, "billing_month": "2026-04", "currency": "EUR",
        "exchange_rate": "0.9", "exchange_rate_date": "2026-04-30",
    }  # fmt: skip
    own, eu = [line(1), line(2)], [line(3, customerId=CEDAR)]
    await two.partner.pull("POST", "/usage", {**data, "lines": own})
    await two.partner.pull("POST", "/usage", {**data, "lines": eu, "tenant_id": EU})
    order = {"kind": "billed", "invoice_number": INVOICE}
    for account in ({}, {"account_id": "eu"}):
        await two.ingest.ok("POST", "/v1/usage-exports", json=order | account)
    for _ in range(4):
        await two.ingest.work()
        await two.execute("UPDATE export SET due_at = now()")

    rows = (await two.ingest.ok("GET", "/v1/usage-exports"))["data"]
    assert {(r["account_id"], r["data_set"], r["state"]) for r in rows} == {
        ("default", f"billed/{INVOICE}", "done"), ("eu", f"eu/billed/{INVOICE}", "done"),
    }  # fmt: skip
    files = {f.data_set: (f.file_id, f.control.lines) for f in await closed(two)}
    assert len({file_id for file_id, _ in files.values()}) == 2
    assert {name: lines for name, (_, lines) in files.items()} == {
        f"billed/{INVOICE}": 2, f"eu/billed/{INVOICE}": 1,
    }  # fmt: skip
    assert [x.line_id for x in read(await batches(two))] == ["u1", "u3", "u2"]


@pytest.mark.parametrize("kind", ["usage", "reconciliation"])
@pytest.mark.parametrize(
    ("account", "job"), [({}, "exports"), ({"account_id": "eu"}, "exports@eu")]
)
async def test_an_export_that_is_asked_for_once_more_wakes_its_own_account(
    two: Scene, kind: str, account: dict[str, str], job: str
) -> None:
    """A job of that name there is, and the other account has nothing to do."""
    body = {"invoice_number": INVOICE, **({"kind": "billed"} if kind == "usage" else {})}
    made = await two.ingest.ok("POST", f"/v1/{kind}-exports", json=body | account)
    await two.execute("UPDATE export SET state = 'failed', reason = 'G', outcome = NULL")
    woken: list[set[str]] = []
    two.ingest.service.database.on_commit = lambda commit: woken.append(set(commit.jobs))

    await two.ingest.ok("POST", f"/v1/{kind}-exports/{made['id']}:retry")

    assert woken == [{job}]
    JobRunner(two.ingest.service.jobs).wake({job})


async def test_the_same_line_on_two_tenants_invoices_is_bought_twice(two: Scene) -> None:
    """Down to number, product and price: two ids, and neither withdraws the other."""
    data = {"invoice_number": INVOICE, "billing_month": "2026-04", "currency": "EUR",
            "allow_unknown": True, "lines": [RESERVATION]}  # fmt: skip
    for tenant in ({}, {"tenant_id": EU}):
        await two.partner.pull("POST", "/reconciliation", data | tenant)
    for account in ({}, {"account_id": "eu"}):
        body = {"invoice_number": INVOICE, **account}
        await two.ingest.ok("POST", "/v1/reconciliation-exports", json=body)
    await two.ingest.work()

    bought = await two.ingest.harness.published(ProviderPurchaseRecorded)
    assert {p.data_set for p in bought} == {f"billed/{INVOICE}", f"eu/billed/{INVOICE}"}
    assert len({p.purchase_id for p in bought}) == 2
    assert all(p.provider_subtotal != 0 for p in bought)


async def test_each_account_fetches_price_sheets_as_its_own_user(two: Scene) -> None:
    """Application tokens are refused there."""
    for body in ({"market": "US", "currency": "USD"},
                 {"market": "DE", "currency": "EUR", "account_id": "eu"}):  # fmt: skip
        await two.ingest.ok("POST", "/v1/price-sheets:import", json=body)
    await two.ingest.work()

    rows = (await two.ingest.ok("GET", "/v1/price-sheets"))["data"]
    assert {(r["account_id"], r["market"], r["state"], r["rows"]) for r in rows} == {
        ("default", "US", "done", 1), ("eu", "DE", "done", 1),
    }  # fmt: skip


async def test_a_refused_sign_in_stops_its_own_account_only(two: Scene) -> None:
    """Its work waits with the reason, and goes on when the sign-in works again."""
    await lock_out(two)
    theirs = await synced(two, account_id="eu")
    ours = await synced(two)

    assert (ours["state"], theirs["state"]) == ("done", "pending")
    assert "Invalid client secret" in theirs["reason"]
    assert {c.provider_account for c in await two.changes()} == {TENANT}

    await let_in(two)
    await two.ingest.work()

    row = await two.ingest.ok("GET", f"/v1/syncs/{theirs['id']}")
    assert (row["state"], row["account_id"]) == ("done", "eu")
    assert {c.provider_account for c in await two.changes()} == {TENANT, EU}


async def test_a_tenant_that_never_answers_keeps_no_worker_of_the_other(
    two: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its look hangs, and the default account's changes are published meanwhile."""
    await synced(two)
    await synced(two, account_id="eu")
    hangs, answers, whole = asyncio.Event(), asyncio.Event(), PartnerCenter.subscription

    async def slow(self: PartnerCenter, customer_id: str, subscription_id: str) -> Any:
        if subscription_id == SEATS:
            hangs.set()
            await answers.wait()
        return await whole(self, customer_id, subscription_id)

    monkeypatch.setattr(PartnerCenter, "subscription", slow)
    await two.change(SEATS, quantity=14)
    await two.change(ANNUAL, quantity=50)
    await two.partner.settled()
    mark = len(await two.changes())

    theirs = asyncio.create_task(two.ingest.work("checks@eu"))
    async with asyncio.timeout(20):
        await hangs.wait()
        await two.ingest.work("checks")
        assert [c.subscription_id for c in (await two.changes())[mark:]] == [ANNUAL]
        answers.set()
        await theirs
    assert [c.subscription_id for c in (await two.changes())[mark:]] == [ANNUAL, SEATS]


async def test_a_throttled_tenant_holds_back_its_own_requests_only(two: Scene) -> None:
    """Three customers are one too many for it; the other tenant's two are read at once."""
    await two.partner.switch(throttle_per_minute=2)
    async with asyncio.timeout(20):  # a minute, if the pause were for everybody
        theirs = await two.ingest.ok("POST", "/v1/syncs", json={"account_id": "eu"})
        await two.ingest.work("syncs@eu", "sweeps@eu")
        made = await two.ingest.ok("POST", "/v1/syncs", json={})
        await two.ingest.work("syncs", "sweeps")

    assert (await two.ingest.ok("GET", f"/v1/syncs/{made['id']}"))["state"] == "done"
    assert (await two.ingest.ok("GET", f"/v1/syncs/{theirs['id']}"))["state"] == "running"
    [waiting] = await two.fetch("SELECT reason FROM sync_customer WHERE state = 'pending'")
    assert "HTTP 429" in waiting["reason"]


async def test_watermarks_and_daily_syncs_are_per_account(two: Scene) -> None:
    """What one account has pulled says nothing of the other; who was never asked for is left."""
    await synced(two)
    await two.at("2026-04-15T02:00:00Z")
    await two.ingest.work()
    await synced(two, account_id="eu")

    accounts = (await two.ingest.ok("GET", "/v1/provider-accounts"))["data"]
    assert [(a["account_id"], a["tenant_id"], a["callback_url"]) for a in accounts] == [
        ("default", TENANT, CALLBACK), ("eu", EU, f"{CALLBACK}/eu"),
    ]  # fmt: skip
    assert [str(a["first_synced_at"])[:10] for a in accounts] == ["2026-04-14", "2026-04-15"]
    assert {a["records_until"] for a in accounts} == {date(2026, 4, 15).isoformat()}

    await two.at("2026-04-16T02:00:00Z")
    await two.ingest.work()
    rows = (await two.ingest.ok("GET", "/v1/syncs"))["data"]
    assert sorted((r["requested_at"][:10], r["account_id"], r["state"]) for r in rows) == [
        ("2026-04-14", "default", "done"),
        ("2026-04-15", "default", "done"),
        ("2026-04-15", "eu", "done"),
        ("2026-04-16", "default", "done"),
        ("2026-04-16", "eu", "done"),
    ]


async def test_an_order_goes_out_through_the_account_of_its_subscription(two: Scene) -> None:
    """Nobody has to say which."""
    await synced(two, account_id="eu")

    order_id = await place(two, {"kind": "quantity", "subscription_id": SEATS, "quantity": 12})
    row = await until_ended(two, order_id)

    assert (row["state"], row["account_id"]) == ("confirmed", "eu")
    last = (await two.changes())[-1]
    assert (last.quantity_after, last.source.order_id) == (12, order_id)


async def test_a_purchase_says_which_account_buys(two: Scene) -> None:
    """A customer of one tenant cannot buy through another."""
    wish = {"kind": "purchase", "customer_id": CEDAR, **PRODUCT, "availability_id": "CFQ7TTC0AAAA",
            "quantity": 3, "term": "P1Y", "billing_plan": "monthly"}  # fmt: skip

    bought = await until_ended(two, await place(two, wish | {"account_id": "eu"}))
    refused = await until_ended(two, await place(two, wish))

    assert (bought["state"], bought["account_id"]) == ("confirmed", "eu")
    assert (refused["state"], refused["account_id"]) == ("refused", "default")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/syncs", {}),
        ("/v1/price-sheets:import", {"market": "US", "currency": "USD"}),
        ("/v1/usage-exports", {"kind": "billed", "invoice_number": "G1"}),
        ("/v1/reconciliation-exports", {"invoice_number": "G1"}),
        ("/v1/webhook-registrations", {}),
        (
            "/v1/subscription-orders",
            {"kind": "purchase", "customer_id": CEDAR, **PRODUCT, "availability_id": "A",
             "quantity": 3, "term": "P1Y", "billing_plan": "monthly"},
        ),
    ],
)  # fmt: skip
async def test_an_account_nobody_configured_is_refused(
    two: Scene, path: str, body: dict[str, Any]
) -> None:
    """By the same code everywhere, with the names there are."""
    answer = await two.ingest.http.post(
        path, json=body | {"account_id": "mars"}, headers={"Idempotency-Key": "k"}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "provider_account_unknown")
    assert "known: default, eu" in answer.json()["detail"]


async def test_a_name_stays_with_its_tenant(two: Scene) -> None:
    """Under another tenant's name everything mirrored would be taken for gone."""
    await synced(two)
    await two.execute("UPDATE provider_account SET tenant_id = $1 WHERE account_id = 'default'", EU)

    row = await synced(two)

    assert row["state"] == "failed"
    assert "account_is_another_tenant" in row["reason"]


async def test_every_account_has_workers_for_every_kind_of_work(two: Scene) -> None:
    """Schedule and recovery are for all of them together."""
    names = [job.name for job in two.ingest.service.jobs]

    assert set(AT_WORK) <= set(names)
    assert (names.count("schedule"), names.count("recovery")) == (1, 1)
