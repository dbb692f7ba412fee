"""Partner Center: customers, subscriptions, activity records, invoices, webhooks, price sheets.

Answers are documents as printed (numbers exact); the domain gives them types. Addresses inside an
answer are never called: pages are turned with the continuation token on a path of our own.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import quote

from ingest.clients.errors import ProviderRefused
from ingest.clients.provider import Provider
from ingest.domain.documents import Fields
from shared.runtime.http import Response

Document = Mapping[str, Any]

PAGE = 500
TOKEN_HEADER = "MS-ContinuationToken"  # noqa: S105  # the name of a header
EVENTS = ("subscription-updated", "invoice-ready", "test-created")
LICENCE_VIEW = "updatedlicensebased"
NOT_FOUND = 404
ANSWERS = (400, *range(402, 600))


@dataclass(frozen=True, slots=True)
class Registration:
    subscriber_id: str
    callback_url: str
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallIds:
    """What makes a repeated call the same call, and an activity record ours."""

    request_id: str
    correlation_id: str


class PartnerCenter:
    """The REST interface; `pricing` signs in as a user, the rest as an application."""

    def __init__(self, rest: Provider, pricing: Provider) -> None:
        self._rest = rest
        self._pricing = pricing

    async def subscription(self, customer_id: str, subscription_id: str) -> Document:
        """One subscription, fresh."""
        path = f"/v1/customers/{_part(customer_id)}/subscriptions/{_part(subscription_id)}"
        return _object((await self._rest.request("GET", path)).json())

    async def subscriptions(self, customer_id: str) -> list[Document]:
        """All subscriptions of a customer: one collection, no pages."""
        path = f"/v1/customers/{_part(customer_id)}/subscriptions"
        return _items((await self._rest.request("GET", path)).json())

    def customers(self) -> AsyncIterator[list[Document]]:
        """All customers, page by page."""
        return self._pages("/v1/customers", {"size": PAGE})

    async def audit_record(self, record_id: str) -> Document | None:
        """One activity record; None while it is not visible."""
        path = f"/auditactivity/v1/auditrecords/{_part(record_id)}"
        response = await self._rest.request("GET", path, accept=(NOT_FOUND,))
        return _object(response.json()) if response.ok else None

    def audit_records(
        self, start: date, end: date, *, customer_id: str | None = None
    ) -> AsyncIterator[list[Document]]:
        """Activity records of these days (both included), page by page, newest first."""
        params: dict[str, str | int | bool | None] = {
            "startDate": start.isoformat(),
            "endDate": end.isoformat(),
            "size": PAGE,
        }
        if customer_id is not None:
            wanted = {"Field": "CustomerId", "Value": customer_id, "Operator": "equals"}
            params["filter"] = json.dumps(wanted)
        return self._pages("/v1/auditrecords", params)

    async def write(
        self, method: str, path: str, body: object, *, ids: CallIds, etag: str = ""
    ) -> Response:
        """A call that changes something; the caller decides what its answer means.

        Raises:
            Unreachable: nothing was sent.
            OutcomeUnknown: it was sent, and nobody said what came of it.
            ProviderError: the sign-in was not accepted.
        """
        headers = {"MS-RequestId": ids.request_id, "MS-CorrelationId": ids.correlation_id}
        if etag:
            headers["If-Match"] = f'"{etag}"'
        return await self._rest.request(method, path, json=body, headers=headers, accept=ANSWERS)

    async def collection(self, path: str) -> list[Document]:
        """The items of a collection without pages."""
        return _items((await self._rest.request("GET", path)).json())

    async def document(self, path: str) -> Document:
        return _object((await self._rest.request("GET", path)).json())

    async def invoice(self, invoice_id: str) -> Document | None:
        """The header of an invoice."""
        path = f"/v1/invoices/{_part(invoice_id)}"
        response = await self._rest.request("GET", path, accept=(NOT_FOUND,))
        return _object(response.json()) if response.ok else None

    async def register_webhook(self, callback_url: str) -> Registration:
        """Ask for events at this address; there is one registration a tenant, a new one replaces
        it. The signature comes in a header of its own."""
        path = "/webhooks/v1/registration"
        body = {
            "WebhookUrl": callback_url,
            "WebhookEvents": list(EVENTS),
            "SignatureTokenToMsSignatureHeader": True,
        }
        known = await self._rest.request("GET", path, accept=(NOT_FOUND,))
        method = "PUT" if known.ok else "POST"
        fields = Fields((await self._rest.request(method, path, json=body)).json())
        events = tuple(str(e) for e in fields.sequence("WebhookEvents"))
        return Registration(fields.text("SubscriberId"), fields.text("WebhookUrl"), events)

    async def price_sheet(self, market: str, view: str = LICENCE_VIEW) -> bytes:
        """The CSV of a market in force this month."""
        path = f"/v1.0/sales/pricesheets(Market='{market}',PricesheetView='{view}')/$value"
        response = await self._pricing.request(
            "GET", path, params={"timeline": "current"}, headers={"Accept": "*/*"}
        )
        return response.content

    async def _pages(
        self, path: str, params: Mapping[str, str | int | bool | None]
    ) -> AsyncIterator[list[Document]]:
        token: str | None = None
        while True:
            query = dict(params) if token is None else {**params, "seekOperation": "Next"}
            headers = {} if token is None else {TOKEN_HEADER: token}
            body = (await self._rest.request("GET", path, params=query, headers=headers)).json()
            yield _items(body)
            following = _continuation(body)
            if following is None or following == token:
                return
            token = following


def _continuation(body: Any) -> str | None:
    links = Fields(Fields(_object(body)).mapping("links"))
    for header in Fields(links.mapping("next")).sequence("headers"):
        if isinstance(header, Mapping):
            pair = Fields(header)
            if pair.text("key").casefold() == TOKEN_HEADER.casefold():
                return pair.text("value") or None
    return None


def _items(body: Any) -> list[Document]:
    items: Sequence[Any] = Fields(_object(body)).sequence("items")
    return [item for item in items if isinstance(item, Mapping)]


def _object(body: Any) -> Document:
    return body if isinstance(body, Mapping) else {}


def _part(text: str) -> str:
    return quote(text, safe="")


def customer_path(customer_id: str) -> str:
    return f"/v1/customers/{_part(customer_id)}"


def subscription_path(customer_id: str, subscription_id: str) -> str:
    return f"{customer_path(customer_id)}/subscriptions/{_part(subscription_id)}"


__all__ = [
    "EVENTS",
    "LICENCE_VIEW",
    "CallIds",
    "PartnerCenter",
    "ProviderRefused",
    "Registration",
    "customer_path",
    "subscription_path",
]
