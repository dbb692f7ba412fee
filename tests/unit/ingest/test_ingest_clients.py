"""Tokens, throttling, paging and exports: how the provider is called."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from ingest.clients.errors import ProviderBusy, ProviderRefused
from ingest.clients.graph import ExportExpired, Failed, Graph, Manifest, Running
from ingest.clients.partner_center import PartnerCenter
from ingest.clients.provider import Provider
from ingest.clients.tokens import Application, Tokens
from shared.kernel.errors import Invalid
from shared.runtime.http import HttpClient, Sleep

Answerer = Callable[[httpx.Request], httpx.Response]
APPLICATION = Application("tenant", "id", "secret")


class Vendor:
    """Answers sign-ins by itself and everything else as told."""

    def __init__(self, *answers: httpx.Response | Answerer, lifetime: int = 3600) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.sign_ins = 0
        self.lifetime = lifetime

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            self.sign_ins += 1
            token = {"access_token": f"t{self.sign_ins}", "expires_in": self.lifetime}
            return httpx.Response(200, json=token)
        self.requests.append(request)
        answer = self.answers.pop(0)
        return answer if isinstance(answer, httpx.Response) else answer(request)

    def http(self, base: str = "http://vendor") -> HttpClient:
        return HttpClient(base, name="test", transport=httpx.MockTransport(self))

    def provider(
        self, application: Application = APPLICATION, *, sleep: Sleep = asyncio.sleep
    ) -> Provider:
        tokens = Tokens(self.http(), application, "scope/.default")
        return Provider(self.http(), tokens, name="test", sleep=sleep)


def ok(body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(200, json=body or {}, headers=headers)


async def test_a_token_is_fetched_once_and_reused() -> None:
    """Ten requests at once, one sign-in."""
    vendor = Vendor(*[ok() for _ in range(10)])
    provider = vendor.provider()

    await asyncio.gather(*(provider.request("GET", "/x") for _ in range(10)))

    assert vendor.sign_ins == 1
    assert {r.headers["authorization"] for r in vendor.requests} == {"Bearer t1"}


async def test_a_refused_token_is_replaced_once() -> None:
    """401 → new token → the same request; a second 401 is an answer."""
    vendor = Vendor(httpx.Response(401), ok({"a": 1}), httpx.Response(401), httpx.Response(401))
    provider = vendor.provider()

    response = await provider.request("GET", "/x")
    with pytest.raises(ProviderRefused):
        await provider.request("GET", "/x")

    assert (response.json(), vendor.sign_ins) == ({"a": 1}, 3)


async def test_every_request_can_be_traced() -> None:
    """Ids of ours, each new, and the contract version."""
    vendor = Vendor(ok(), ok())
    provider = vendor.provider()
    for _ in range(2):
        await provider.request("GET", "/x")

    first, second = (r.headers for r in vendor.requests)
    assert first["ms-contract-version"] == "v1"
    assert first["ms-requestid"] != second["ms-requestid"]
    assert first["ms-correlationid"] != second["ms-correlationid"]


async def test_a_throttled_client_holds_back_all_its_requests() -> None:
    """429 with Retry-After: the next request of anybody waits that long."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    body = {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 57 seconds."}
    vendor = Vendor(httpx.Response(429, json=body, headers={"retry-after": "57"}), ok())
    provider = vendor.provider(sleep=sleep)
    with pytest.raises(ProviderBusy) as busy:
        await provider.request("GET", "/x")
    await provider.request("GET", "/x")

    assert busy.value.after_s == 57
    assert "57 seconds" in str(busy.value)
    assert waits == [pytest.approx(57, abs=1)]


