"""Everything a simulated Stripe account knows; seed and dump are one document."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from simulators.exact_json import Document
from simulators.stripe import objects
from simulators.stripe.outcomes import Outcome, of_token, parsed

Rows = dict[str, Document]
_TABLES = (
    "customers",
    "payment_methods",
    "setup_intents",
    "payment_intents",
    "charges",
    "refunds",
    "balance_transactions",
    "events",
    "webhook_endpoints",
)


@dataclass(slots=True)
class Remembered:
    """The first answer to an idempotency key."""

    fingerprint: str
    status: int
    body: str
    at: int  # seconds since 1970, business time


@dataclass(slots=True)
class State:
    """Objects by id, in the form of the API; insertion order is age."""

    tables: dict[str, Rows] = field(default_factory=lambda: {name: {} for name in _TABLES})
    outcomes: dict[str, list[str]] = field(default_factory=dict)  # by payment method
    keys: dict[str, Remembered] = field(default_factory=dict)
    api_keys: list[str] = field(default_factory=list)  # empty: any sk_test_ key
    webhook_secret: str = ""  # empty: that of the environment
    latency_ms: int = 1  # what every call takes, so that calls can overlap at all
    bad_signatures: int = 0  # so many of the next webhook attempts are signed with a wrong secret
    count: int = 0

    def rows(self, table: str) -> Rows:
        return self.tables[table]

    def new_id(self, prefix: str) -> str:
        """Looks like Stripe's ids, and is the same in every run of a story."""
        self.count += 1
        return f"{prefix}_{hashlib.sha256(f'{prefix}{self.count}'.encode()).hexdigest()[:24]}"

    def next_outcome(self, method: str) -> Outcome:
        """What happens at the next charge. The last outcome of a list stays."""
        listed = self.outcomes.get(method) or ["succeed"]
        text = listed[0]
        if len(listed) > 1:
            self.outcomes[method] = listed[1:]
        return parsed(text)


def from_document(document: Document, now: int) -> State:
    """A state from a seed or a dump.

    A seeded customer may list `payment_methods` as `{"id", "token", "outcomes"}`; `webhook_url`
    registers one endpoint for all events.

    Raises:
        ValueError: an outcome that does not exist.
    """
    state = State()
    for table in _TABLES:
        if table != "customers":
            for row in document.get(table, ()):
                state.rows(table)[row["id"]] = row
    for customer in document.get("customers", ()):
        _add_customer(state, customer, now)
    for method, listed in document.get("outcomes", {}).items():
        set_outcomes(state, method, listed)
    state.keys = {k: Remembered(**v) for k, v in document.get("keys", {}).items()}
    state.api_keys = list(document.get("api_keys", ()))
    state.webhook_secret = document.get("webhook_secret", "")
    state.latency_ms = int(document.get("latency_ms", 1))
    state.bad_signatures = int(document.get("bad_signatures", 0))
    state.count = int(document.get("count", 0))
    if "webhook_url" in document:
        add_endpoint(state, {"url": document["webhook_url"]})
    return state


def to_document(state: State) -> Document:
    """All of it; `from_document` of this is the same state."""
    return {
        **{table: list(rows.values()) for table, rows in state.tables.items()},
        "outcomes": state.outcomes,
        "keys": {k: asdict(v) for k, v in state.keys.items()},
        "api_keys": state.api_keys,
        "webhook_secret": state.webhook_secret,
        "latency_ms": state.latency_ms,
        "bad_signatures": state.bad_signatures,
        "count": state.count,
    }


def set_outcomes(state: State, method: str, listed: list[str]) -> None:
    state.outcomes[method] = [str(parsed(text)) for text in listed]


def add_endpoint(state: State, given: Mapping[str, Any]) -> Document:
    """Where webhooks go; one secret signs for all endpoints of the account."""
    row = {
        "id": given.get("id") or state.new_id("we"),
        "url": given["url"],
        "enabled_events": list(given.get("enabled_events", ["*"])),
    }
    state.rows("webhook_endpoints")[row["id"]] = row
    return row


def method_from_token(
    state: State, token: str, now: int, *, id: str | None = None, customer: str | None = None
) -> Document:
    """A payment method of its own that behaves as the token says."""
    row = objects.payment_method(id or state.new_id("pm"), token, now, customer=customer)
    state.rows("payment_methods")[row["id"]] = row
    set_outcomes(state, row["id"], [str(of_token(token))])
    return row


def _add_customer(state: State, given: Document, now: int) -> None:
    methods = given.get("payment_methods", ())
    plain = {k: v for k, v in given.items() if k != "payment_methods"}
    row = {**objects.customer(plain["id"], {}, now), **plain}
    state.rows("customers")[row["id"]] = row
    for method in methods:
        token = method.get("token", "pm_card_visa")
        method_from_token(state, token, now, id=method["id"], customer=row["id"])
        if "outcomes" in method:
            set_outcomes(state, method["id"], method["outcomes"])
        if row["invoice_settings"]["default_payment_method"] is None:
            row["invoice_settings"]["default_payment_method"] = method["id"]
