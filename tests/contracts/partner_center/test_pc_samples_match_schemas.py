"""The vendor's own samples are valid under the schemas that hold the simulator's answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulators.contract import Contract
from simulators.partner_center.vendor_contract import definitions

SAMPLES = Path(__file__).parent / "samples"

SHAPES = {
    "get-a-subscription-by-id": "subscription",
    "change-the-quantity-of-a-subscription": "subscription",
    "suspend-a-subscription": "subscription",
    "update-autorenew-for-an-azure-marketplace-subscription": "subscription",
    "get-all-of-a-customer-s-subscriptions": "subscription_collection",
    "get-all-subscriptions-by-partner": "subscription_collection",
    "get-a-list-of-add-ons-for-a-subscription": "subscription_collection",
    "get-a-customer-by-id": "customer",
    "get-a-list-of-customers": "customer_collection",
    "get-a-customer-by-name": "customer_collection",
    "get-a-record-of-partner-center-activity-by-user": "audit_record_collection",
    "partner-center-webhooks--00": "webhook_event",
    "partner-center-webhooks--04": "registration_request",
    "partner-center-webhooks--05": "registration",
    "partner-center-webhooks--11": "validation",
    "partner-center-webhook-events": "webhook_event",
    "get-an-order-by-id": "order",
    "create-an-order": "order_request",
    "create-a-cart--06": "cart",
    "create-a-cart--07": "cart_request",
    "create-a-cart-with-add-ons--02": "cart_request",
    "create-a-cart-with-add-ons--05": "cart",
    "get-a-collection-of-invoices": "invoice_collection",
    "get-invoice-by-id": "invoice",
    "get-invoice-billed-consumption-lineitems": "usage_line",
    "get-invoice-unbilled-consumption-lineitems": "usage_line",
    "get-invoice-unbilled-recon-lineitems": "invoice_line",
    "transition-a-new-commerce-subscription": "transition_eligibility_collection",
    "api-throttling-guidance": "throttled",
    "export-operation": "operation",
    "export-manifest": "manifest",
}
AS_PRINTED = {"webhook_event", "registration", "registration_request"}
LINES = {"usage_line", "invoice_line"}


def shape_of(name: str) -> str:
    return next(s for prefix, s in SHAPES.items() if name.startswith(prefix))


def camel(value: Any) -> Any:
    """Documentation prints one resource in both casings; schemas know the lower one."""
    if isinstance(value, dict):
        return {k[:1].lower() + k[1:]: camel(v) for k, v in value.items()}
    return [camel(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda p: p.name)
def test_every_sample_of_the_vendor_is_valid(path: Path) -> None:
    """A schema that refuses the vendor's own documentation would be too strict."""
    document, shape = json.loads(path.read_text()), shape_of(path.name)
    if shape not in AS_PRINTED:
        document = camel(document)
    parts = document["items"] if shape in LINES else [document]
    contract = Contract([], definitions())
    assert [contract.errors({"$ref": f"#/$defs/{shape}"}, part) for part in parts] == [[]] * len(
        parts
    )


def test_every_schema_refuses_an_empty_object() -> None:
    """A schema that accepts anything would hold nobody to anything."""
    permissive = {"link", "attributes", "term", "collection_links", "cart_line"}
    contract = Contract([], definitions())
    accepting = {n for n in definitions() if not contract.errors({"$ref": f"#/$defs/{n}"}, {})}
    assert accepting - permissive == set()
