"""Customers and how they pay: creating, attaching, and setting up without paying."""

from __future__ import annotations

from simulators.exact_json import Document
from simulators.stripe import objects
from simulators.stripe.errors import invalid, missing
from simulators.stripe.outcomes import is_token
from simulators.stripe.payments import Publish
from simulators.stripe.state import State, method_from_token


class Wallet:
    """Changes the customers and payment methods of one state at one instant."""

    def __init__(self, state: State, now: int, publish: Publish) -> None:
        self._state = state
        self._now = now
        self._publish = publish

    def create_customer(self, given: Document) -> Document:
        row = objects.customer(self._state.new_id("cus"), given, self._now)
        self._state.rows("customers")[row["id"]] = row
        if "payment_method" in given:
            self.attach(given["payment_method"], row["id"])
        return row

    def update_customer(self, id: str, given: Document) -> Document:
        row = self._state.rows("customers").get(id)
        if row is None:
            raise missing("customer", id)
        rest = {k: v for k, v in given.items() if k != "invoice_settings"}
        row |= rest
        settings = given.get("invoice_settings", {})
        if "default_payment_method" in settings:
            default = settings["default_payment_method"] or None
            row["invoice_settings"] = {"default_payment_method": default}
        self._publish("customer.updated", row)
        return row

    def attach(self, id: str, customer: str) -> Document:
        """A test token becomes a payment method of the customer's own."""
        if customer not in self._state.rows("customers"):
            text = f"No such customer: '{customer}'"
            raise invalid(text, code="resource_missing", param="customer")
        row = self._method(id)
        if row["customer"] not in (None, customer):
            raise invalid("The payment method is attached to another customer.")
        row["customer"] = customer
        self._publish("payment_method.attached", row)
        return row

    def detach(self, id: str) -> Document:
        row = self._state.rows("payment_methods").get(id)
        if row is None:
            raise missing("payment_method", id)
        if row["customer"] is None:
            raise invalid("The payment method is not attached to a customer.")
        row["customer"] = None
        self._publish("payment_method.detached", row)
        return row

    def create_setup(self, given: Document) -> Document:
        row = objects.setup_intent(self._state.new_id("seti"), given, self._now)
        self._state.rows("setup_intents")[row["id"]] = row
        if given.get("confirm") and "payment_method" in given:
            self._finish(row, self._method(given["payment_method"]))
        return row

    def complete_setup(self, id: str, token: str) -> Document:
        """What the hosted page does when the customer has entered a payment method there.

        Raises:
            ValueError: no such setup, or it is complete already.
        """
        row = self._state.rows("setup_intents").get(id)
        if row is None or row["status"] == "succeeded":
            raise ValueError(f"there is no open setup intent {id}")
        self._finish(row, method_from_token(self._state, token, self._now))
        return row

    def _finish(self, row: Document, method: Document) -> None:
        row |= {"status": "succeeded", "payment_method": method["id"]}
        if row["customer"] is not None:
            self.attach(method["id"], row["customer"])
        self._publish("setup_intent.succeeded", row)

    def _method(self, id: str) -> Document:
        found = self._state.rows("payment_methods").get(id)
        if found is None and is_token(id):
            return method_from_token(self._state, id, self._now)
        if found is None:
            raise missing("payment_method", id)
        return found
