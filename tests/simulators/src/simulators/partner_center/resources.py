"""State as the JSON that the REST API answers, property by property."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from shared.kernel.ids import sha256_hex
from shared.kernel.periods import start_of, utc_day
from simulators.exact_json import Document
from simulators.partner_center.instants import last_second, midnight, plain, precise
from simulators.partner_center.records import (
    WINDOW,
    Cart,
    Customer,
    Instructions,
    Invoice,
    Kind,
    Order,
    Subscription,
    trial_successor,
)
from simulators.partner_center.terms import charge_cycle_end

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}


def link(uri: str) -> Document:
    return {"uri": uri, "method": "GET", "headers": []}


def customer(record: Customer) -> Document:
    profile = {
        "tenantId": record.id,
        "domain": record.domain,
        "companyName": record.name,
        "attributes": {"objectType": "CustomerCompanyProfile"},
    }
    return {
        "id": record.id,
        "companyProfile": profile,
        "relationshipToPartner": "reseller",
        "links": {"self": link(f"/customers/{record.id}")},
        "attributes": {"objectType": "Customer"},
    }


def customer_in_full(record: Customer) -> Document:
    address = {"country": record.country, "city": "", "addressLine1": "", "postalCode": ""}
    whole = customer(record)
    whole["companyProfile"] |= {"email": record.email, "address": address}
    whole["billingProfile"] = {
        "id": record.id,
        "email": record.email,
        "culture": "en-US",
        "language": "en",
        "companyName": record.name,
        "defaultAddress": address,
        "attributes": {"objectType": "CustomerBillingProfile"},
    }
    whole["allowDelegatedAccess"] = True
    whole["customDomains"] = [record.domain]
    return whole


def subscription(record: Subscription, now: datetime) -> Document:
    """One subscription as it reads at `now`: what may still be undone depends on the hour."""
    licence = record.kind is Kind.LICENCE
    product_type = "OnlineServicesNCE" if licence else "Azure"
    document: Document = {
        "id": record.id,
        "offerId": record.offer_id,
        "offerName": record.name,
        "friendlyName": record.friendly_name,
        "productType": {"id": product_type, "displayName": product_type},
        "quantity": record.quantity,
        "unitType": "Licenses" if licence else "Usage-based",
        "hasPurchasableAddons": False,
        "creationDate": precise(record.bought_at),
        "effectiveStartDate": midnight(record.term_start),
        "status": record.status,
        "autoRenewEnabled": record.auto_renew,
        "isTrial": record.is_trial,
        "billingType": "license" if licence else "usage",
        "billingCycle": record.billing_plan,
        "termDuration": record.term,
        "isMicrosoftProduct": True,
        "partnerId": record.partner_id,
        "contractType": "subscription",
        "promotionId": record.promotion_id,
        "orderId": record.order_id,
        "publisherName": "Microsoft Corporation",
        "attentionNeeded": False,
        "actionTaken": False,
        "links": {"self": link(f"/customers/{record.customer_id}/subscriptions/{record.id}")},
        "attributes": {"etag": etag(record), "objectType": "Subscription"},
    }
    if licence:
        document |= _term(record, now)
    else:
        document["commitmentEndDate"] = "9999-12-14T00:00:00Z"
    return document | _optional(record, now)


def etag(record: Subscription) -> str:
    return f"{sha256_hex(record.id.encode())[:16]}-{record.version}"


def order(record: Order) -> Document:
    base = f"/customers/{record.customer_id}/orders/{record.id}"
    return {
        "id": record.id,
        "alternateId": record.id,
        "referenceCustomerId": record.customer_id,
        "billingCycle": record.lines[0].billing_plan,
        "currencyCode": record.currency,
        "currencySymbol": _SYMBOLS.get(record.currency, record.currency),
        "lineItems": [
            {
                "lineItemNumber": line.number,
                "offerId": line.offer_id,
                "subscriptionId": line.subscription_id,
                "parentSubscriptionId": line.parent_id,
                "friendlyName": line.name,
                "quantity": line.quantity,
                "termDuration": line.term,
                "billingCycle": line.billing_plan,
                "transactionType": "new",
                "partnerIdOnRecord": line.partner_id or None,
                "promotionId": line.promotion_id,
                "links": {
                    "subscription": link(
                        f"/customers/{record.customer_id}/subscriptions/{line.subscription_id}"
                    )
                },
            }
            for line in record.lines
        ],
        "creationDate": precise(record.created_at),
        "transactionType": "UserPurchase",
        "status": "completed",
        "links": {"self": link(base), "provisioningStatus": link(f"{base}/provisioningstatus")},
        "attributes": {"objectType": "Order"},
    }


def cart(record: Cart) -> Document:
    return {
        "id": record.id,
        "creationTimestamp": precise(record.created_at),
        "lastModifiedTimestamp": precise(record.modified_at),
        "expirationTimestamp": precise(record.expires_at),
        "status": record.status,
        "lineItems": [
            {"orderGroup": "0", **line, "id": number} for number, line in enumerate(record.lines)
        ],
        "links": {"self": link(f"/customers/{record.customer_id}/carts/{record.id}")},
        "attributes": {"objectType": "Cart"},
    }


def invoice(record: Invoice) -> Document:
    """The header only; its lines come through the export. The PDF link leads nowhere."""
    detail = {
        "invoiceLineItemType": "billing_line_items",
        "billingProvider": "one_time",
        "links": {
            "self": link(f"/invoices/OneTime-{record.id}/lineitems/OneTime/BillingLineItems")
        },
        "attributes": {"objectType": "InvoiceDetail"},
    }
    document: Document = {
        "id": record.id,
        "invoiceDate": midnight(record.invoice_date),
        "billingPeriodStartDate": midnight(record.period_start),
        "billingPeriodEndDate": midnight(record.period_end),
        "totalCharges": record.total,
        "paidAmount": record.paid,
        "currencyCode": record.currency,
        "currencySymbol": _SYMBOLS.get(record.currency, record.currency),
        "pdfDownloadLink": f"/invoices/{record.id}/documents/statement",
        "invoiceDetails": [detail],
        "documentType": record.document_type,
        "invoiceType": "OneTime",
        "state": "active",
        "links": {"self": link(f"/invoices/OneTime-{record.id}")},
        "attributes": {"objectType": "Invoice"},
    }
    if record.amends:
        document["amendsOf"] = record.amends
    return document


def _term(record: Subscription, now: datetime) -> Document:
    day = max(utc_day(now), record.term_start)
    cycle_end = charge_cycle_end(record.term_start, record.commitment_end, record.billing_plan, day)
    allowed_until = record.window_opened_at + WINDOW
    return {
        "commitmentEndDate": midnight(record.commitment_end),
        "commitmentEndDateTime": last_second(record.commitment_end),
        "billingCycleEndDate": midnight(cycle_end),
        "billingCycleEndDateTime": last_second(cycle_end),
        "cancellationAllowedUntilDate": plain(allowed_until),
        "renewalTermDuration": (record.next_term and record.next_term.term) or record.term,
        "refundOptions": _refund_options(record, now),
        "refundableQuantity": _refundable_quantity(record, now),
    }


def _refund_options(record: Subscription, now: datetime) -> list[Document]:
    """Full until the next midnight, then part until the window closes."""
    full_until = start_of(utc_day(record.window_opened_at) + timedelta(days=1))
    partial_until = record.window_opened_at + WINDOW
    options = [("Full", full_until), ("Partial", partial_until)]
    return [{"type": kind, "expiresAt": plain(until)} for kind, until in options if now <= until]


def _refundable_quantity(record: Subscription, now: datetime) -> Document:
    details = [
        {"quantity": b.quantity, "allowedUntilDateTime": plain(b.removable_until)}
        for b in record.open_batches(now)
    ]
    return {"totalQuantity": record.refundable(now), "details": details}


def _optional(record: Subscription, now: datetime) -> Document:
    """Properties that are there only when they say something."""
    found: Document = {}
    if record.parent_id:
        found["parentSubscriptionId"] = record.parent_id
    if record.migrated_from_id:
        found["migratedFromSubscriptionId"] = record.migrated_from_id
    if record.entitlement_id:
        found["entitlementId"] = record.entitlement_id
    if record.suspension_reasons:
        found["suspensionReasons"] = record.suspension_reasons
    wanted_next = record.next_term or (trial_successor() if record.is_trial else None)
    if wanted_next is not None:
        found["scheduledNextTermInstructions"] = _instructions(record, wanted_next)
    if record.next_charge_plan is not None:
        wanted = Instructions(billing_plan=record.next_charge_plan)
        pending = _instructions(record, wanted)
        found["nextChargeInstructions"] = {k: pending[k] for k in ("product", "quantity")}
    if record.scheduled_actions:
        found["scheduledActions"] = [
            {"scheduleType": a.schedule_type, "actionType": a.action_type.value}
            for a in record.scheduled_actions
        ]
    return found


def _instructions(record: Subscription, wanted: Instructions) -> Document:
    end = wanted.custom_term_end
    product: dict[str, Any] = {
        "productId": wanted.product_id or record.product_id,
        "skuId": wanted.sku_id or record.sku_id,
        "availabilityId": wanted.availability_id or record.availability_id,
        "billingCycle": (wanted.billing_plan or record.billing_plan).capitalize(),
        "termDuration": wanted.term or record.term,
        "promotionId": wanted.promotion_id or "",
    }
    return {
        "product": product,
        "quantity": record.quantity if wanted.quantity is None else wanted.quantity,
        "customTermEndDate": midnight(end) if end else None,
    }
