"""From the names of a story to the ids that services and vendors see, and back.

Ids are derived, so a story always gets the same ones; a second play of a story on the same stack
gets a suffix (`ALD-1.2`), because what was billed once stays billed.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.kernel.ids import derived_id
from stack.story.format import Product, Story, subscription_names


@dataclass(frozen=True, slots=True)
class Names:
    """The ids of one play of one story."""

    story: Story
    play: int = 1

    def own(self, name: str) -> str:
        """Of a thing that our services own: the name itself, with the play's number from 2 on."""
        return name if self.play == 1 else f"{name}.{self.play}"

    def prefix(self, prefix: str) -> str:
        """Of invoice numbers; a second play counts under a prefix of its own."""
        return prefix if self.play == 1 else f"{self.play}{prefix}"

    def customer(self, name: str) -> str:
        """The provider's GUID of a customer, or of the customer in whose tenant it is."""
        tenant = self.story.customers[name].tenant or name
        return derived_id("story", self.story.story, self.play, "customer", tenant)

    def subscription(self, name: str) -> str:
        """The provider's GUID of a licence subscription, named `customer/subscription`."""
        return derived_id("story", self.story.story, self.play, "subscription", name)

    def any_subscription(self, customer: str, name: str) -> str:
        """Of a contract's list: a licence subscription of the customer, else an Azure one."""
        full = name if "/" in name else f"{customer}/{name}"
        return (
            self.subscription(full) if full in subscription_names(self.story) else self.azure(name)
        )

    def allocation(self, name: str) -> str:
        """Of an event that allocates seats, or of what a contract begins with."""
        return self.own(f"{self.story.story}-{name}")

    def azure(self, name: str) -> str:
        """The provider's GUID of an Azure subscription."""
        return derived_id("story", self.story.story, self.play, "azure", name)

    def provider_invoice(self, number: str) -> str:
        """The provider's invoice numbers are capital letters and digits."""
        return number if self.play == 1 else f"{number}P{self.play}"

    def product_key(self, name: str) -> str:
        """What prices and PSA mappings know a product by."""
        product = self.story.products[name]
        return product_key(name, product)

    def product_name(self, key: str) -> str | None:
        """The story's name of a product key."""
        for name, product in self.story.products.items():
            if product_key(name, product) == key:
                return name
        return None

    def azure_name(self, guid: str, known: set[str]) -> str | None:
        return next((name for name in known if self.azure(name) == guid), None)


def product_key(name: str, product: Product) -> str:
    if product.kind == "service":
        return f"service:{name}"
    return f"{product.sku}:{product.term}:{product.plan}"
