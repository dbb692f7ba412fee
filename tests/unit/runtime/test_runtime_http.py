"""One request, three ways to end: an answer, certainly nothing sent, or nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime import http
from shared.runtime.http import (
    NO_RETRY,
    READ_RETRY,
    HttpClient,
    OutcomeUnknown,
    Response,
    Retry,
    Unreachable,
    dumps,
    loads,
)
from shared.runtime.retry import Backoff

NOTHING_SENT = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("no route"),
    httpx.PoolTimeout("busy"),
]
NOBODY_KNOWS = [
    httpx.ReadTimeout("no answer"),
    httpx.WriteTimeout("stuck"),
    httpx.ReadError("reset"),
    httpx.WriteError("broken pipe"),
    httpx.RemoteProtocolError("hung up"),
]


class Vendor:
    """Answers from a script, the last entry for ever, and keeps what it was sent."""

    def __init__(self, *script: httpx.Response | Exception) -> None:
        self._script = list(script) or [httpx.Response(200)]
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step.status_code, headers=step.headers, content=step.content)


@asynccontextmanager
async def client(vendor: Vendor, **options: Any) -> AsyncIterator[HttpClient]:
    transport = httpx.MockTransport(vendor)
    made = HttpClient("http://vendor.test", name="vendor", transport=transport, **options)
    try:
        yield made
    finally:
        await made.close()


class Waits(list[float]):
    """How long each pause between attempts would have been; none is slept."""

    async def note(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.mark.parametrize("error", NOTHING_SENT, ids=lambda e: type(e).__name__)
async def test_no_connection_means_nothing_was_sent(error: Exception) -> None:
    """Safe to repeat, also a write."""
    async with client(Vendor(error)) as http_client:
        with pytest.raises(Unreachable, match="vendor"):
            await http_client.request("POST", "/charges", json={"a": 1})


@pytest.mark.parametrize("error", NOBODY_KNOWS, ids=lambda e: type(e).__name__)
async def test_no_answer_means_nobody_knows(error: Exception) -> None:
    """A write must be looked for before it is repeated."""
    async with client(Vendor(error)) as http_client:
        with pytest.raises(OutcomeUnknown, match="POST /charges"):
            await http_client.request("POST", "/charges", json={"a": 1})


async def test_an_answer_that_cannot_be_decoded_leaves_the_outcome_open() -> None:
    """Never httpx's own error: callers may not know httpx."""

    def answer(request: httpx.Request) -> httpx.Response:
        del request
        return httpx.Response(
            200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"not gzip")
        )

    transport = httpx.MockTransport(answer)
    http_client = HttpClient("http://vendor.test", name="vendor", transport=transport)
    with pytest.raises(OutcomeUnknown):
        await http_client.request("POST", "/charges")
    await http_client.close()


@pytest.mark.parametrize("status", [200, 202, 204, 301, 400, 404, 409, 429, 500, 503])
async def test_every_status_is_an_answer(status: int) -> None:
    """Callers decide; redirects are not followed, nothing is retried unasked."""
    vendor = Vendor(httpx.Response(status, headers={"Location": "/elsewhere"}))
    async with client(vendor) as http_client:
        answer = await http_client.request("GET", "/x")

    assert answer.status == status
    assert answer.ok == (status < 300)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("first", [*NOTHING_SENT, *NOBODY_KNOWS], ids=lambda e: type(e).__name__)
async def test_reads_are_tried_again(waits: Waits, first: Exception) -> None:
    """Whatever came of the first one."""
    vendor = Vendor(first, httpx.Response(503), httpx.Response(200, text="here"))
    async with client(vendor, sleep=waits.note) as http_client:
        answer = await http_client.request("GET", "/x", retry=READ_RETRY)

    assert answer.text == "here"
    assert len(waits) == 2


async def test_a_write_of_unknown_outcome_is_not_repeated(waits: Waits) -> None:
    """Even where its refusals are worth another try."""
    retry = Retry(READ_RETRY.backoff, after_unknown=False)
    vendor = Vendor(httpx.Response(503), httpx.ReadTimeout("no answer"))
    async with client(vendor, sleep=waits.note) as http_client:
        with pytest.raises(OutcomeUnknown):
            await http_client.request("POST", "/x", retry=retry)

    assert len(vendor.requests) == 2
    assert len(waits) == 1


async def test_the_last_answer_or_error_comes_out_as_it_was(waits: Waits) -> None:
    """Five attempts, then the caller sees what the vendor said."""
    always = Vendor(httpx.Response(503, text="closed"))
    async with client(always, sleep=waits.note) as http_client:
        answer = await http_client.request("GET", "/x", retry=READ_RETRY)
    dead = Vendor(httpx.ConnectError("refused"))
    async with client(dead, sleep=waits.note) as http_client:
        with pytest.raises(Unreachable):
            await http_client.request("GET", "/x", retry=READ_RETRY)

    assert (answer.status, answer.text) == (503, "closed")
    assert len(always.requests) == len(dead.requests) == 5
    assert all(0 <= wait <= 10 for wait in waits)


