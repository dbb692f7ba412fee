"""ConnectWise over HTTP: discovery of the codebase, authentication, lists, and its ways to say no.

Cloud tenants move to another codebase at upgrades. A 404 may mean exactly that, so on a 404 the
codebase is asked for again and the call repeated once if it changed: a 404 had no effect.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

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
from shared.kernel.errors import Invalid
from shared.runtime.http import (
    NO_RETRY,
    HttpClient,
    OutcomeUnknown,
    Query,
    Response,
    Retry,
    Unreachable,
)

VERSION = "2025.1"
PAGE_SIZE = 1000  # the vendor's largest
THROTTLE_S = 30.0  # when 429 comes without Retry-After
DETAIL_MAX = 500
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')


@dataclass(frozen=True, slots=True)
class Login:
    """Company, API member and integration."""

    company_id: str
    public_key: str = field(repr=False)
    private_key: str = field(repr=False)
    client_id: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        secret = f"{self.company_id}+{self.public_key}:{self.private_key}"
        return {
            "Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}",
            "clientId": self.client_id,
            "Accept": f"application/vnd.connectwise.com+json; version={VERSION}",
        }


class Transport:
    """Calls to one tenant."""

    def __init__(
        self, base_url: str, login: Login, timing: Timing, *, ui_base_url: str | None = None
    ) -> None:
        self._login = login
        self._reads = Retry(
            timing.reads, statuses=frozenset({500, 502, 503, 504}), after_unknown=True
        )
        self._http = HttpClient(
            base_url.rstrip("/"),
            name="connectwise",
            timeout_s=timing.timeout_s,
            headers=login.headers(),
        )
        self._ui = (ui_base_url or without_api_prefix(base_url)).rstrip("/")
        self._codebase: str | None = None
        self.server_time: datetime | None = None  # as the last read told it

    async def close(self) -> None:
        await self._http.close()

    async def get(self, path: str, params: Query | None = None) -> Any | None:
        """One record; None when it does not exist.

        Raises:
            Unavailable, Throttled, Denied, Refused.
        """
        answer = await self._read(path, params)
        return None if answer.status == 404 else _json(answer)

    async def scan(self, path: str, params: Mapping[str, str]) -> list[Any]:
        """All records of a list, forward only: stable while others insert."""
        found: list[Any] = []
        query: dict[str, str] = {**params, "pageSize": str(PAGE_SIZE)}
        while True:
            answer = await self._read(path, query, {"pagination-type": "forward-only"})
            if answer.status == 404:
                return found
            found += _json(answer)
            following = _NEXT.search(answer.headers.get("link", ""))
            if following is None:
                return found
            query |= dict(parse_qsl(urlsplit(following[1]).query))

    async def first_page(self, path: str, params: Mapping[str, str]) -> list[Any]:
        """The first page of a list that knows numbered pages only."""
        answer = await self._read(path, {**params, "page": "1", "pageSize": "25"})
        return [] if answer.status == 404 else list(_json(answer))

    async def send(self, method: str, path: str, body: object, *, leave_by: float) -> Response:
        """One write, never repeated; the answer is a success.

        Raises:
            Unavailable, Throttled, Busy, Denied, Refused: it had no effect.
            WriteUnknown: nobody knows.
        """
        try:
            answer = await self._routed(method, path, json=body, leave_by=leave_by)
        except Unreachable as error:
            raise Unavailable(str(error)) from error
        except OutcomeUnknown as error:
            raise WriteUnknown(str(error)) from error
        _raise_for(answer)
        if answer.status >= 500:
            raise WriteUnknown(f"HTTP {answer.status}: {_words(answer)}")
        if not answer.ok:
            raise Refused(_words(answer))
        return answer

    async def _read(
        self, path: str, params: Query | None, headers: Mapping[str, str] | None = None
    ) -> Response:
        try:
            answer = await self._routed(
                "GET", path, params=params, headers=headers, retry=self._reads
            )
        except (Unreachable, OutcomeUnknown) as error:
            raise Unavailable(str(error)) from error
        self.server_time = server_time(answer.headers.get("date"))
        _raise_for(answer)
        if answer.status >= 500:
            raise Unavailable(f"HTTP {answer.status}: {_words(answer)}")
        if not answer.ok and answer.status != 404:
            raise Refused(_words(answer))
        return answer

    async def _routed(
        self,
        method: str,
        path: str,
        *,
        params: Query | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        retry: Retry = NO_RETRY,
        leave_by: float = float("inf"),
    ) -> Response:
        codebase = self._codebase or await self._discover()
        require_in_time(leave_by)
        count_call()
        answer = await self._http.request(
            method, _api(codebase, path), params=params, json=json, headers=headers, retry=retry
        )
        if answer.status != 404:
            return answer
        moved_to = await self._discover()
        if moved_to == codebase:
            return answer
        require_in_time(leave_by)
        count_call()
        return await self._http.request(
            method, _api(moved_to, path), params=params, json=json, headers=headers, retry=retry
        )

    async def _discover(self) -> str:
        """Where the API of this company lives at the moment."""
        company = quote(self._login.company_id, safe="")
        count_call()
        answer = await self._http.request(
            "GET", f"{self._ui}/login/companyinfo/{company}", retry=self._reads
        )
        _raise_for(answer)
        if not answer.ok:
            raise Unavailable(f"companyinfo: HTTP {answer.status}")
        told = _json(answer)
        if not told or not told.get("Codebase"):
            raise Denied(f"ConnectWise knows no company {self._login.company_id}")
        self._codebase = str(told["Codebase"])
        return self._codebase


def _api(codebase: str, path: str) -> str:
    return f"/{codebase.strip('/')}/apis/3.0{path}"


def without_api_prefix(base_url: str) -> str:
    """Discovery lives on the host of the user interface: `api-na.…` is `na.…` there."""
    parts = urlsplit(base_url)
    if not parts.hostname:
        raise Invalid("base_url_invalid", f"{base_url} names no host")
    return base_url.replace("//api-", "//", 1)


def _raise_for(answer: Response) -> None:
    """The answers that concern the connection rather than the record."""
    if answer.status == 429:
        raise Throttled(_words(answer), wait_s=answer.retry_after_s or THROTTLE_S)
    if answer.status in {401, 403}:
        raise Denied(_words(answer))
    if answer.status == 409:
        raise Busy(_words(answer))


def _json(answer: Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise Unavailable(f"HTTP {answer.status} without JSON: {answer.text[:80]!r}") from error


def _words(answer: Response) -> str:
    """What the vendor said, as one line."""
    try:
        told = answer.json()
    except ValueError:
        return f"HTTP {answer.status}: {answer.text[:120]}"
    if not isinstance(told, dict):
        return f"HTTP {answer.status}"
    parts = [str(told.get("message") or told.get("error") or f"HTTP {answer.status}")]
    for fault in told.get("errors") or ():
        parts.append(f"{fault.get('field', '')}: {fault.get('message', '')}".strip(": "))
    return "; ".join(parts)[:DETAIL_MAX]
