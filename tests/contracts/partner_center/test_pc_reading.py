"""Reading: sign-in, paging, the activity log's range and filter, throttling."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from shared.kernel.clock import FrozenClock
from support.partner_center import ALDER, ANNUAL, BIRCH, SEED, TENANT, Partner


async def pages(partner: Partner, path: str, size: int) -> list[list[Any]]:
    """Every page of a seek-paged collection, following the token as the vendor demands."""
    found: list[list[Any]] = []
    document = await partner.get(f"{path}{'&' if '?' in path else '?'}size={size}")
    while True:
        found.append(document["items"])
        following = document["links"].get("next")
        if following is None:
            return found
        (header,) = following["headers"]
        joint = "&" if "?" in path else "?"
        document = await partner.get(
            f"{path}{joint}seekOperation=Next", **{header["key"]: header["value"]}
        )


async def test_nothing_is_answered_without_a_token_for_this_api(partner: Partner) -> None:
    """No token, a made-up one and a token for Graph are all refused."""
    graph = await partner.token("https://graph.microsoft.com")
    for header in ({}, {"authorization": "Bearer x"}, {"authorization": f"Bearer {graph}"}):
        answer = await partner.http.get("/partner-center/v1/customers", headers=header)
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("tenant", "form", "error"),
    [
        ("99999999-0000-4000-8000-000000000009", {}, "invalid_request"),
        (TENANT, {"client_secret": ""}, "invalid_client"),
        (TENANT, {"grant_type": "password"}, "unsupported_grant_type"),
        (TENANT, {"scope": "openid"}, "invalid_scope"),
        (TENANT, {"grant_type": "refresh_token", "refresh_token": "stolen"}, "invalid_grant"),
    ],
)
async def test_sign_in_refuses_as_documented(
    tenant: str, form: dict[str, str], error: str, partner: Partner
) -> None:
    """Each mistake has its OAuth error."""
    given = {
        "grant_type": "client_credentials",
        "client_id": "tieout",
        "client_secret": "x",
        "scope": "https://api.partnercenter.microsoft.com/.default",
    }
    path = f"/login/{tenant}/oauth2/v2.0/token"
    answer = await partner.http.post(path, data=given | form)
    assert (error, True) == (answer.json()["error"], answer.status_code in (400, 401))


async def test_listed_applications_are_the_only_ones(partner: Partner) -> None:
    """Once a tenant names its applications, others are strangers."""
    application = {"client_id": "tieout", "client_secret": "s3cret"}
    seed = {**SEED, "tenants": [{"id": TENANT, "applications": [application]}]}
    await partner.pull("PUT", "/state", seed)
    await partner.token("https://graph.microsoft.com")
    with pytest.raises(AssertionError, match="AADSTS7000215"):
        await partner.token("https://graph.microsoft.com", client_secret="wrong")


async def test_expired_tokens_are_refused(partner: Partner) -> None:
    """A story can end the life of all tokens at once."""
    await partner.get("/v1/customers")
    await partner.pull("POST", "/tokens/expire")
    assert (await partner.call("GET", "/v1/customers")).status_code == 401


async def test_customers_come_page_by_page(partner: Partner) -> None:
    """The token travels in a header; the last page has no next link."""
    found = await pages(partner, "/v1/customers", 1)
    assert [[c["id"] for c in page] for page in found] == [[ALDER], [BIRCH]]


async def test_a_next_page_without_its_token_is_refused(partner: Partner) -> None:
    """The query alone does not turn the page."""
    answer = await partner.call("GET", "/v1/customers?seekOperation=Next")
    assert answer.status_code == 400


async def test_records_that_appear_between_two_pages_neither_repeat_nor_hide_others(
    partner: Partner,
) -> None:
    """The position is a record, not a number."""
    for quantity in (41, 42, 43):
        await partner.pull("POST", "/changes", {"subscription_id": ANNUAL, "quantity": quantity})
    first = await partner.get("/v1/auditrecords?size=2")
    await partner.pull("POST", "/changes", {"subscription_id": ANNUAL, "quantity": 44})
    (header,) = first["links"]["next"]["headers"]
    second = await partner.get(
        "/v1/auditrecords?seekOperation=Next", **{header["key"]: header["value"]}
    )
    ids = [r["id"] for r in (*first["items"], *second["items"])]
    assert (len(ids), len(set(ids))) == (3, 3)


async def test_the_activity_log_filters_by_day_customer_and_resource(
    partner: Partner, clock: FrozenClock
) -> None:
    """Days are inclusive; the filter is JSON in the query."""
    await partner.pull("POST", "/changes", {"subscription_id": ANNUAL, "quantity": 41})
    clock.set(datetime(2026, 4, 20, tzinfo=UTC))
    await partner.pull("POST", "/changes", {"subscription_id": ANNUAL, "quantity": 42})
    one_day = await partner.audit("startDate=2026-04-14&endDate=2026-04-14")
    assert [r["operationDate"] for r in one_day] == ["2026-04-14T09:12:00.0000000Z"]
    for field, value, count in (
        ("CustomerId", ALDER, 2),
        ("CustomerId", BIRCH, 0),
        ("ResourceType", "subscription", 2),
    ):
        wanted = quote(json.dumps({"Field": field, "Value": value, "Operator": "equals"}))
        assert len(await partner.audit(f"filter={wanted}")) == count


async def test_the_activity_log_reaches_90_days_back(partner: Partner, clock: FrozenClock) -> None:
    """An older start is refused, whatever is stored."""
    clock.set(datetime(2026, 7, 31, tzinfo=UTC))
    assert (await partner.call("GET", "/v1/auditrecords?startDate=2026-05-02")).status_code == 200
    assert (await partner.call("GET", "/v1/auditrecords?startDate=2026-05-01")).status_code == 400


async def test_too_many_requests_are_told_how_long_to_wait(partner: Partner) -> None:
    """Every subscription request counts; the answer names the seconds twice."""
    await partner.switch(throttle_per_minute=3)
    for _ in range(3):
        await partner.subscription()
    answer = await partner.call("GET", f"/v1/customers/{ALDER}/subscriptions")
    wait = int(answer.headers["retry-after"])
    assert (answer.status_code, 1 <= wait <= 60) == (429, True)
    assert answer.json()["message"] == f"Rate limit is exceeded. Try again in {wait} seconds."
    assert (await partner.call("GET", "/v1/customers")).status_code == 200


async def test_a_call_that_does_not_exist_is_recorded_as_the_clients_mistake(
    partner: Partner,
) -> None:
    """The answer is the vendor's; the violation tells the developer."""
    answer = await partner.call("GET", "/v1/customer")
    assert (answer.status_code, answer.json()["code"]) == (404, 1000)
    (violation,) = (await partner.pull("GET", "/violations"))["violations"]
    assert violation["side"] == "client"


async def test_every_answer_carries_the_tracing_headers(partner: Partner) -> None:
    """The caller's correlation id comes back."""
    given = {"MS-CorrelationId": "5b1e0000-0000-4000-8000-000000000001"}
    answer = await partner.call("GET", "/v1/customers", headers=given)
    assert answer.headers["ms-correlationid"] == given["MS-CorrelationId"]
    assert answer.headers["ms-requestid"]
