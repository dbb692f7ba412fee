"""The HTTP face of rating: what it accepts, what it refuses, and how it pages."""

from __future__ import annotations

from typing import Any

import pytest

from shared.runtime.web import encode_cursor
from support.in_process import InProcess, in_process
from support.rating_facts import (
    PREMIUM,
    PREMIUM_MONTHLY,
    alder_changes,
    contract,
    cycle_closed,
    sheet,
)
from support.rating_service import tell

ALDER = contract()
ALDER_SHEET = sheet([(PREMIUM, "18.04", "22.55"), (PREMIUM_MONTHLY, "21.65", "27.06")])


def rule_body(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "valid_from": "2026-04-01",
        "scope": {"kind": "licence", "contract_id": "ALD-1", "product_key": PREMIUM.key},
        "price": {"kind": "fixed", "amount": "22.55", "currency": "USD"},
    }
    return body | changes


async def test_rules_are_versions(rating: InProcess) -> None:
    """New content is a new version, a repeat is the version it repeats, old ones stay readable."""
    path = "/v1/price-rules/ALD-PREMIUM"
    first = await rating.ok("PUT", path, json=rule_body())
    again = await rating.ok("PUT", path, json=rule_body())
    dearer = {"kind": "fixed", "amount": "23.00", "currency": "USD"}
    second = await rating.ok("PUT", path, json=rule_body(price=dearer))
    back = await rating.ok("PUT", path, json=rule_body())
    assert [first["version"], again["version"], second["version"], back["version"]] == [1, 1, 2, 3]
    assert (first["rule_id"], first["text"]) == ("ALD-PREMIUM", "fixed 22.55 USD")
    page = await rating.ok("GET", "/v1/price-rules?limit=2")
    rest = await rating.ok("GET", f"/v1/price-rules?limit=2&cursor={page['next_cursor']}")
    assert [r["version"] for r in page["data"] + rest["data"]] == [1, 2, 3]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("kind", "price"),
    [
        ("licence", {"kind": "list"}),
        ("licence", {"kind": "cost_plus", "percent": "18"}),
        ("licence", {"kind": "discount", "percent": "2.5"}),
        ("usage", {"kind": "usage_markup", "percent": "10", "pec_share": "1/3", "base": "cost"}),
        ("usage", {"kind": "usage_markup", "percent": "-5"}),
        ("purchase", {"kind": "fixed", "amount": 70, "currency": "EUR"}),
        ("minimum", {"kind": "minimum", "amount": "25.00", "currency": "EUR"}),
    ],
)
async def test_every_kind_of_price_is_accepted(
    rating: InProcess, kind: str, price: dict[str, Any]
) -> None:
    """And answered with what was sent, defaults filled in."""
    scope = {"kind": kind, "customer_id": "birch-tenant", "azure_subscription_id": "AZ-2"}
    told = await rating.ok("PUT", "/v1/price-rules/r", json=rule_body(scope=scope, price=price))
    assert told["scope"] == scope
    assert told["price"].items() >= {k: str(v) for k, v in price.items()}.items()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": {"kind": "fixed", "amount": 22.55, "currency": "USD"}}, "request_invalid"),
        ({"price": {"kind": "fixed", "amount": "-1", "currency": "USD"}}, "request_invalid"),
        ({"price": {"kind": "fixed", "amount": "NaN", "currency": "USD"}}, "request_invalid"),
        ({"price": {"kind": "fixed", "amount": "1e400", "currency": "USD"}}, "request_invalid"),
        ({"price": {"kind": "fixed", "amount": "1", "currency": "usd"}}, "request_invalid"),
        ({"price": {"kind": "barter"}}, "request_invalid"),
        (
            {"price": {"kind": "minimum", "amount": "1", "currency": "USD"}},
            "price_kind_not_allowed",
        ),
        ({"price": {"kind": "list"}, "surprise": 1}, "request_invalid"),
        ({"valid_until": "2026-04-01"}, "validity_empty"),
        ({"valid_from": "yesterday"}, "request_invalid"),
        (
            {
                "scope": {"kind": "usage"},
                "price": {"kind": "usage_markup", "percent": "1", "pec_share": "4/3"},
            },
            "request_invalid",
        ),
        (
            {
                "scope": {"kind": "usage"},
                "price": {"kind": "usage_markup", "percent": "1", "pec_share": "1/0"},
            },
            "request_invalid",
        ),
    ],
)
async def test_bad_rules_are_refused(rating: InProcess, changes: dict[str, Any], code: str) -> None:
    """With one error shape, and nothing kept."""
    answer = await rating.http.put("/v1/price-rules/r", json=rule_body(**changes))
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (await rating.ok("GET", "/v1/price-rules"))["data"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("USD-EUR/2026-04-30", {"rate": "0", "source": "ECB"}),
        ("USD-EUR/2026-04-30", {"rate": 0.9, "source": "ECB"}),
        ("usd-eur/2026-04-30", {"rate": "0.9", "source": "ECB"}),
        ("USD-EUR/30.04.2026", {"rate": "0.9", "source": "ECB"}),
        ("USD-EUR/2026-04-30", {"rate": "0.9"}),
    ],
)
async def test_bad_rates_are_refused(rating: InProcess, path: str, body: dict[str, Any]) -> None:
    """A rate is positive, exact, dated and says where it is from."""
    answer = await rating.http.put(f"/v1/fx-rates/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


async def test_rates_are_versions(rating: InProcess) -> None:
    """Another rate for the same day is a new version; a repeat is not."""
    path = "/v1/fx-rates/USD-EUR/2026-04-30"
    versions = []
    for rate in ("0.92", "0.92", "0.93"):
        told = await rating.ok("PUT", path, json={"rate": rate, "source": "ECB"})
        versions.append((told["version"], told["rate"]))
    assert versions == [(1, "0.92"), (1, "0.92"), (2, "0.93")]


async def test_lists_page_to_the_end(rating: InProcess) -> None:
    """Charges, log and holds one row at a time: the same rows as at once."""
    await tell(rating, [ALDER_SHEET, ALDER, *alder_changes(), cycle_closed(ALDER, "2026-05-01")])
    names = {"change_id": "oX", "customer_id": "x", "subscription_id": "X"}
    strangers = [names, {name: f"{value}2" for name, value in names.items()}]
    await tell(rating, [alder_changes()[0].model_copy(update=given) for given in strangers])
    for path, expected in (
        ("/v1/charges?contract_id=ALD-1", 4),
        ("/v1/licence-changes?contract_id=ALD-1", 4),
        ("/v1/holds?", 2),
    ):
        whole = await rating.ok("GET", path)
        assert (len(whole["data"]), whole["next_cursor"]) == (expected, None)
        rows, cursor = [], ""
        while True:
            page = await rating.ok("GET", f"{path}&limit=1{cursor}")
            rows += page["data"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert rows == whole["data"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/charges/none",
        "/v1/charges/none/explain",
        "/v1/charges/none/usage-lines",
        "/v1/usage-files/none",
        "/v1/usage-files/none/lines/1",
    ],
)
async def test_unknown_things_are_not_found(rating: InProcess, path: str) -> None:
    """404 as a problem with a stable code."""
    answer = await rating.http.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"].endswith("_unknown")


@pytest.mark.parametrize(
    "path",
    [
        "charges/a%00b",
        "charges?contract_id=%00",
        "usage-files/%00",
        "licence-changes?contract_id=%00",
    ],
)
async def test_text_that_no_database_takes_is_refused(rating: InProcess, path: str) -> None:
    """A zero byte is the caller's mistake."""
    answer = await rating.http.get(f"/v1/{path}")
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


@pytest.mark.parametrize(
    "cursor",
    ["!", encode_cursor(1), encode_cursor(1, 2), encode_cursor("x", "y"), encode_cursor({}, [])],
)
async def test_foreign_cursors_are_refused(rating: InProcess, cursor: str) -> None:
    """Never an internal error, whatever is sent as a cursor."""
    for path in ("/v1/charges?contract_id=x", "/v1/holds?", "/v1/price-rules?"):
        answer = await rating.http.get(f"{path}&cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")


async def test_a_licence_charge_has_no_usage_lines(rating: InProcess) -> None:
    """Asking for them says so."""
    await tell(rating, [ALDER_SHEET, ALDER, *alder_changes()])
    charge = (await rating.ok("GET", "/v1/charges?contract_id=ALD-1"))["data"][0]
    answer = await rating.http.get(f"/v1/charges/{charge['charge_id']}/usage-lines")
    assert (answer.status_code, answer.json()["code"]) == (404, "charge_without_usage")


async def test_prices_need_their_scope(rating: InProcess) -> None:
    """Who may read may not price."""
    async with in_process(rating.service, rating.clock, scopes="billing:read") as reader:
        assert (await reader.http.get("/v1/holds")).status_code == 200
        rule = await reader.http.put("/v1/price-rules/r", json=rule_body())
        body = {"rate": "1", "source": "x"}
        rate = await reader.http.put("/v1/fx-rates/USD-EUR/2026-04-30", json=body)
    assert (rule.status_code, rate.status_code) == (403, 403)


async def test_every_decision_is_in_the_trail(rating: InProcess) -> None:
    """Who entered the rule, what was rated, what was logged, what a run was told."""
    await rating.ok("PUT", "/v1/price-rules/r", json=rule_body())
    await tell(rating, [ALDER_SHEET, ALDER, *alder_changes(), cycle_closed(ALDER, "2026-05-01")])
    async with rating.service.database.read() as reader:
        rows = await reader.fetch("SELECT actor, action, object FROM audit ORDER BY seq")
    found = [(row["actor"], row["action"], row["object"]) for row in rows]
    assert found[0] == ("tester", "price_rule.entered", "price-rule/r")
    assert {action for _, action, _ in found} == {
        "price_rule.entered", "charges.rated", "licence_change.logged", "cycle.rated",
    }  # fmt: skip
