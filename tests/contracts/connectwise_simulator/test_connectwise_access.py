"""Getting in: discovery of the codebase, keys, client id, versions, what does not exist."""

from __future__ import annotations

from typing import Any

import httpx
import pytest


async def test_discovery_names_the_codebase(client: Any) -> None:
    """The base URL is host + codebase + apis/3.0."""
    answer = await client.http.get("/connectwise/login/companyinfo/MSP")

    assert answer.json()["Codebase"] == "v2025_1/"
    assert set(answer.json()) == {
        "CompanyName",
        "Codebase",
        "VersionCode",
        "VersionNumber",
        "CompanyID",
        "IsCloud",
    }


async def test_discovery_of_an_unknown_company_is_null(client: Any) -> None:
    """200 and JSON null, not an error."""
    answer = await client.http.get("/connectwise/login/companyinfo/nobody")

    assert (answer.status_code, answer.json()) == (200, None)


async def test_after_an_upgrade_the_old_codebase_is_gone(client: Any) -> None:
    """404 in plain text on the old path, success on the path that discovery names now."""
    await client.control("PATCH", "/tenant", {"codebase": "v2025_2/"})
    status, text, _ = await client.api("GET", "/system/info")
    client.codebase = "v2025_2/"
    after, info, _ = await client.api("GET", "/system/info")

    assert (status, text) == (404, "Cannot route. Codebase/company is invalid.")
    assert (after, info["isCloud"]) == (200, True)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"authorization": "Basic bXNwK3B1Yjp3cm9uZw=="}, id="wrong private key"),
        pytest.param({"authorization": "Bearer x"}, id="not basic"),
        pytest.param({"clientid": ""}, id="no client id"),
    ],
)
async def test_wrong_credentials_are_unauthorized(client: Any, headers: dict[str, str]) -> None:
    """All three parts are needed: company and keys, basic scheme, client id."""
    status, error, _ = await client.api("GET", "/system/info", headers=headers)

    assert (status, error["code"]) == (401, "Unauthorized")


async def test_version_in_accept_is_echoed(client: Any) -> None:
    """The media type of the answer carries the pinned version, beside an id for support."""
    accept = {"accept": "application/vnd.connectwise.com+json; version=2025.1"}

    _, _, headers = await client.api("GET", "/system/info", headers=accept)

    assert "version=2025.1" in headers["content-type"]
    assert headers["api-current-version"] == "2025.1"
    assert headers["x-cw-request-id"]


async def test_unknown_path_is_not_found_and_recorded(client: Any) -> None:
    """A path outside the contract is the client's mistake."""
    status, error, _ = await client.api("GET", "/finance/additions")

    assert (status, error["code"]) == (404, "NotFound")
    assert "not an operation" in (await client.violations())[0]


async def test_addition_of_a_lost_answer_exists(client: Any) -> None:
    """The connection dies after the commit: the caller saw nothing, the line is there."""
    match = {"method": "POST", "path": "additions"}
    await client.control(
        "PUT", "/faults", [{"match": match, "kind": "drop_after_commit", "times": 1}]
    )
    body = {"product": {"id": 5}, "billCustomer": "Billable"}

    with pytest.raises(httpx.RemoteProtocolError):
        await client.api("POST", "/finance/agreements/70/additions", body)

    count = await client.body("GET", "/finance/agreements/70/additions/count")
    assert count == {"count": 1}


async def test_state_dump_is_a_seed(client: Any) -> None:
    """What was dumped can be loaded and dumps the same again."""
    body = {"product": {"id": 5}, "billCustomer": "Billable", "quantity": 2}
    await client.body("POST", "/finance/agreements/70/additions", body)
    await client.body("POST", "/finance/agreements/70/invoice")
    before = await client.control("GET", "/state")

    after = await client.control("PUT", "/state", before)

    assert after == before
    assert [a["quantity"] for a in after["addition_views"]] == [2]


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(
            {"agreements": [{"id": 1, "name": "x", "company": {"id": 9}}]}, id="no such company"
        ),
        pytest.param({"companies": [{"id": 1}]}, id="no name"),
        pytest.param({"companies": [{"id": 1, "name": "x", "currency": "XXX"}]}, id="no currency"),
        pytest.param({"tenant": {"colour": "red"}}, id="no such member"),
    ],
)
async def test_seed_that_makes_no_sense_is_refused(client: Any, seed: dict[str, Any]) -> None:
    """422, and the state before it stays."""
    before = await client.control("GET", "/state")

    answer = await client.http.put("/connectwise/_control/state", json=seed)

    assert answer.status_code == 422
    assert await client.control("GET", "/state") == before