async def test_the_wait_the_vendor_asks_for_is_kept(waits: Waits) -> None:
    """`Retry-After` in seconds wins over our own back-off."""
    vendor = Vendor(
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(503, headers={"Retry-After": "0.5"}),
        httpx.Response(200),
    )
    async with client(vendor, sleep=waits.note) as http_client:
        answer = await http_client.request("GET", "/x", retry=READ_RETRY)

    assert answer.status == 200
    assert waits == [7.0, 0.5]


async def test_a_wait_longer_than_our_patience_is_the_callers(waits: Waits) -> None:
    """An hour is not slept through in the middle of a request."""
    vendor = Vendor(httpx.Response(429, headers={"Retry-After": "3600"}))
    async with client(vendor, sleep=waits.note) as http_client:
        answer = await http_client.request("GET", "/x", retry=READ_RETRY)

    assert (answer.status, answer.retry_after_s) == (429, 3600.0)
    assert waits == []


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("12", 12.0), ("0", 0.0), ("1.5", 1.5), ("", None), ("soon", None), ("-3", None),
     ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("1.2.3", None), ("²", None)],
)  # fmt: skip
def test_retry_after_is_read_where_it_is_a_number(header: str, seconds: float | None) -> None:
    """Anything else falls back to our own back-off."""
    assert seconds == Response(429, {"retry-after": header}, b"").retry_after_s


async def test_amounts_keep_every_digit_both_ways() -> None:
    """No float in between, in neither direction."""
    vendor = Vendor(httpx.Response(200, content=b'{"amount": 0.1000000000000000055, "n": 3}'))
    amount = Decimal("19.990000000000000000001")
    async with client(vendor) as http_client:
        answer = await http_client.request("POST", "/x", json={"amount": amount, "n": 1})

    sent = vendor.requests[0]
    assert sent.content == b'{"amount":19.990000000000000000001,"n":1}'
    assert sent.headers["content-type"] == "application/json"
    assert {"amount": Decimal("0.1000000000000000055"), "n": 3} == answer.json()


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18))
def test_a_decimal_survives_json(value: Decimal) -> None:
    """What is written is what is read."""
    assert value == loads(dumps({"v": value}))["v"]


async def test_each_attempt_is_authenticated_anew(waits: Waits) -> None:
    """A token that expires between attempts is replaced; explicit headers win."""
    calls = 0

    async def auth() -> dict[str, str]:
        nonlocal calls
        calls += 1
        return {"Authorization": f"Bearer {calls}", "X-Own": "auth"}

    vendor = Vendor(httpx.Response(503), httpx.Response(200))
    async with client(vendor, auth=auth, sleep=waits.note) as http_client:
        await http_client.request("GET", "/x", headers={"X-Own": "call"}, retry=READ_RETRY)

    assert [r.headers["authorization"] for r in vendor.requests] == ["Bearer 1", "Bearer 2"]
    assert [r.headers["x-own"] for r in vendor.requests] == ["call", "call"]


async def test_absent_parameters_are_left_out() -> None:
    """None is "not given", not the text None."""
    vendor = Vendor()
    async with client(vendor) as http_client:
        await http_client.request("GET", "/x", params={"a": None, "b": "1", "c": 0})

    assert vendor.requests[0].url.query.decode() == "b=1&c=0"


async def test_no_more_requests_run_than_the_vendor_allows() -> None:
    """The gate holds back, it does not refuse."""
    running, most, release = 0, 0, asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        del request
        running += 1
        most = max(most, running)
        if running == 3:
            release.set()
        await release.wait()
        running -= 1
        return httpx.Response(200)

    http_client = HttpClient(
        "http://vendor.test", name="vendor", concurrency=3, transport=httpx.MockTransport(slow)
    )
    answers = await asyncio.gather(*(http_client.request("GET", "/x") for _ in range(12)))
    await http_client.close()

    assert len(answers) == 12
    assert most == 3


async def test_a_download_comes_in_pieces_and_undecoded() -> None:
    """The caller sees the bytes of the wire and decompresses them as they come."""

    async def body() -> AsyncIterator[bytes]:
        yield b"\x1f"
        yield b"\x8b"

    def answer(request: httpx.Request) -> httpx.Response:
        del request
        return httpx.Response(200, headers={"content-encoding": "gzip"}, content=body())

    transport = httpx.MockTransport(answer)
    http_client = HttpClient("http://vendor.test", name="vendor", transport=transport)
    async with http_client.stream("/file") as (status, chunks):
        received = [chunk async for chunk in chunks]
    await http_client.close()

    assert (status, received) == (200, [b"\x1f", b"\x8b"])


@pytest.mark.parametrize(
    ("error", "expected"),
    [(httpx.ConnectError("refused"), Unreachable), (httpx.ReadError("reset"), OutcomeUnknown)],
)
async def test_a_download_that_breaks_off_says_so(
    error: Exception, expected: type[Exception]
) -> None:
    """The same two errors as every request."""
    async with client(Vendor(error)) as http_client:
        with pytest.raises(expected):
            async with http_client.stream("/file"):
                pass


def test_no_retry_is_the_default() -> None:
    """A caller that says nothing gets one attempt."""
    assert NO_RETRY.backoff is None
    assert http.READ_RETRY.backoff == Backoff(first_s=0.2, longest_s=10.0, total_s=30.0, attempts=5)
