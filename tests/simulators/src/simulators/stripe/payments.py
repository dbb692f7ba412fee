"""The life of a payment: confirm, decline, settle, cancel, refund, and the events they leave."""

from __future__ import annotations

from collections.abc import Callable

from simulators.exact_json import Document
from simulators.http_messages import Answer
from simulators.stripe import objects
from simulators.stripe.checks import check_amount, check_type, unexpected_state
from simulators.stripe.errors import StripeError, error, invalid, missing
from simulators.stripe.outcomes import Outcome, decline_fields, is_token
from simulators.stripe.state import State, method_from_token

Publish = Callable[[str, Document], None]
"""Type of an event and the object it is about."""

_FINAL = ("succeeded", "canceled")


class Payments:
    """Changes the payment objects of one state at one instant."""

    def __init__(self, state: State, now: int, publish: Publish) -> None:
        self._state = state
        self._now = now
        self._publish = publish

    def create(self, given: Document) -> Document:
        check_amount(given)
        given = {**given, "currency": given["currency"].lower()}
        customer = given.get("customer")
        if customer is not None and customer not in self._state.rows("customers"):
            raise invalid(
                f"No such customer: '{customer}'", code="resource_missing", param="customer"
            )
        if given.get("off_session") and not given.get("confirm"):
            raise invalid("off_session can only be set together with confirm=true.")
        method = (
            self._method(given["payment_method"], customer) if "payment_method" in given else None
        )
        types = given.get("allowed_payment_method_types") or [method["type"] if method else "card"]
        if method is not None:
            check_type(method, types, given["currency"])
            given["payment_method"] = method["id"]
        intent = objects.payment_intent(self._state.new_id("pi"), given, self._now, types)
        if method is not None:
            intent["status"] = "requires_confirmation"
        self._state.rows("payment_intents")[intent["id"]] = intent
        self._publish("payment_intent.created", intent)
        return self.confirm(intent["id"], given) if given.get("confirm") else intent

    def confirm(self, id: str, given: Document) -> Document:
        """Charge the payment method.

        Raises:
            StripeError: 402 with the payment intent inside when the charge was declined.
        """
        intent = self.intent(id)
        if intent["status"] not in (
            "requires_confirmation",
            "requires_payment_method",
            "requires_action",
        ):
            raise unexpected_state(intent, "confirmed")
        chosen = given.get("payment_method") or intent["payment_method"]
        if chosen is None:
            text = "You cannot confirm this PaymentIntent because it's missing a payment method."
            raise invalid(text, code="payment_intent_unexpected_state")
        method = self._method(chosen, intent["customer"])
        check_type(method, intent["payment_method_types"], intent["currency"])
        intent["payment_method"] = method["id"]
        outcome = self._state.next_outcome(method["id"])
        if outcome.kind == "api_error":
            answer = error(500, "api_error", "An unknown error occurred.")
            raise StripeError(answer, executed=True)
        absent = bool(given.get("off_session") or given.get("error_on_requires_action"))
        if outcome.kind == "requires_action":
            return self._needs_customer(intent, method, absent=absent)
        charge = self._charge(intent, method)
        if outcome.kind == "processing":
            return self._processing(intent, charge, method)
        if outcome.kind == "decline":
            raise self._declined(intent, charge, method, outcome.code)
        return self._succeeded(intent, charge)

    def settle(self, id: str, outcome: Outcome) -> Document:
        """What the bank says days later about a payment that is processing."""
        intent = self.intent(id)
        if intent["status"] != "processing":
            raise ValueError(f"{id} is {intent['status']}, not processing")
        charge = self._state.rows("charges")[intent["latest_charge"]]
        if outcome.kind == "succeed":
            return self._succeeded(intent, charge)
        method = self._state.rows("payment_methods")[intent["payment_method"]]
        self._declined(intent, charge, method, outcome.code or "insufficient_funds")
        return intent

    def cancel(self, id: str, given: Document) -> Document:
        intent = self.intent(id)
        if intent["status"] in (*_FINAL, "processing"):
            raise unexpected_state(intent, "canceled")
        intent["status"] = "canceled"
        intent["canceled_at"] = self._now
        intent["cancellation_reason"] = given.get("cancellation_reason")
        self._publish("payment_intent.canceled", intent)
        return intent

    def refund(self, given: Document) -> Document:
        charge = self._refunded_charge(given)
        left = charge["amount_captured"] - charge["amount_refunded"]
        amount = given.get("amount", left)
        if not 0 < amount <= left:
            raise invalid(f"Refund amount ({amount}) is greater than what is left ({left}).")
        refund = objects.refund(self._state.new_id("re"), charge, given, amount, self._now)
        refund["balance_transaction"] = self._book(refund["id"], "refund", -amount, 0, charge)
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        self._state.rows("refunds")[refund["id"]] = refund
        self._publish("charge.refunded", charge)
        self._publish("refund.created", refund)
        return refund

    def intent(self, id: str) -> Document:
        found = self._state.rows("payment_intents").get(id)
        if found is None:
            raise missing("payment_intent", id, "intent")
        return found

    # -- outcomes -------------------------------------------------------------------------------

    def _charge(self, intent: Document, method: Document) -> Document:
        charge = objects.charge(self._state.new_id("ch"), intent, method, self._now)
        self._state.rows("charges")[charge["id"]] = charge
        intent["latest_charge"] = charge["id"]
        return charge

    def _succeeded(self, intent: Document, charge: Document) -> Document:
        amount = intent["amount"]
        fee = amount * 29 // 1000 + 30
        charge |= {"status": "succeeded", "paid": True, "captured": True}
        charge |= {"amount_captured": amount, "outcome": objects.outcome("authorized", None)}
        charge["balance_transaction"] = self._book(charge["id"], "charge", amount, fee, charge)
        intent |= {"status": "succeeded", "amount_received": amount}
        intent |= {"last_payment_error": None, "next_action": None, "processing": None}
        self._publish("charge.succeeded", charge)
        self._publish("payment_intent.succeeded", intent)
        return intent

    def _processing(self, intent: Document, charge: Document, method: Document) -> Document:
        intent |= {"status": "processing", "processing": {"type": method["type"]}}
        self._publish("charge.pending", charge)
        self._publish("payment_intent.processing", intent)
        return intent

    def _needs_customer(self, intent: Document, method: Document, *, absent: bool) -> Document:
        if absent:
            charge = self._charge(intent, method)
            raise self._declined(intent, charge, method, "authentication_required")
        intent |= {"status": "requires_action", "next_action": {"type": "use_stripe_sdk"}}
        self._publish("payment_intent.requires_action", intent)
        return intent

    def _declined(
        self, intent: Document, charge: Document, method: Document, code: str
    ) -> StripeError:
        """Writes the decline down everywhere, and gives the error that tells of it."""
        fields = {**decline_fields(code), "charge": charge["id"], "payment_method": method}
        charge |= {
            "status": "failed",
            "failure_code": fields["code"],
            "failure_message": fields["message"],
            "outcome": objects.outcome("issuer_declined", code),
        }
        intent |= {"status": "requires_payment_method", "last_payment_error": fields}
        intent |= {"payment_method": None, "processing": None, "next_action": None}
        self._publish("charge.failed", charge)
        self._publish("payment_intent.payment_failed", intent)
        answer = Answer.of(402, {"error": {**fields, "payment_intent": intent}})
        return StripeError(answer, executed=True)

    # -- checks ---------------------------------------------------------------------------------

    def _method(self, id: str, customer: str | None) -> Document:
        """A stored payment method, or a fresh one of a test token."""
        found = self._state.rows("payment_methods").get(id)
        if found is None and is_token(id):
            return method_from_token(self._state, id, self._now)
        if found is None:
            text = f"No such PaymentMethod: '{id}'"
            raise invalid(text, code="resource_missing", param="payment_method")
        if found["customer"] not in (None, customer):
            text = f"The payment method {id} belongs to another customer."
            raise invalid(text, code="payment_method_unexpected_state", param="payment_method")
        return found

    def _refunded_charge(self, given: Document) -> Document:
        id = given.get("charge")
        if "payment_intent" in given:
            id = self.intent(given["payment_intent"])["latest_charge"]
        charge = self._state.rows("charges").get(id or "")
        if charge is None:
            raise missing("charge", str(id), "charge")
        if not charge["captured"]:
            raise invalid(f"Charge {id} has not been captured.", code="charge_not_refundable")
        return charge

    def _book(self, source: str, kind: str, amount: int, fee: int, charge: Document) -> str:
        row = objects.balance_transaction(
            self._state.new_id("txn"),
            source=source,
            kind=kind,
            amount=amount,
            fee=fee,
            currency=charge["currency"],
            now=self._now,
        )
        self._state.rows("balance_transactions")[row["id"]] = row
        return str(row["id"])
