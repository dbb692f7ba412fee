"""What Stripe refuses before it charges anything."""

from __future__ import annotations

from simulators.exact_json import Document
from simulators.stripe.errors import StripeError, error, invalid
from simulators.stripe.outcomes import DEBITS

SMALLEST = {"gbp": 30}  # elsewhere 50


def check_amount(given: Document) -> None:
    currency = given["currency"].lower()
    if len(currency) != 3 or not currency.isalpha():
        raise invalid(f"Invalid currency: {given['currency']}", param="currency")
    if given["amount"] < SMALLEST.get(currency, 50):
        text = f"Amount must be at least {SMALLEST.get(currency, 50)} {currency}."
        raise invalid(text, code="amount_too_small", param="amount")


def check_type(method: Document, types: list[str], currency: str) -> None:
    if method["type"] not in types:
        text = f"This payment does not accept the type {method['type']}."
        raise invalid(text, code="payment_intent_incompatible_payment_method")
    if DEBITS.get(method["type"], currency) != currency:
        text = f"{method['type']} cannot collect {currency}."
        raise invalid(text, code="payment_method_currency_mismatch")


def unexpected_state(intent: Document, what: str) -> StripeError:
    text = f"This PaymentIntent could not be {what} because it has a status of {intent['status']}."
    more = {"code": "payment_intent_unexpected_state", "payment_intent": intent}
    return StripeError(error(400, "invalid_request_error", text, **more))
