"""Webhooks: who is registered for what, the payload, and the headers that prove its origin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from simulators.deliveries import Deliveries, Delivery
from simulators.exact_json import Document, dumps
from simulators.frame import Simulator
from simulators.partner_center.books import Books
from simulators.partner_center.certificates import NotificationCertificate
from simulators.partner_center.instants import precise_offset
from simulators.partner_center.records import AuditRecord, Invoice, Subscription

PUBLIC_BASE = "https://api.partnercenter.microsoft.com"
CERTIFICATE_PATH = "/partner-center/certificates/notifications.cer"
FOREIGN_CERTIFICATE_PATH = "/partner-center/certificates/foreign.cer"

EVENTS = (
    "azure-fraud-event-detected",
    "dap-admin-relationship-approved",
    "dap-admin-relationship-terminated",
    "dap-admin-relationship-terminated-by-microsoft",
    "granular-admin-access-assignment-activated",
    "granular-admin-access-assignment-created",
    "granular-admin-access-assignment-deleted",
    "granular-admin-access-assignment-updated",
    "granular-admin-relationship-activated",
    "granular-admin-relationship-approved",
    "granular-admin-relationship-expired",
    "granular-admin-relationship-terminated",
    "invoice-ready",
    "new-commerce-migration-completed",
    "new-commerce-migration-created",
    "new-commerce-migration-failed",
    "new-commerce-migration-schedule-failed",
    "referral-created",
    "referral-updated",
    "related-referral-created",
    "related-referral-updated",
    "reseller-relationship-accepted-by-customer",
    "subscription-updated",
    "test-created",
    "usagerecords-thresholdExceeded",
)


class Notifications:
    """Posts events of one tenant to the address that tenant registered, if it wants them."""

    def __init__(self, simulator: Simulator, certificate: NotificationCertificate) -> None:
        self._certificate = certificate
        self._base_url = simulator.world.base_url
        self.deliveries = Deliveries(simulator, self._headers)
        self.books = Books()

    def subscription_updated(self, subscription: Subscription, record: AuditRecord) -> None:
        customer = self.books.customer(subscription.customer_id)
        uri = f"{PUBLIC_BASE}/webhooks/v1/customers/{customer.id}/subscriptions/{subscription.id}"
        event = _event("subscription-updated", uri, "subscription", record, record.at)
        self._post(customer.tenant_id, event)

    def invoice_ready(self, invoice: Invoice, record: AuditRecord) -> None:
        uri = f"{PUBLIC_BASE}/v1/invoices/{invoice.id}"
        self._post(invoice.tenant_id, _event("invoice-ready", uri, "invoice", record, record.at))

    def test_created(self, tenant_id: str, correlation_id: str, at: datetime) -> Delivery | None:
        uri = f"{PUBLIC_BASE}/webhooks/v1/registration/validationEvents/{correlation_id}"
        return self._post(tenant_id, _event("test-created", uri, "test", None, at))

    def _post(self, tenant_id: str, event: Document) -> Delivery | None:
        registration = self.books.registrations.get(tenant_id)
        if registration is None or event["EventName"] not in registration.events:
            return None
        identity = self.books.next_id("webhook")
        return self.deliveries.send(registration.url, dumps(event), event["EventName"], id=identity)

    def _headers(self, body: bytes) -> Mapping[str, str]:
        """Signed anew for every attempt; the switches can make it a forgery."""
        forgery = self.books.switches.forgery
        foreign = forgery == "foreign_chain"
        signer = self._certificate.foreign if foreign else self._certificate
        signature = signer.sign(body + b" " if forgery == "bad_signature" else body)
        path = FOREIGN_CERTIFICATE_PATH if foreign else CERTIFICATE_PATH
        in_own_header = any(r.ms_signature_header for r in self.books.registrations.values())
        return {
            "content-type": "application/json",
            "x-ms-signature" if in_own_header else "authorization": f"Signature {signature}",
            "x-ms-certificate-url": f"{self._base_url}{path}",
            "x-ms-signature-algorithm": "rsa-sha256",
        }


def _event(
    name: str, uri: str, resource: str, record: AuditRecord | None, at: datetime
) -> Document:
    audit_uri = f"{PUBLIC_BASE}/auditactivity/v1/auditrecords/{record.id}" if record else None
    return {
        "EventName": name,
        "ResourceUri": uri,
        "ResourceName": resource,
        "AuditUri": audit_uri,
        "ResourceChangeUtcDate": precise_offset(at),
    }
