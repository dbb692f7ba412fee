"""Audit records and webhook registration: how a partner learns of changes."""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.routing import Route

from simulators.exact_json import Document
from simulators.http_messages import Answer
from simulators.partner_center.audit import AuditQuery, audit_resource
from simulators.partner_center.edge import call_of, grant_of
from simulators.partner_center.notifications import EVENTS
from simulators.partner_center.paging import Seek, seek_collection
from simulators.partner_center.records import Registration, ValidationEvent, guid
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.shop import Shop

PAGE = 500
VALIDATIONS_PER_MINUTE = 2


class ActivityApi:
    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._validations: deque[float] = deque(maxlen=VALIDATIONS_PER_MINUTE)

    def routes(self) -> list[Route]:
        hooks = "/webhooks/v1/registration"
        return [
            Route("/v1/auditrecords", self._list),
            Route("/auditactivity/v1/auditrecords/{record}", self._get),
            Route(hooks, self._register, methods=["POST", "PUT"]),
            Route(hooks, self._registration, methods=["GET"]),
            Route(hooks + "/events", self._events),
            Route(hooks + "/validationEvents", self._validate, methods=["POST"]),
            Route(hooks + "/validationEvents/{correlation}", self._validation),
            Route("/certificates/notifications.cer", self._certificate),
            Route("/certificates/foreign.cer", self._foreign_certificate),
        ]

    async def _list(self, request: Request) -> Answer:
        call, grant = call_of(request), grant_of(request)
        seek = Seek.parse(call, PAGE)
        found = self._shop.audit.find(
            grant.tenant_id, AuditQuery.parse(call.parameters), self._shop.now
        )
        lag = self._shop.books.switches.lag_audit
        found = self._shop.lags.visible("audit", found, lambda r: r.id, lag)
        page, token = seek.page(found, lambda r: r.id)
        items = [audit_resource(r) for r in page]
        return Answer.of(200, seek_collection("/auditrecords", call, items, len(found), token))

    async def _get(self, request: Request) -> Answer:
        record = self._shop.books.audit_record(request.path_params["record"])
        if record is None or record.tenant_id != grant_of(request).tenant_id:
            raise Refusal(1000)
        return Answer.of(200, audit_resource(record))

    async def _register(self, request: Request) -> Answer:
        """POST creates, PUT replaces; there is one registration a tenant."""
        tenant, body = grant_of(request).tenant_id, call_of(request).json()
        known = self._shop.books.registrations.get(tenant)
        if request.method == "PUT" and known is None:
            raise Refusal(1000)
        if not set(body["WebhookEvents"]) <= set(EVENTS):
            raise Refusal(3000)
        registration = Registration(
            subscriber_id=known.subscriber_id if known else guid("subscriber", tenant),
            url=body["WebhookUrl"],
            events=body["WebhookEvents"],
            ms_signature_header=bool(body.get("SignatureTokenToMsSignatureHeader", False)),
        )
        self._shop.books.registrations[tenant] = registration
        shown = {"SubscriberId": registration.subscriber_id, **_registration(registration)}
        return Answer.of(200, shown)

    async def _registration(self, request: Request) -> Answer:
        known = self._shop.books.registrations.get(grant_of(request).tenant_id)
        if known is None:
            raise Refusal(1000)
        return Answer.of(200, _registration(known))

    async def _events(self, request: Request) -> Answer:
        del request
        return Answer.of(200, list(EVENTS))

    async def _validate(self, request: Request) -> Answer:
        tenant = grant_of(request).tenant_id
        registration = self._shop.books.registrations.get(tenant)
        if registration is None or "test-created" not in registration.events:
            raise Refusal(3000)
        now = time.monotonic()
        full = len(self._validations) == VALIDATIONS_PER_MINUTE
        if full and now - self._validations[0] < 60:
            text = "Rate limit is exceeded. Try again in 60 seconds."
            return Answer.of(429, {"statusCode": 429, "message": text}, retry_after="60")
        self._validations.append(now)
        correlation = self._shop.books.next_id("validation")
        delivery = self._shop.notifications.test_created(tenant, correlation, self._shop.now)
        if delivery is not None:
            event = ValidationEvent(
                correlation_id=correlation,
                tenant_id=tenant,
                callback_url=registration.url,
                delivery_id=delivery.id,
            )
            self._shop.books.validation_events.append(event)
        return Answer.of(200, {"correlationId": correlation})

    async def _validation(self, request: Request) -> Answer:
        wanted, tenant = request.path_params["correlation"], grant_of(request).tenant_id
        for event in self._shop.books.validation_events:
            if (event.correlation_id, event.tenant_id) == (wanted, tenant):
                return Answer.of(200, self._validation_result(event))
        raise Refusal(1000)

    def _validation_result(self, event: ValidationEvent) -> Document:
        found = [d for d in self._shop.notifications.deliveries.find() if d.id == event.delivery_id]
        attempts = [a for d in found for a in d.attempts]
        running = any(d.state == "queued" for d in found)
        return {
            "correlationId": event.correlation_id,
            "partnerId": event.tenant_id,
            "status": "in progress" if running else "completed",
            "callbackUrl": event.callback_url,
            "results": [
                {
                    "responseCode": "OK" if a.status == 200 else str(a.status or ""),
                    "responseMessage": a.error or "",
                    "systemError": a.status is None,
                    "dateTimeUtc": datetime.fromtimestamp(a.at, UTC).isoformat(),
                }
                for a in attempts
            ],
        }

    async def _certificate(self, request: Request) -> Answer:
        del request
        return _certificate_file(self._shop.certificate.leaf_der)

    async def _foreign_certificate(self, request: Request) -> Answer:
        del request
        return _certificate_file(self._shop.certificate.foreign.leaf_der)


def _registration(registration: Registration) -> Document:
    return {"WebhookUrl": registration.url, "WebhookEvents": registration.events}


def _certificate_file(der: bytes) -> Answer:
    return Answer(200, der, {"content-type": "application/pkix-cert"})
