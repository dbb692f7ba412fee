"""The HTTP face: parties and their versions, refusals by code, explanations, pages."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.contracts.invoicing import AccountChanged, ContractChanged
from support.billing_facts import charge, day, revised, seats, seats_changed, usage
from support.invoicing_world import ACCOUNT, CONTRACT, ONBOARDING, SELLER, World

MAY = ("2026-05-01", "2026-06-01")
APRIL = ("2026-04-01", "2026-05-01")


async def refused(world: World, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = await world.process.http.request(method, path, json=body)
    return answer.status_code, answer.json()["code"]


async def test_a_contract_is_published_once_per_change(world: World) -> None:
    """The same PUT again makes no version; a real change makes one, with everything in it."""
    await world.seller()
    await world.account()

    first = await world.contract()
    await world.contract()
    third = await world.contract(ends_on="2027-05-01", subscription_ids=["sub-1", "sub-2"])

    assert (first["version"], third["version"]) == (1, 2)
    assert first["next_invoice_date"] == "2027-07-01"
    events = await world.harness.published(ContractChanged)
    assert [event.version for event in events] == [1, 2]
    assert events[1].subscription_ids == ("sub-1", "sub-2")
    assert events[0].billed_through == day("2026-05-01")
    assert third | {"next_invoice_date": None} == await world.get("/v1/contracts/ALD-1")


async def test_billed_through_is_the_start_unless_told_otherwise(world: World) -> None:
    """A new customer: nothing was billed elsewhere."""
    await world.seller()
    await world.account()
    body = {name: value for name, value in CONTRACT.items() if name != "billed_through"}

    kept = await world.put("/v1/contracts/ALD-1", body)

    assert kept["billed_through"] == "2026-04-01"


async def test_an_account_is_published_once_per_change(world: World) -> None:
    """Silence when nothing changed."""
    await world.seller()

    await world.account()
    await world.account()
    await world.account(name="Alder Dental Group")

    events = await world.harness.published(AccountChanged)
    assert [event.name for event in events] == ["Alder Dental", "Alder Dental Group"]


async def test_terms_are_fixed_by_the_first_run(world: World) -> None:
    """After that a contract can be ended, not rewritten."""
    await world.alder()
    await world.request("2026-05-01", "ALD-1")

    answer = await refused(world, "PUT", "/v1/contracts/ALD-1", CONTRACT | {"anchor_day": 2})

    assert answer == (409, "terms_fixed")
    assert (await world.contract(ends_on="2027-01-01"))["version"] == 2


async def test_a_contract_chooses_its_convention(world: World) -> None:
    """Kept under its one name, whatever order the options came in; the default is days/v1."""
    await world.alder()
    chosen = "days/v1;rounding=down;zone=America/New_York"

    told = await world.contract(convention=chosen)

    assert told["convention"] == "days/v1;zone=America/New_York;rounding=down"
    published = await world.harness.published(ContractChanged)
    assert [c.convention for c in published] == ["days/v1", told["convention"]]
    answer = await refused(
        world, "PUT", "/v1/contracts/ALD-1", CONTRACT | {"convention": "days-inclusive/v1"}
    )
    assert answer == (422, "convention_unknown")


async def test_a_contract_tells_whose_price_sheets_count(world: World) -> None:
    """Also after the first run: a contract that is asked for its market can answer."""
    await world.alder()
    await world.request("2026-05-01", "ALD-1")

    told = await world.contract(market="NL")

    published = await world.harness.published(ContractChanged)
    assert [c.market for c in published] == [None, "NL"]
    assert (told["market"], (await world.contract(market="NL"))["version"]) == ("NL", 2)


async def test_prefixes_belong_to_one_seller_and_stay_once_used(world: World) -> None:
    """Numbers must never be ambiguous."""
    await world.alder()
    assert (await world.seller(invoice_prefix="ALDER-"))["invoice_prefix"] == "ALDER-"
    await world.bill("2026-05-01", [charge("x", "10")])

    taken = await refused(
        world, "PUT", "/v1/selling-entities/other", SELLER | {"invoice_prefix": "ALDER-"}
    )
    used = await refused(world, "PUT", "/v1/selling-entities/harbor-us", SELLER)
    wrong = await refused(
        world, "PUT", "/v1/selling-entities/other", SELLER | {"invoice_prefix": "X1"}
    )

    assert taken == (409, "invoice_prefix_taken")
    assert used == (409, "invoice_prefix_in_use")
    assert wrong == (422, "invoice_prefix_invalid")


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/accounts/a", ACCOUNT | {"selling_entity_id": "x"}, (422, "selling_entity_unknown")),
        ("/v1/accounts/a", ACCOUNT | {"currency": "usd"}, (422, "request_invalid")),
        ("/v1/accounts/a", ACCOUNT | {"colour": "red"}, (422, "request_invalid")),
        ("/v1/accounts/a", ACCOUNT | {"name": "a\u0000b"}, (422, "request_invalid")),
        ("/v1/contracts/c", CONTRACT | {"account_id": "x"}, (422, "account_unknown")),
        ("/v1/contracts/c", CONTRACT | {"anchor_day": 32}, (422, "request_invalid")),
        ("/v1/contracts/c", CONTRACT | {"starts_on": "9999-12-31"}, (422, "request_invalid")),
        (
            "/v1/contracts/c",
            CONTRACT | {"ends_on": "2026-04-01"},
            (422, "contract_ends_before_start"),
        ),
        ("/v1/selling-entities/s", SELLER | {"tax_mode": "per_day"}, (422, "request_invalid")),
        (
            "/v1/selling-entities/s",
            SELLER | {"invoice_prefix": "A\u0000-"},
            (422, "invoice_prefix_invalid"),
        ),
    ],
)
async def test_what_cannot_be_kept_is_refused_by_code(
    world: World, path: str, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Nothing half-kept, nothing published."""
    await world.alder()
    mark = await world.harness.mark()

    assert await refused(world, "PUT", path, body) == expected
    assert await world.harness.outbox(after=mark) == []


