"""The only module that imports httpx: one client per vendor, with time-outs, retries and redaction.

A request ends in one of three ways: a response (whatever its status; callers decide), `Unreachable`
(nothing was sent, safe to repeat) or `OutcomeUnknown` (sent, no answer: never repeat a write before
reading back). Only reads are retried here. Numbers in JSON are read and written as exact decimals.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import httpx
import simplejson
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, retry_if_result

from shared.runtime import telemetry
from shared.runtime.retry import Backoff, StopWhen

Auth = Callable[[], Awaitable[Mapping[str, str]]]
"""Returns the headers that authenticate a request; called for each attempt."""

Sleep = Callable[[float], Awaitable[None]]
"""Passes the pause between two attempts."""

Query = Mapping[str, str | int | bool | None]


class Unreachable(OSError):
    """No connection could be made: the request was not sent."""


class OutcomeUnknown(OSError):
    """The request was sent and no answer came back; whether it took effect is not known."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Which answers are worth another try, and for how long. `None` backoff: no retry at all."""

    backoff: Backoff | None
    statuses: frozenset[int] = frozenset({429, 500, 502, 503, 504})
    after_unknown: bool = False  # true for reads only


NO_RETRY = Retry(None)
READ_RETRY = Retry(
    Backoff(first_s=0.2, longest_s=10.0, total_s=30.0, attempts=5), after_unknown=True
)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read completely."""

    status: int
    headers: Mapping[str, str]  # lower-case names
    content: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.content.decode("utf-8-sig", errors="replace")

    def json(self) -> Any:
        """The body; numbers with a point are `Decimal`. Raises ValueError if it is not JSON."""
        return loads(self.text)

    @property
    def retry_after_s(self) -> float | None:
        """Seconds of `Retry-After`, where it is a number."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.replace(".", "", 1).isdecimal() else None


def loads(text: str | bytes) -> Any:
    """JSON with every fractional number as an exact `Decimal`."""
    return simplejson.loads(text, use_decimal=True)


def dumps(value: object) -> bytes:
    """JSON in which a `Decimal` is a number with exactly its digits."""
    return simplejson.dumps(value, use_decimal=True, separators=(",", ":")).encode()


class HttpClient:
    """Requests to one vendor."""

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        timeout_s: float = 10.0,
        auth: Auth | None = None,
        headers: Mapping[str, str] | None = None,
        concurrency: int = 20,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._name = name
        self._auth = auth
        self._sleep = sleep
        self._gate = asyncio.Semaphore(concurrency)
        self._client = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
            headers=dict(headers or {}),
            follow_redirects=False,
            transport=transport,
            limits=httpx.Limits(max_connections=concurrency, keepalive_expiry=30.0),
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Query | None = None,
        json: object = None,
        data: Mapping[str, str] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        retry: Retry = NO_RETRY,
    ) -> Response:
        """Send one request; `json` bodies may hold `Decimal`.

        Raises:
            Unreachable: nothing was sent.
            OutcomeUnknown: it was sent; no answer.
        """

        async def attempt() -> Response:
            return await self._send(method, path, params, json, data, headers)

        if retry.backoff is None:
            return await attempt()
        kinds = (Unreachable, OutcomeUnknown) if retry.after_unknown else (Unreachable,)
        retrying = AsyncRetrying(
            sleep=self._sleep,
            retry=retry_if_exception_type(kinds)
            | retry_if_result(lambda r: isinstance(r, Response) and r.status in retry.statuses),
            wait=_RetryAfter(retry.backoff),
            stop=StopWhen(retry.backoff),
            retry_error_callback=_last_outcome,
        )
        response: Response = await retrying(attempt)
        return response

    @asynccontextmanager
    async def stream(
        self, path: str, *, params: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """GET a large body: its status and its raw chunks, not decompressed."""
        try:
            async with self._client.stream(
                "GET", path, params=_clean(params), headers=await self._headers(headers)
            ) as response:
                yield response.status_code, response.aiter_raw()
        except httpx.ConnectError as error:
            raise Unreachable(f"{self._name}: {error}") from error
        except httpx.TransportError as error:
            raise OutcomeUnknown(f"{self._name}: the download broke off: {error!r}") from error

    async def _send(
        self,
        method: str,
        path: str,
        params: Query | None,
        json: object,
        data: Mapping[str, str] | bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Response:
        sent = await self._headers(headers)
        content: bytes | None = data if isinstance(data, bytes) else None
        if json is not None:
            content, sent = dumps(json), {"Content-Type": "application/json", **sent}
        started, outcome = perf_counter(), "unreachable"
        try:
            async with self._gate:
                answer = await self._client.request(
                    method,
                    path,
                    params=_clean(params),
                    content=content,
                    data=data if isinstance(data, Mapping) else None,
                    headers=sent,
                )
            outcome = str(answer.status_code)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unreachable(f"{self._name}: no connection ({error!r})") from error
        except httpx.RequestError as error:  # also an answer that cannot be decoded
            outcome = "unknown"
            raise OutcomeUnknown(f"{self._name}: {method} {path}: {error!r}") from error
        finally:
            telemetry.PROVIDER_DURATION.labels(self._name, method, outcome).observe(
                perf_counter() - started
            )
        return Response(
            answer.status_code,
            {name.lower(): value for name, value in answer.headers.items()},
            answer.content,
        )

    async def _headers(self, own: Mapping[str, str] | None) -> dict[str, str]:
        return {**(await self._auth() if self._auth else {}), **(own or {})}


class _RetryAfter:
    """Wait what the vendor asks for; otherwise back off."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff.wait()

    def __call__(self, state: RetryCallState) -> float:
        outcome = state.outcome
        if outcome is not None and not outcome.failed:
            asked = outcome.result().retry_after_s
            if asked is not None:
                return float(asked)
        return self._backoff(state)


def _last_outcome(state: RetryCallState) -> Any:
    """The last answer, or the last exception, as it was."""
    if state.outcome is None:
        raise RuntimeError("a retry ended before it began")
    return state.outcome.result()


def _clean(params: Query | None) -> dict[str, str | int | bool] | None:
    return {k: v for k, v in params.items() if v is not None} if params else None
