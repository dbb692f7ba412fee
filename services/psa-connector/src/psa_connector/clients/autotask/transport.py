"""Autotask over HTTP: the zone of the user, queries with paging, and its ways to say no.

A 500 is mostly no fault of the server: validation errors come as 500 with `errors`. Only a text
about the thread threshold means "later"; anything without such a list leaves the outcome open.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from psa_connector.clients.psa import (
    Busy,
    Denied,
    Refused,
    Throttled,
    Timing,
    Unavailable,
    WriteUnknown,
    count_call,
    require_in_time,
    server_time,
)
from shared.runtime.http import (
    NO_RETRY,
    HttpClient,
    OutcomeUnknown,
    Response,
    Retry,
    Unreachable,
)

ZONE_S = 12 * 3600.0
THROTTLE_S = 60.0
MAX_RECORDS = 500
THREADS = 3  # concurrent calls per object endpoint that the vendor allows
DETAIL_MAX = 500
VENDOR_DOMAIN = ".autotask.net"
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    secret: str = field(repr=False)
    integration_code: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        return {
            "UserName": self.username,
            "Secret": self.secret,
            "ApiIntegrationCode": self.integration_code,
        }


class Transport:
    """Calls to one tenant; at most `threads` at a time to one entity."""

    def __init__(
        self, base_url: str, login: Login, timing: Timing, *, threads: int = THREADS
    ) -> None:
        self._login = login
        self._reads = Retry(timing.reads, statuses=frozenset({502, 503, 504}), after_unknown=True)
        self._base_url = base_url.rstrip("/")
        self._http = HttpClient(
            self._base_url,
            name="autotask",
            timeout_s=timing.timeout_s,
            headers={"Content-Type": "application/json"},
        )
        self._gates: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(threads)
        )
        self._zone: str | None = None
        self._zone_until = 0.0
        self.server_time: datetime | None = None  # as the last read told it

    async def close(self) -> None:
        await self._http.close()

    async def query(
        self, entity: str, filters: Sequence[Document], *, fields: Sequence[str] = ()
    ) -> list[Document]:
        """All records that match; pages are followed with the same verb and body.

        Raises:
            Unavailable, Throttled, Busy, Denied, Refused.
        """
        body: Document = {"maxRecords": MAX_RECORDS, "filter": list(filters)}
        if fields:
            body["includeFields"] = ["id", *fields]
        found: list[Document] = []
        url: str | None = f"/v1.0/{entity}/query"
        while url is not None:
            told = await self._read("POST", entity, url, body)
            found += told.get("items") or []
            url = self._own((told.get("pageDetails") or {}).get("nextPageUrl"))
        return found

    async def count(self, entity: str) -> int:
        """How many records of an entity this user sees; without the right to, none."""
        body: Document = {"filter": [{"op": "exist", "field": "id"}]}
        told = await self._read("POST", entity, f"/v1.0/{entity}/query/count", body)
        return int(told.get("queryCount") or 0)

    async def threshold(self) -> Document:
        """The hourly quota of the tenant, shared by all its integrations."""
        entity = "ThresholdInformation"
        return await self._read("GET", entity, f"/v1.0/{entity}", None)

    async def fields(self, entity: str) -> list[Document]:
        """What the tenant says of an entity's fields, picklists included."""
        told = await self._read("GET", entity, f"/v1.0/{entity}/entityInformation/fields", None)
        return list(told.get("fields") or [])

    async def create(
        self, entity: str, path: str, body: Mapping[str, object], *, leave_by: float
    ) -> str:
        """One new record; see `write`."""
        return await self.write("POST", entity, path, body, leave_by=leave_by)

    async def write(  # a request has these parts
        self,
        method: str,
        entity: str,
        path: str,
        body: Mapping[str, object] | None,
        *,
        leave_by: float,
    ) -> str:
        """One write, never repeated. Returns the record's id.

        Raises:
            Unavailable, Throttled, Busy, Denied, Refused: it had no effect.
            WriteUnknown: nobody knows.
        """
        try:
            answer = await self._call(
                method, entity, f"/v1.0{path}", body, NO_RETRY, leave_by=leave_by
            )
        except Unreachable as error:
            raise Unavailable(str(error)) from error
        except OutcomeUnknown as error:
            raise WriteUnknown(str(error)) from error
        _raise_for(answer)
        if not answer.ok:
            raise WriteUnknown(f"HTTP {answer.status}: {answer.text[:120]!r}")
        item = (_parsed(answer) or {}).get("itemId")
        if item is None:
            raise WriteUnknown("the answer shows no itemId")
        return str(item)

    async def _read(
        self, method: str, entity: str, path: str, body: Mapping[str, object] | None
    ) -> Document:
        try:
            answer = await self._call(method, entity, path, body, self._reads)
        except (Unreachable, OutcomeUnknown) as error:
            self._zone = None
            raise Unavailable(str(error)) from error
        self.server_time = server_time(answer.headers.get("date"))
        _raise_for(answer)
        told = _parsed(answer)
        if not answer.ok or told is None:
            raise Unavailable(f"HTTP {answer.status}: {answer.text[:120]!r}")
        return told

    async def _call(
        self,
        method: str,
        entity: str,
        path: str,
        body: Mapping[str, object] | None,
        retry: Retry,
        *,
        leave_by: float = float("inf"),
    ) -> Response:
        """Once more in a fresh zone when the credentials are refused: the user may have moved."""
        async with self._gates[entity.lower()]:
            zone = await self._zone_url()
            require_in_time(leave_by)
            answer = await self._request(method, _below(zone, path), body, retry)
            if answer.status != 401:
                return answer
            self._zone = None
            moved_to = await self._zone_url()
            if moved_to == zone:
                return answer
            require_in_time(leave_by)
            return await self._request(method, _below(moved_to, path), body, retry)

    async def _request(
        self, method: str, url: str, body: Mapping[str, object] | None, retry: Retry
    ) -> Response:
        count_call()
        return await self._http.request(
            method, url, json=body, headers=self._login.headers(), retry=retry
        )

    async def _zone_url(self) -> str:
        """Where the entities of this user live."""
        if self._zone is None or monotonic() > self._zone_until:
            self._zone = await self._ask_zone()
            self._zone_until = monotonic() + ZONE_S
        return self._zone

    async def _ask_zone(self) -> str:
        answer = await self._http.request(
            "GET",
            "/v1.0/ZoneInformation",
            params={"user": self._login.username},
            retry=self._reads,
        )
        if answer.status == 429:
            raise Throttled(_words(answer), wait_s=answer.retry_after_s or THROTTLE_S)
        told = _parsed(answer)
        if answer.status == 500 and told is not None and told.get("errors"):
            raise Denied(_words(answer))  # a user that nobody knows
        url = str((told or {}).get("url") or "")
        if not answer.ok or not url:
            raise Unavailable(f"zone information: HTTP {answer.status}")
        return self._trusted(url).rstrip("/")

    def _trusted(self, url: str) -> str:
        """Credentials go to the vendor's domain over TLS, or to the host we were told to use."""
        asked, told = urlsplit(self._base_url), urlsplit(url)
        at_vendor = told.scheme == "https" and (told.hostname or "").endswith(VENDOR_DOMAIN)
        if at_vendor or (told.scheme, told.netloc) == (asked.scheme, asked.netloc):
            return url
        raise Denied(f"zone information names {told.netloc}, which is not the vendor's")

    def _own(self, url: str | None) -> str | None:
        return None if url is None else self._trusted(url)


def _below(zone: str, path: str) -> str:
    return path if path.startswith(("http://", "https://")) else f"{zone}{path}"


def _raise_for(answer: Response) -> None:
    """The answers that certainly had no effect."""
    if answer.status == 429:
        raise Throttled(_words(answer), wait_s=answer.retry_after_s or THROTTLE_S)
    if answer.status in {401, 403}:
        raise Denied(_words(answer))
    told = _parsed(answer) if answer.status >= 400 else None
    if told is None or not told.get("errors"):
        return
    words = _words(answer)
    lowered = words.lower()
    if "itgenatr005" in lowered or ("thread" in lowered and "threshold" in lowered):
        raise Busy(words)
    if answer.status == 500 or answer.status < 500:
        raise Refused(words)


def _parsed(answer: Response) -> Document | None:
    try:
        told = answer.json()
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _words(answer: Response) -> str:
    """What the vendor said, as one line."""
    told = _parsed(answer)
    errors = (told or {}).get("errors") or [f"HTTP {answer.status}"]
    return "; ".join(map(str, errors))[:DETAIL_MAX]