async def test_one_time_items_are_added_once(world: World) -> None:
    """201, then 200; other content under the same id is a conflict; numbers with fractions too."""
    await world.alder()
    path = "/v1/contracts/ALD-1/one-time-items"

    first = await world.process.http.post(path, json=ONBOARDING)
    again = await world.process.http.post(path, json=ONBOARDING | {"unit_price": "150"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["cost_currency"] == "USD"
    assert await refused(world, "POST", path, ONBOARDING | {"unit_price": "151"}) == (
        409,
        "item_changed",
    )
    assert await refused(world, "POST", path, ONBOARDING | {"unit_price": 150.5}) == (
        422,
        "request_invalid",
    )
    assert await refused(
        world, "POST", path, ONBOARDING | {"item_id": "big", "unit_price": "1e14", "quantity": "10"}
    ) == (422, "amount_out_of_bounds")
    assert await refused(world, "POST", "/v1/contracts/none/one-time-items", ONBOARDING) == (
        404,
        "contract_unknown",
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"invoice_date": "2026-05-02", "contract_ids": ["ALD-1"]}, (422, "not_an_invoice_date")),
        ({"invoice_date": "2026-05-01", "contract_ids": ["none"]}, (404, "contract_unknown")),
        ({"invoice_date": "2027-07-01"}, (422, "invoice_date_in_future")),
        ({"invoice_date": "May"}, (422, "request_invalid")),
        ({}, (422, "request_invalid")),
    ],
)
async def test_requests_for_impossible_runs_are_refused_by_code(
    world: World, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Whatever is asked of a named contract is answered; nothing is started."""
    await world.alder()

    assert await refused(world, "POST", "/v1/invoice-runs", body) == expected
    assert (await world.get("/v1/invoice-runs"))["data"] == []


async def test_a_date_may_be_invoiced_from_its_first_moment(world: World) -> None:
    """Not a second earlier: the day has not begun."""
    await world.alder()
    body = {"invoice_date": "2026-05-01", "contract_ids": ["ALD-1"]}

    world.clock.set(datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC))
    early = await refused(world, "POST", "/v1/invoice-runs", body)
    world.clock.set(datetime(2026, 5, 1, tzinfo=UTC))
    answer = await world.process.http.post("/v1/invoice-runs", json=body)

    assert early == (422, "invoice_date_in_future")
    assert answer.status_code == 202


async def test_a_request_for_everybody_finds_the_due_ones_and_names_the_hopeless(
    world: World,
) -> None:
    """Contracts with another date are left alone; one with years of missed dates is named, and
    the others run."""
    await world.alder()
    await world.contract("MID", anchor_day=15, billed_through="2026-04-15")
    await world.contract("OLD", starts_on="2019-01-01", billed_through="2019-01-01")

    answer = await world.process.ok("POST", "/v1/invoice-runs", json={"invoice_date": "2026-05-01"})

    assert [run["contract_id"] for run in answer["data"]] == ["ALD-1"]
    assert [(one["contract_id"], one["code"]) for one in answer["refused"]] == [
        ("OLD", "too_many_missed_dates")
    ]


async def test_a_licence_line_explains_itself(world: World) -> None:
    """Line → charge as rated → price and days → change; tax; run; addresses of the next links."""
    await world.alder()
    e1 = seats_changed(
        "e1",
        added=5,
        unit_price="22.55",
        effective="2026-04-14",
        cycle=APRIL,
        source_ids=("change-e1",),
    )
    await world.bill("2026-05-01", [e1])

    found = await world.get("/v1/invoices/HUS-000001/lines/1/explain")

    assert (found["line"]["net"], found["line"]["tax"]) == ("63.89", "5.67")
    assert found["charge"] == e1.model_dump(mode="json")
    proration = found["charge"]["proration"]
    assert (proration["days"], proration["cycle_days"]) == (17, 30)
    assert found["charge"]["price"]["rule_id"] == "ALD-PRICE"
    assert found["line"]["net_exact"] == "63.891666666666666667"
    assert found["tax"]["rate_id"] == "rate-licence"
    assert found["run"]["closed"] == {"start": "2026-04-01", "end": "2026-05-01"}
    assert found["corrects"] is None
    assert found["links"] == [
        {"what": "charge", "service": "rating", "path": "/v1/charges/e1/explain"},
        {"what": "provider change", "service": "ingest", "path": "/v1/changes/change-e1"},
        {
            "what": "tax determination",
            "service": "tax",
            "path": f"/v1/determinations/{found['invoice']['invoice_id']}",
        },
    ]


async def test_a_correction_explains_what_it_corrects(world: World) -> None:
    """Each line shows the revision it billed, and both list every line of the charge."""
    await world.alder()
    before = seats("A", quantity=43, unit_price="22.55", service=MAY)
    await world.bill("2026-05-01", [before])
    await world.bill("2026-06-01", [revised(before, quantity=44)])

    first = await world.get("/v1/invoices/HUS-000001/lines/1/explain")
    second = await world.get("/v1/invoices/HUS-000002/lines/1/explain")

    assert (first["charge"]["revision"], second["charge"]["revision"]) == (1, 2)
    assert (first["corrects"], second["corrects"]) == (None, "HUS-000001/1")
    assert first["billed_by"] == second["billed_by"]
    assert [(one["invoice_number"], one["net"]) for one in second["billed_by"]] == [
        ("HUS-000001", "969.65"),
        ("HUS-000002", "22.55"),
    ]


async def test_usage_and_one_time_lines_explain_themselves(world: World) -> None:
    """Usage leads to lines and files; a one-time item has no charge."""
    await world.alder()
    await world.item()
    one = usage(
        "u",
        "5.00",
        azure="AZ-1",
        category="Storage",
        contract_id="ALD-1",
        currency="USD",
        cost_currency="USD",
        bill_on=day("2026-05-01"),
    )
    await world.bill("2026-05-01", [one])

    by_usage = await world.get("/v1/invoices/HUS-000001/lines/1/explain")
    by_item = await world.get("/v1/invoices/HUS-000001/lines/2/explain")

    assert "/v1/charges/u/usage-lines" in [link["path"] for link in by_usage["links"]]
    assert (by_item["charge"], by_item["line"]["item_id"]) == (None, "o1")
    assert by_item["billed_by"] == []


async def test_a_draft_shows_its_lines_before_tax(world: World) -> None:
    """No number, no tax, no total; the line explains itself already."""
    await world.alder()
    [run] = await world.request("2026-05-01")
    await world.rated(run["run_id"], "2026-05-01", [charge("x", "10")])

    draft = await world.invoice_of("ALD-1", "2026-05-01")
    found = await world.get(f"/v1/invoices/{draft['invoice_id']}/lines/1/explain")

    assert (draft["state"], draft["run_state"]) == ("draft", "tax_requested")
    assert (draft["number"], draft["tax"], draft["total"]) == (None, None, None)
    assert [line["net"] for line in draft["lines"]] == ["10.00"]
    assert (found["tax"], found["charge"]["charge_id"]) == (None, "x")


async def test_what_is_not_there_is_not_found(world: World) -> None:
    """By code, for every kind of thing."""
    await world.alder()
    await world.bill("2026-05-01", [charge("x", "10")])

    assert await refused(world, "GET", "/v1/invoices/none") == (404, "invoice_unknown")
    assert await refused(world, "GET", "/v1/invoices/HUS-000001/lines/9/explain") == (
        404,
        "line_unknown",
    )
    assert await refused(world, "GET", "/v1/invoice-runs/none") == (404, "run_unknown")
    assert await refused(world, "GET", "/v1/contracts/none") == (404, "contract_unknown")
    assert await refused(world, "GET", "/v1/accounts/none") == (404, "account_unknown")
    assert await refused(world, "GET", "/v1/selling-entities/none") == (
        404,
        "selling_entity_unknown",
    )
    assert await refused(world, "POST", "/v1/invoices/none:retry-tax") == (404, "invoice_unknown")


async def pages(world: World, path: str, key: str) -> list[str]:
    found, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        answer = await world.get(path, **params)
        found += [row[key] for row in answer["data"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            return found


async def test_every_list_is_paged_without_gaps_or_repeats(world: World) -> None:
    """Five of each, two a page."""
    await world.alder()
    names = [f"C-{number}" for number in range(5)]
    for number, name in enumerate(names):
        await world.account(name)
        await world.contract(name, account_id=name)
        await world.item("ALD-1", item_id=name)
        world.clock.set(datetime(2027, 6, 30, 7, number, tzinfo=UTC))
        [run] = await world.request("2026-05-01", name)
        await world.rated(
            run["run_id"],
            "2026-05-01",
            [charge(name, "1", contract_id=name)],
            amount=Decimal(1 + number % 2),
        )

    sellers = [f"s{number}" for number in range(4)]
    for number, name in enumerate(sellers):
        body = SELLER | {"invoice_prefix": f"S{number}-"}
        await world.put(f"/v1/selling-entities/{name}", body)
    sellers = ["harbor-us", *sellers]

    held = [row["key"] for row in await world.holds()]

    assert await pages(world, "/v1/selling-entities", "selling_entity_id") == sellers
    assert await pages(world, "/v1/accounts", "account_id") == [*names, "alder"]
    assert await pages(world, "/v1/contracts", "contract_id") == ["ALD-1", *names]
    assert sorted(await pages(world, "/v1/invoice-runs", "contract_id")) == names
    assert sorted(await pages(world, "/v1/invoices", "contract_id")) == names[::2]
    assert await pages(world, "/v1/holds", "key") == held == ["C-1", "C-3"]
    assert await pages(world, "/v1/contracts/ALD-1/one-time-items", "item_id") == names


async def test_lists_are_filtered(world: World) -> None:
    """By account, contract, date and state."""
    await world.alder()
    await world.contract("ALD-2")
    await world.bill("2026-05-01", [charge("x", "10")])
    await world.bill("2026-05-01", [charge("y", "11", contract_id="ALD-2")], "ALD-2")

    async def numbers(**wanted: str) -> list[str]:
        return [one["number"] for one in (await world.get("/v1/invoices", **wanted))["data"]]

    assert await numbers(contract_id="ALD-2") == ["HUS-000002"]
    assert sorted(await numbers(account_id="alder")) == ["HUS-000001", "HUS-000002"]
    assert await numbers(invoice_date="2026-06-01") == []
    assert await numbers(state="draft") == []
    runs = await world.get("/v1/invoice-runs", state="finalised", contract_id="ALD-1")
    assert len(runs["data"]) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/v1/invoices", "/v1/invoice-runs", "/v1/holds", "/v1/contracts", "/v1/accounts",
        "/v1/selling-entities",
    ],
)  # fmt: skip
async def test_a_cursor_of_another_list_is_refused(world: World, path: str) -> None:
    """Never a wrong page, never an internal error."""
    for cursor in ("nonsense", "WzFd", "WyJhIiwiYiIsImMiXQ", "WyJcdTAwMDAiLCAiYiJd", "e30"):
        assert await refused(world, "GET", f"{path}?cursor={cursor}") == (422, "cursor_invalid")


async def test_every_operation_asks_for_a_caller(world: World) -> None:
    """None is open; what the runtime does with scopes is tested there."""
    document = await world.get("/openapi.json")

    open_operations = [
        f"{method} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if not operation.get("security")
    ]

    assert open_operations == []
