"""Stripe's objects with the fields of our document, freshly made."""

from __future__ import annotations

import hashlib

from simulators.exact_json import Document
from simulators.stripe.outcomes import brand_of_token, type_of_token


def customer(id: str, given: Document, now: int) -> Document:
    settings = given.get("invoice_settings", {})
    return {
        "id": id,
        "object": "customer",
        "created": now,
        "currency": None,
        "email": given.get("email"),
        "name": given.get("name"),
        "description": given.get("description"),
        "metadata": given.get("metadata", {}),
        "address": given.get("address"),
        "shipping": None,
        "balance": 0,
        "delinquent": False,
        "invoice_settings": {"default_payment_method": settings.get("default_payment_method")},
        "livemode": False,
        "tax_exempt": given.get("tax_exempt", "none"),
        "phone": given.get("phone"),
        "preferred_locales": given.get("preferred_locales", []),
    }


def payment_method(id: str, token: str, now: int, *, customer: str | None) -> Document:
    kind = type_of_token(token)
    return {
        "id": id,
        "object": "payment_method",
        "type": kind,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "customer": customer,
        "created": now,
        "livemode": False,
        "metadata": {},
        "allow_redisplay": "unspecified",
        kind: _details(kind, token),
    }


def _details(kind: str, token: str) -> Document:
    """Display data only: there is no card number or account behind a token."""
    fingerprint = hashlib.sha256(token.encode()).hexdigest()[:16]
    if kind == "card":
        return {
            "brand": brand_of_token(token),
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": fingerprint,
            "funding": "credit",
            "last4": "4242",
            "networks": None,
            "wallet": None,
        }
    if kind == "sepa_debit":
        return {
            "bank_code": "37040044",
            "country": "DE",
            "fingerprint": fingerprint,
            "last4": "3000",
        }
    if kind == "bacs_debit":
        return {"fingerprint": fingerprint, "last4": "2345", "sort_code": "108800"}
    return {
        "account_holder_type": "company",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "fingerprint": fingerprint,
        "last4": "6789",
        "routing_number": "110000000",
        "status_details": None,
    }


def payment_intent(id: str, given: Document, now: int, types: list[str]) -> Document:
    return {
        "id": id,
        "object": "payment_intent",
        "amount": given["amount"],
        "amount_received": 0,
        "amount_capturable": 0,
        "cancellation_reason": None,
        "canceled_at": None,
        "capture_method": given.get("capture_method", "automatic_async"),
        "client_secret": f"{id}_secret_simulated",
        "confirmation_method": "automatic",
        "created": now,
        "currency": given["currency"],
        "customer": given.get("customer"),
        "description": given.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": given.get("metadata", {}),
        "next_action": None,
        "payment_method": given.get("payment_method"),
        "payment_method_types": types,
        "processing": None,
        "receipt_email": given.get("receipt_email"),
        "setup_future_usage": given.get("setup_future_usage"),
        "statement_descriptor_suffix": given.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
    }


def setup_intent(id: str, given: Document, now: int) -> Document:
    return {
        "id": id,
        "object": "setup_intent",
        "created": now,
        "customer": given.get("customer"),
        "client_secret": f"{id}_secret_simulated",
        "last_setup_error": None,
        "livemode": False,
        "mandate": None,
        "metadata": given.get("metadata", {}),
        "next_action": None,
        "payment_method": given.get("payment_method"),
        "payment_method_types": given.get("allowed_payment_method_types", ["card"]),
        "status": "requires_payment_method",
        "usage": given.get("usage", "off_session"),
        "cancellation_reason": None,
    }


def charge(id: str, intent: Document, method: Document, now: int) -> Document:
    """A pending charge; its fate is written into it afterwards."""
    return {
        "id": id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "captured": False,
        "created": now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": intent["metadata"],
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {
            "type": method["type"],
            method["type"]: method[method["type"]],
        },
        "receipt_url": None,
        "refunded": False,
        "status": "pending",
    }


def balance_transaction(
    id: str, *, source: str, kind: str, amount: int, fee: int, currency: str, now: int
) -> Document:
    details = [
        {
            "amount": fee,
            "application": None,
            "currency": currency,
            "description": "Processing fees",
            "type": "stripe_fee",
        }
    ]
    return {
        "id": id,
        "object": "balance_transaction",
        "amount": amount,
        "available_on": now + 2 * 86_400,
        "balance_type": "payments",
        "created": now,
        "currency": currency,
        "description": None,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": details if fee else [],
        "net": amount - fee,
        "reporting_category": kind,
        "source": source,
        "status": "pending",
        "type": kind,
    }


def refund(id: str, charge: Document, given: Document, amount: int, now: int) -> Document:
    return {
        "id": id,
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "failure_balance_transaction": None,
        "failure_reason": None,
        "metadata": given.get("metadata", {}),
        "payment_intent": charge["payment_intent"],
        "pending_reason": None,
        "reason": given.get("reason"),
        "status": "succeeded",
    }


def outcome(kind: str, reason: str | None) -> Document:
    authorized = kind == "authorized"
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if authorized else "declined_by_network",
        "reason": reason,
        "risk_level": "normal",
        "seller_message": "Payment complete." if authorized else "The bank declined the payment.",
        "type": kind,
    }
