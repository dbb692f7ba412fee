"""What a change notification says: that something happened to a thing, and hardly more.

There is no event id and no data in it. Only the two GUIDs of `ResourceUri` and the id at the end of
`AuditUri` are used; an address in a payload is never called.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from ingest.domain.documents import Fields, identifier
from shared.kernel.errors import Invalid
from shared.kernel.ids import derived_id

SUBSCRIPTION_UPDATED = "subscription-updated"
INVOICE_READY = "invoice-ready"
TEST_CREATED = "test-created"

_SEGMENT = r"[^/?#]{1,200}"
_SUBSCRIPTION = re.compile(rf"/customers/({_SEGMENT})/subscriptions/({_SEGMENT})/?$", re.IGNORECASE)
_INVOICE = re.compile(rf"/invoices/({_SEGMENT})/?$", re.IGNORECASE)
_AUDIT = re.compile(rf"/auditrecords/({_SEGMENT})/?$", re.IGNORECASE)
_EVENT = re.compile(r"[a-z0-9_.\-]{1,100}")
_SAFE_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,200}")


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification. Repeats of it have the same `id`."""

    id: str
    event_name: str
    resource_uri: str
    changed_at: datetime | None
    customer_id: str | None = None
    subscription_id: str | None = None
    invoice_id: str | None = None
    audit_record_id: str | None = None


def read_notification(body: bytes) -> Notification:
    """The notification in a webhook's body.

    Raises:
        Invalid: `webhook_not_json`, `webhook_without_event`, `webhook_without_resource` for a
            subscription event that does not name its subscription, or a malformed time.
    """
    fields = Fields(_document(body))
    event_name, uri = fields.text("EventName").casefold(), fields.text("ResourceUri")
    if not _EVENT.fullmatch(event_name):
        raise Invalid("webhook_without_event", f"EventName is {event_name[:100]!r}")
    subscription = _SUBSCRIPTION.search(_path(uri))
    if event_name == SUBSCRIPTION_UPDATED and not _is_safe(subscription, 2):
        raise Invalid("webhook_without_resource", f"no customer and subscription in {uri[:200]!r}")
    invoice = _INVOICE.search(_path(uri))
    audit = _AUDIT.search(_path(fields.text("AuditUri", "AuditUrl")))
    return Notification(
        id=identity_of(fields),
        event_name=event_name,
        resource_uri=uri,
        changed_at=fields.instant("ResourceChangeUtcDate"),
        customer_id=_group(subscription, 1),
        subscription_id=_group(subscription, 2),
        invoice_id=_group(invoice, 1),
        audit_record_id=_group(audit, 1),
    )


def identity_of(fields: Fields) -> str:
    """The same for every repeat of a notification: event, resource and time, as printed."""
    names = ("EventName", "ResourceUri", "ResourceChangeUtcDate")
    return derived_id("webhook", *(fields.text(name).replace("\x1f", " ") for name in names))


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except ValueError as error:
        raise Invalid("webhook_not_json", str(error)) from error
    if not isinstance(document, dict):
        raise Invalid("webhook_not_json", "the body is not an object")
    return document


def _path(uri: str) -> str:
    try:
        return unquote(urlsplit(uri).path)
    except ValueError:
        return ""


def _is_safe(match: re.Match[str] | None, groups: int) -> bool:
    return match is not None and all(_group(match, i + 1) for i in range(groups))


def _group(match: re.Match[str] | None, number: int) -> str | None:
    """An id of the path; None unless it is one that can stand in a path of ours."""
    if match is None or not _SAFE_ID.fullmatch(match[number]) or match[number].strip(".") == "":
        return None
    return identifier(match[number])