async def test_a_very_long_pause_is_cut_short() -> None:
    """A vendor's slip of the pen must not stop an interface for a day."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    vendor = Vendor(httpx.Response(429, headers={"retry-after": "86400"}), ok())
    provider = vendor.provider(sleep=sleep)
    with pytest.raises(ProviderBusy):
        await provider.request("GET", "/x")
    await provider.request("GET", "/x")

    assert waits == [pytest.approx(120, abs=1)]


async def test_errors_carry_code_and_words() -> None:
    """Of Partner Center and of Graph; a page of HTML has neither."""
    vendor = Vendor(
        httpx.Response(404, json={"code": 20003, "description": "not found"}),
        httpx.Response(400, json={"error": {"code": "BadRequest", "message": "no"}}),
        httpx.Response(502, text="<html>"),
    )
    provider = vendor.provider()
    seen = []
    for kind in (ProviderRefused, ProviderRefused, ProviderBusy):
        with pytest.raises(kind) as error:
            await provider.request("GET", "/x")
        seen.append((error.value.code, error.value.words))

    assert seen == [("20003", "not found"), ("BadRequest", "no"), ("", "")]


async def test_a_user_signs_in_with_the_refresh_token() -> None:
    """Price sheets refuse applications."""
    forms: list[bytes] = []

    def token(request: httpx.Request) -> httpx.Response:
        forms.append(request.content)
        return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})

    http = HttpClient("http://login", name="test", transport=httpx.MockTransport(token))
    user = Application("tenant", "id", "secret", refresh_token="vaulted")

    await Tokens(http, user, "s").headers()

    assert b"grant_type=refresh_token" in forms[0]
    assert b"refresh_token=vaulted" in forms[0]


def page(items: list[Any], token: str | None) -> httpx.Response:
    links = {"next": {"uri": "http://evil.example/", "headers": [
        {"key": "MS-ContinuationToken", "value": token}]}} if token else {}  # fmt: skip
    return ok({"items": items, "links": links})


async def test_pages_are_turned_with_the_token_on_our_own_path() -> None:
    """The address of the next page is never called."""
    vendor = Vendor(page([{"id": 1}], "next-1"), page([{"id": 2}], "next-2"), page([], None))
    center = PartnerCenter(vendor.provider(), vendor.provider())

    found = [item async for items in center.customers() for item in items]

    assert found == [{"id": 1}, {"id": 2}]
    assert {r.url.host for r in vendor.requests} == {"vendor"}
    assert [r.headers.get("ms-continuationtoken") for r in vendor.requests] == [
        None, "next-1", "next-2",
    ]  # fmt: skip
    assert vendor.requests[1].url.params["seekOperation"] == "Next"


async def test_a_page_that_repeats_its_token_is_the_last() -> None:
    """No endless turning."""
    vendor = Vendor(page([{"id": 1}], "same"), page([{"id": 2}], "same"))
    center = PartnerCenter(vendor.provider(), vendor.provider())

    assert len([p async for p in center.customers()]) == 2


async def test_records_are_asked_for_by_day_and_customer() -> None:
    """The filter is JSON."""
    vendor = Vendor(page([], None))
    center = PartnerCenter(vendor.provider(), vendor.provider())

    async for _ in center.audit_records(date(2026, 4, 1), date(2026, 4, 2), customer_id="c"):
        pass

    params = vendor.requests[0].url.params
    assert (params["startDate"], params["endDate"]) == ("2026-04-01", "2026-04-02")
    assert json.loads(params["filter"]) == {
        "Field": "CustomerId", "Value": "c", "Operator": "equals",
    }  # fmt: skip


async def test_ids_cannot_leave_their_place_in_a_path() -> None:
    """Whatever a payload calls itself."""
    vendor = Vendor(ok(), httpx.Response(404))
    center = PartnerCenter(vendor.provider(), vendor.provider())

    await center.subscription("a/b", "../../x?y")
    missing = await center.audit_record("r/../../x")

    assert missing is None
    assert vendor.requests[0].url.raw_path == (b"/v1/customers/a%2Fb/subscriptions/..%2F..%2Fx%3Fy")


def graph(vendor: Vendor, **choices: Any) -> Graph:
    hosts = choices.pop("hosts", {"*.blob.core.windows.net"})
    return Graph(vendor.provider(), vendor.http(""), blob_hosts=hosts, **choices)


MANIFEST = {
    "eTag": '"v1"', "rootDirectory": "https://acct.blob.core.windows.net/c/p", "sasToken": "?sig=x",
    "blobCount": 1, "blobs": [{"name": "part-0.json.gz"}],
}  # fmt: skip


async def test_an_export_goes_from_running_to_its_manifest() -> None:
    """202, running, succeeded; the operation is known by the end of its location."""
    vendor = Vendor(
        httpx.Response(202, headers={"location": "https://elsewhere/operations/op-1",
                                     "retry-after": "3"}),
        ok({"status": "running"}, **{"retry-after": "7"}),
        ok({"status": "succeeded", "resourceLocation": MANIFEST}),
    )  # fmt: skip
    client = graph(vendor)

    started = await client.start_billed("usage", "G1")
    first, second = await client.poll("op-1"), await client.poll("op-1")

    assert started == ("op-1", 3)
    assert first == Running(7)
    assert second == Manifest(
        "v1", "https://acct.blob.core.windows.net/c/p", "sig=x", ("part-0.json.gz",)
    )
    assert {r.url.host for r in vendor.requests} == {"vendor"}


async def test_blobs_of_a_manifest_are_in_one_order_however_they_are_listed() -> None:
    """A load that resumes counts lines over all blobs."""
    listed = [{"name": name} for name in ("part-2", "part-0", "part-1")]
    manifest = {**MANIFEST, "blobCount": 3, "blobs": listed}
    vendor = Vendor(ok({"status": "succeeded", "resourceLocation": manifest}))

    found = await graph(vendor).poll("op")

    assert isinstance(found, Manifest)
    assert found.blobs == ("part-0", "part-1", "part-2")


async def test_a_manifest_may_be_a_link_and_must_be_complete() -> None:
    """The number of blobs is checked against the list."""
    link = {"status": "succeeded", "resourceLocation@odata.navigationLink": "https://x/manifests/m"}
    vendor = Vendor(ok(link), ok(MANIFEST), ok(link), ok({**MANIFEST, "blobCount": 2}))
    client = graph(vendor)

    found = await client.poll("op")
    with pytest.raises(Invalid, match="manifest_incomplete"):
        await client.poll("op")

    assert isinstance(found, Manifest)
    assert vendor.requests[1].url.path.endswith("/manifests/m")


async def test_ends_of_an_export_are_told_apart() -> None:
    """No data, and links that expired."""
    error = {"status": "failed", "error": {"code": "5000", "message": "No data available"}}
    vendor = Vendor(ok(error), httpx.Response(410))
    client = graph(vendor)

    failed = await client.poll("op")
    with pytest.raises(ExportExpired):
        await client.poll("op")

    assert failed == Failed("5000", "No data available")
    assert failed.no_data is True


@pytest.mark.parametrize(
    "root",
    ["https://evil.example/c", "http://acct.blob.core.windows.net/c", "file:///etc/passwd",
     "https://user@acct.blob.core.windows.net/c", "https://blob.core.windows.net.evil.example/c"],
)  # fmt: skip
async def test_blobs_are_fetched_from_listed_hosts_only(root: str) -> None:
    """A manifest cannot send us anywhere."""
    vendor = Vendor()
    manifest = Manifest("v", root, "sig", ("b",))

    with pytest.raises(Invalid, match="blob_address_refused"):
        async for _ in graph(vendor).blob(manifest, "b"):
            pass

    assert vendor.requests == []


async def test_blobs_are_fetched_without_our_token() -> None:
    """The SAS token in the address is the credential."""
    vendor = Vendor(httpx.Response(200, stream=httpx.ByteStream(b"abc")))
    manifest = Manifest("v", MANIFEST["rootDirectory"], "sv=1&sig=a%2Bb", ("p 0.gz",))  # type: ignore[arg-type]  # a str

    content = [part async for part in graph(vendor).blob(manifest, "p 0.gz")]

    assert b"".join(content) == b"abc"
    assert "authorization" not in vendor.requests[0].headers
    assert vendor.requests[0].url.raw_path == b"/c/p/p%200.gz?sv=1&sig=a%2Bb"
