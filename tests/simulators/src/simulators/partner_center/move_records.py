"""What the vendor keeps of seats that change product or partner: paths, transitions, transfers."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from simulators.partner_center.records import Plan, Record, Term, availability_of


class UpgradePath(Record):
    """One product may become another. Without any path in the books every product may."""

    from_product_id: str
    from_sku_id: str = "0001"
    product_id: str
    sku_id: str = "0001"
    title: str
    license_transfer: bool = False  # the vendor moves assigned licences along

    @property
    def catalog_item_id(self) -> str:
        availability = availability_of(self.product_id, self.sku_id)
        return f"{self.product_id}:{self.sku_id}:{availability}"


class AddOn(Record):
    """A product that is sold only beside one of its bases."""

    product_id: str
    sku_id: str = "0001"
    base_product_ids: list[str]


class Transition(Record):
    """An upgrade that has been carried out."""

    operation_id: str
    customer_id: str
    from_subscription_id: str
    from_catalog_item_id: str
    to_subscription_id: str
    to_catalog_item_id: str
    quantity: int
    term: Term
    billing_plan: Plan
    transition_type: Literal["transition_only", "transition_with_license_transfer"]
    at: AwareDatetime
