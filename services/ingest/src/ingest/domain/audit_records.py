"""What a provider's activity record says about subscriptions: before, after, when, by whom.

A record may be about a subscription or about an order that holds several; values are JSON inside a
string, in Pascal case, either side may be missing. Unknown operations are kept, never refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ingest.domain.documents import Fields, identifier
from shared.kernel.errors import Invalid
from shared.kernel.ids import sha256_hex

SUCCEEDED, FAILED = "succeeded", "failed"
_UPGRADES = frozenset({"upgrade_subscription", "convert_trial_subscription"})
_CREATING = ("", "new", "convert", "trial", "purchase")
_TELLING = ("error", "reason", "message", "description", "code", "detail")


@dataclass(frozen=True, slots=True)
class Touch:
    """What one record says of one subscription; resources as printed, possibly partial."""

    subscription_id: str
    creates: bool
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    key: str  # the provider's id; the hash of the record where it has none
    has_provider_id: bool
    customer_id: str
    operation: str
    resource_type: str
    status: str  # succeeded, failed, progress
    at: datetime
    actor: str
    touches: tuple[Touch, ...]
    words: str  # the provider's own words about a refusal; empty otherwise
    document: Mapping[str, Any]
    correlation_id: str = ""  # common to the records of one operation
    application_id: str = ""
    related: tuple[str, ...] = ()  # subscriptions between which an upgrade moved seats
    order_id: str = ""  # of the order that it is about, or that the subscription came from

    @property
    def is_upgrade(self) -> bool:
        return self.operation in _UPGRADES

    @property
    def is_transfer(self) -> bool:
        return self.resource_type == "transfer"

    def counterpart_of(self, subscription_id: str) -> str | None:
        """The other side of an upgrade."""
        return next((other for other in self.related if other != subscription_id), None)

    def touch(self, subscription_id: str) -> Touch | None:
        """What it says of this subscription."""
        return next((t for t in self.touches if t.subscription_id == subscription_id), None)


def read_audit_record(document: Mapping[str, Any]) -> AuditRecord:
    """The typed form of an activity record.

    Raises:
        Invalid: `audit_record_undated` when it does not say when, or what a malformed field says.
    """
    fields = Fields(document)
    at = fields.instant("operationDate")
    if at is None:
        raise Invalid("audit_record_undated", "operationDate is missing")
    provider_id = fields.text("id", "auditRecordId")
    status = fields.text("operationStatus").casefold() or SUCCEEDED
    return AuditRecord(
        key=provider_id or hash_of(fields),
        has_provider_id=bool(provider_id),
        customer_id=fields.ident("customerId"),
        operation=fields.text("operationType").casefold(),
        resource_type=fields.text("resourceType").casefold(),
        status=status,
        at=at,
        actor=fields.text("userPrincipalName") or fields.text("applicationId"),
        touches=_touches(fields),
        words=_words(fields) if status == FAILED else "",
        document=document,
        correlation_id=fields.ident("originalCorrelationId"),
        application_id=fields.ident("applicationId"),
        related=_related(fields),
        order_id=_customized(fields).get("orderid", ""),
    )


def _related(fields: Fields) -> tuple[str, ...]:
    custom = _customized(fields)
    named = (custom.get(name, "") for name in ("fromsubscriptionid", "tosubscriptionid"))
    return tuple(identifier(value) for value in named if value)


def hash_of(fields: Fields) -> str:
    """The identity of a record without an id."""
    names = (
        "operationDate", "operationType", "customerId", "originalCorrelationId", "resourceNewValue",
    )  # fmt: skip
    parts = "\x1f".join(_as_text(fields.value(name)) for name in names)
    return f"hash:{sha256_hex(parts.encode())}"


def _as_text(value: object) -> str:
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True, default=str)
    return "" if value is None else str(value)


def _resource(fields: Fields, name: str) -> Mapping[str, Any] | None:
    """The JSON inside the string; None where there is none that can be read."""
    value = fields.value(name)
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_float=Decimal)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) else None


def _touches(fields: Fields) -> tuple[Touch, ...]:
    before, after = _resource(fields, "resourceOldValue"), _resource(fields, "resourceNewValue")
    custom = _customized(fields)
    operation = fields.text("operationType").casefold()
    resource_type = fields.text("resourceType").casefold()
    if resource_type == "order":
        return _order_touches(operation, before, after, custom)
    if resource_type == "transfer":
        return _transfer_touches(fields, after)
    return _subscription_touches(operation, before, after, custom)


def _subscription_touches(
    operation: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    custom: Mapping[str, str],
) -> tuple[Touch, ...]:
    if "subscription" not in operation:
        return ()
    found = Fields(after or {}).ident("id") or Fields(before or {}).ident("id")
    found = found or identifier(custom.get("subscriptionid", custom.get("subscriptionid-0", "")))
    if not found:
        return ()
    creates = operation.startswith("create") or (operation in _UPGRADES and before is None)
    return (Touch(found, creates, before, after),)


def _transfer_touches(fields: Fields, after: Mapping[str, Any] | None) -> tuple[Touch, ...]:
    """Subscriptions that left to another partner, or came from one, when all is done."""
    transfer = Fields(after or {})
    if not transfer.text("status").casefold().startswith("complete"):
        return ()
    us = fields.ident("partnerId")
    leaves = transfer.ident("sourcePartnerTenantId") == us
    end = {"status": "deleted"} if leaves else {}
    return tuple(
        Touch(subscription_id, not leaves, None, {**line, **end})
        for subscription_id, line in _order_lines(after).items()
    )


def _order_touches(
    operation: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    custom: Mapping[str, str],
) -> tuple[Touch, ...]:
    old, new = _order_lines(before), _order_lines(after)
    if operation == "create_order":
        lines = new or _customized_lines(custom)
        return tuple(
            Touch(subscription_id, _creates(line), None, line)
            for subscription_id, line in lines.items()
        )
    return tuple(
        Touch(subscription_id, False, old[subscription_id], line)
        for subscription_id, line in new.items()
        if subscription_id in old
    )


def _creates(line: Mapping[str, Any]) -> bool:
    return Fields(line).text("transactionType").casefold() in _CREATING


def _order_lines(order: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    """Order lines by subscription, as (partial) subscription resources."""
    if order is None:
        return {}
    fields = Fields(order)
    found: dict[str, Mapping[str, Any]] = {}
    for item in fields.sequence("lineItems"):
        if isinstance(item, Mapping) and (key := Fields(item).ident("subscriptionId")):
            cycle = Fields(item).text("billingCycle") or fields.text("billingCycle")
            found[key] = {**item, "billingCycle": cycle}
    return found


def _customized(fields: Fields) -> dict[str, str]:
    pairs = {}
    for item in fields.sequence("customizedData"):
        if isinstance(item, Mapping):
            pair = Fields(item)
            pairs[pair.text("key").casefold()] = pair.text("value")
    return pairs


def _customized_lines(custom: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """`SubscriptionId-0`, `OfferId-0`, `Quantity-0`: all there is where no order is shown."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, value in custom.items():
        prefix, _, number = name.partition("-")
        if prefix == "subscriptionid" and value:
            line = {"offerId": f"offerid-{number}", "quantity": f"quantity-{number}"}
            found[identifier(value)] = {k: custom[v] for k, v in line.items() if custom.get(v)}
    return found


def _words(fields: Fields) -> str:
    """Why the provider refused, as far as the record says."""
    custom = fields.sequence("customizedData")
    told = [
        f"{pair.text('key')}: {pair.text('value')}"
        for pair in (Fields(item) for item in custom if isinstance(item, Mapping))
        if any(word in pair.text("key").casefold() for word in _TELLING) and pair.text("value")
    ]
    return "; ".join(told) or f"{fields.text('operationType')} failed; no reason given"
