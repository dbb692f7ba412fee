"""Getting in: zones, headers, routes that do not exist, and the two limits of the vendor."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.kernel.clock import FrozenClock


async def test_zone_information_leads_to_another_path(client: Any) -> None:
    """The entities do not live where one asked; the url ends in a slash."""
    answer = await client.http.get(
        "/autotask/atservicesrest/v1.0/zoneInformation", params={"user": "tieout@msp.example"}
    )

    assert answer.json()["url"] == "http://sim/autotask/zone/atservicesrest/"


async def test_zone_of_an_unknown_user_is_an_http_500(client: Any) -> None:
    """With errors, as for everything else."""
    answer = await client.http.get(
        "/autotask/atservicesrest/v1.0/zoneInformation", params={"user": "nobody"}
    )

    assert (answer.status_code, list(answer.json())) == (500, ["errors"])


async def test_moved_zone_refuses_the_old_path(client: Any) -> None:
    """A client has to ask for the zone again after an authentication failure."""
    await client.control("PATCH", "/tenant", {"zone": "zone2"})

    status, _ = await client.api("GET", "/Contracts/7")

    assert status == 401


@pytest.mark.parametrize(
    "headers",
    [{"secret": "wrong"}, {"username": "nobody"}, {"apiintegrationcode": "other"}],
)
async def test_wrong_credentials_are_refused(client: Any, headers: dict[str, str]) -> None:
    """All three headers are needed."""
    status, body = await client.api("GET", "/Contracts/7", **headers)

    assert (status, list(body)) == (401, ["errors"])


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        pytest.param("PATCH", "/Contracts/7", 405, id="PATCH wants the collection"),
        pytest.param("GET", "/ContractServiceAdjustments", 405, id="create only"),
        pytest.param("GET", "/ContractServiceAdjustments/1", 404, id="not one of them either"),
        pytest.param("POST", "/ContractServiceAdjustments/query", 404, id="nor by query"),
        pytest.param("PATCH", "/ContractServiceAdjustments", 405, id="never changed"),
        pytest.param("DELETE", "/Contracts/7/ServiceAdjustments/1", 404, id="never deleted"),
        pytest.param("POST", "/ContractCharges", 404, id="charges are made below a contract"),
        pytest.param("DELETE", "/Contracts/7/Services/21", 405, id="services stay on a contract"),
        pytest.param("PATCH", "/ContractServiceUnits", 404, id="units are query only"),
        pytest.param("GET", "/Invented/1", 404, id="no such entity"),
    ],
)
async def test_verbs_that_the_vendor_does_not_have(
    client: Any, method: str, path: str, expected: int
) -> None:
    """Clients in the wild use them; they are recorded as the client's mistake."""
    body = {"id": 7} if method in ("POST", "PATCH") else None

    status, _ = await client.api(method, path, body)

    assert status == expected
    assert "not an operation" in (await client.violations())[0]


async def test_fourth_call_to_one_endpoint_fails_as_http_500(client: Any) -> None:
    """The text names the thread threshold; other endpoints are not affected."""
    await client.control("PATCH", "/limits", {"latency_ms": 20})
    calls = [client.api("GET", "/Contracts/7") for _ in range(4)]

    *answers, other = await asyncio.gather(*calls, client.api("GET", "/Companies/3"))

    assert sorted(status for status, _ in answers) == [200, 200, 200, 500]
    refused = next(body for status, body in answers if status == 500)
    assert "thread threshold" in refused["errors"][0]
    assert "Itgenatr005" in refused["errors"][0]
    assert other[0] == 200


async def test_threads_are_counted_per_integration(client: Any) -> None:
    """Another tracking id has its own three."""
    await client.control("PATCH", "/tenant", {"integration_codes": ["SIMINTEGRATION", "OTHER"]})
    await client.control("PATCH", "/limits", {"latency_ms": 20})
    ours = [client.api("GET", "/Contracts/7") for _ in range(3)]
    theirs = [client.api("GET", "/Contracts/7", apiintegrationcode="OTHER") for _ in range(3)]

    answers = await asyncio.gather(*ours, *theirs)

    assert [status for status, _ in answers] == [200] * 6


async def test_calls_are_slow_from_half_of_the_quota_on(client: Any) -> None:
    """Nothing but time tells a client that it uses too much."""
    await client.control("PATCH", "/limits", {"used": 5_001, "slow_ms": 60})
    started = asyncio.get_running_loop().time()

    await client.item("GET", "/Contracts/7")

    assert asyncio.get_running_loop().time() - started >= 0.06


async def test_used_up_quota_suspends_everybody_until_the_hour_passes(
    client: Any, clock: FrozenClock
) -> None:
    """The quota is the database's, not ours; old calls fall out of the window."""
    await client.control("PATCH", "/limits", {"used": 10_000, "slow_ms": 0})
    suspended, _ = await client.api("GET", "/Contracts/7")
    clock.advance(timedelta(minutes=61))

    after, _ = await client.api("GET", "/Contracts/7")

    assert (suspended, after) == (429, 200)


async def test_threshold_information_counts_the_hour(client: Any) -> None:
    """Its own call included."""
    await client.item("GET", "/Contracts/7")

    body = await client.item("GET", "/ThresholdInformation")

    assert body == {
        "externalRequestThreshold": 10_000,
        "requestThresholdTimeframe": 60,
        "currentTimeframeRequestCount": 2,
    }


async def test_picklists_are_told_by_the_tenant(client: Any) -> None:
    """Ids by label: the charge type of this tenant is not the one of another."""
    body = await client.item("GET", "/ContractCharges/entityInformation/fields")

    charge_type = next(f for f in body["fields"] if f["name"] == "chargeType")
    labels = {v["label"]: v["value"] for v in charge_type["picklistValues"]}
    assert (charge_type["isPickList"], charge_type["isRequired"]) == (True, True)
    assert labels == {"Operational": "31", "Capitalized": "32"}


async def test_entity_information_says_what_is_possible(client: Any) -> None:
    """Adjustments can be created and nothing else."""
    body = await client.item("GET", "/ContractServiceAdjustments/entityInformation")

    info = body["info"]
    assert (info["canCreate"], info["canQuery"], info["canUpdate"], info["canDelete"]) == (
        True,
        False,
        False,
        False,
    )


async def test_state_dump_is_a_seed(client: Any) -> None:
    """What was dumped can be loaded and dumps the same again."""
    adjustment = {"contractServiceID": 21, "effectiveDate": "2026-06-09", "unitChange": -8}
    adjustment["effectiveDate"] = "2026-06-09T00:00:00Z"
    await client.item("POST", "/ContractServiceAdjustments", adjustment)
    await client.control("POST", "/post", {"contract": 7, "through": "2026-06-11"})
    before = await client.control("GET", "/state")

    after = await client.control("PUT", "/state", before)

    assert after == before
    assert after["units_today"] == {"21": 22}
