"""Sets up the simulated PSAs for a story's contracts, and tells psa-connector where things are.

Every contract that goes to ConnectWise gets a company and an agreement, every one that goes to
Autotask a company and a recurring-service contract; each product gets a catalogue item or service.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from stack.player.names import Names
from stack.player.services import Services
from stack.story.format import Contract

CONNECTWISE, AUTOTASK = "connectwise", "autotask"
KEY_FIELD = 12  # custom field "BCS Key" on additions
BILLING_CODE = 5
PROMOTION = "promotion"
_GENERAL = ("usage", "minimum", "purchase", "one_time")
_YEARS = 3  # how long contracts in Autotask go on after the story's year; each month is a row
_CREDENTIALS = {
    CONNECTWISE: {
        "company_id": "tieout",
        "public_key": "sim-public",
        "private_key": "sim-private",
        "client_id": "7e0a1eb1-0000-4000-8000-0000000000c1",
    },
    AUTOTASK: {
        "username": "tieout@msp.example",
        "secret": "sim-secret",
        "integration_code": "SIMINTEGRATION",
    },
}


@dataclass
class Target:
    """Where a contract of a story lives in its PSA."""

    vendor: str
    company_id: int
    target_id: int


async def set_up_psas(
    services: Services, plays: Sequence[Names], simulators_url: str
) -> dict[str, Target]:
    """Seed both PSAs, create connections and mappings; returns contract id → target."""
    vendors = {c.psa for names in plays for c in names.story.contracts.values()}
    targets: dict[str, Target] = {}
    for vendor, seeder in ((CONNECTWISE, _ConnectWise), (AUTOTASK, _Autotask)):
        if vendor not in vendors:
            continue
        state = await services.simulator("GET", f"/{vendor}/_control/state")
        seed = seeder(state)
        for names in plays:
            targets |= seed.add(names)
        await services.simulator("PUT", f"/{vendor}/_control/state", seed.state)
        await services.put(
            "psa-connector",
            f"/v1/connections/{vendor}",
            {
                "vendor": vendor,
                "base_url": f"{simulators_url}/{vendor}",
                "credentials": _CREDENTIALS[vendor],
                "settings": {},
            },
        )
        await _map_products(services, vendor, seed.products)
    await _map_contracts(services, plays, targets)
    return targets


async def _map_products(services: Services, vendor: str, products: dict[str, int]) -> None:
    for key, external_id in products.items():
        body = {"connection_id": vendor, "product_key": key, "external_id": str(external_id)}
        await services.put("psa-connector", "/v1/mappings/products", body)


async def _map_contracts(
    services: Services, plays: Sequence[Names], targets: dict[str, Target]
) -> None:
    for names in plays:
        for name, contract in names.story.contracts.items():
            if contract.psa == "unmapped":
                continue
            target = targets.get(names.own(name))
            body: dict[str, Any] = {"connection_id": None}
            if target is not None:
                body = {
                    "connection_id": target.vendor,
                    "company_id": str(target.company_id),
                    "target_id": str(target.target_id),
                }
            await services.put("psa-connector", f"/v1/mappings/contracts/{names.own(name)}", body)


class _Seed:
    """A PSA's state with room for more; ids go on where the state ends."""

    vendor = ""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.products: dict[str, int] = {}

    def add(self, names: Names) -> dict[str, Target]:
        """Everything the story's contracts need here."""
        mine = {n: c for n, c in names.story.contracts.items() if c.psa == self.vendor}
        if mine:
            for product in names.story.products:
                self.product(names, product)
            for kind in _GENERAL:
                self.general_product(kind)
            if any(contract.promotions for contract in mine.values()):
                self.general_product(PROMOTION)
        targets = {}
        for name, contract in mine.items():
            company = self.company(names.story.customers[contract.customer].name)
            target_id = self.target(names, name, contract, company)
            targets[names.own(name)] = Target(self.vendor, company, target_id)
        return targets

    def company(self, name: str) -> int:
        raise NotImplementedError

    def target(self, names: Names, name: str, contract: Contract, company: int) -> int:
        raise NotImplementedError

    def product(self, names: Names, product: str) -> None:
        raise NotImplementedError

    def general_product(self, kind: str) -> None:
        raise NotImplementedError

    def _next(self, table: str) -> int:
        return max((row["id"] for row in self.state[table]), default=100) + 1


class _ConnectWise(_Seed):
    vendor = CONNECTWISE

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__(state)
        if not any(field["id"] == KEY_FIELD for field in state["custom_fields"]):
            state["custom_fields"].append(
                {"id": KEY_FIELD, "caption": "BCS Key", "screen": "additions"}
            )

    def company(self, name: str) -> int:
        id = self._next("companies")
        row = {"id": id, "name": name, "identifier": f"{name.replace(' ', '')[:22]}-{id}"}
        self.state["companies"].append(row)
        return id

    def target(self, names: Names, name: str, contract: Contract, company: int) -> int:
        id = self._next("agreements")
        currency = names.story.customers[contract.customer].currency
        self.state["agreements"].append(
            {
                "id": id,
                "name": names.own(name),
                "company": {"id": company},
                "startDate": f"{date(contract.starts.year, 1, 1)}T00:00:00Z",
                "currency": currency,
            }
        )
        return id

    def product(self, names: Names, product: str) -> None:
        key = names.product_key(product)
        price = names.story.products[product].list
        self._item(key, product, str(price[0]) if price else "0")

    def general_product(self, kind: str) -> None:
        self._item(f"kind:{kind}", f"cloud-{kind}", "0")

    def _item(self, key: str, identifier: str, price: str) -> None:
        known = next((r for r in self.state["catalog"] if r.get("integrationXRef") == key), None)
        if known is None:
            id = self._next("catalog")
            known = {
                "id": id,
                "identifier": f"{identifier}-{id}",
                "price": price,
                "cost": "0",
                "integrationXRef": key,
            }
            self.state["catalog"].append(known)
        self.products[key] = known["id"]


class _Autotask(_Seed):
    vendor = AUTOTASK

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__(state)
        if not state["billing_codes"]:
            state["billing_codes"].append({"id": BILLING_CODE, "name": "Cloud usage"})

    def company(self, name: str) -> int:
        id = self._next("companies")
        self.state["companies"].append({"id": id, "companyName": name})
        return id

    def target(self, names: Names, name: str, contract: Contract, company: int) -> int:
        """The contract's periods begin on the anchor day."""
        id = self._next("contracts")
        starts = date(contract.starts.year - 1, contract.starts.month, min(contract.anchor_day, 28))
        self.state["contracts"].append(
            {
                "id": id,
                "companyID": company,
                "contractName": names.own(name),
                "startDate": f"{starts}T00:00:00Z",
                "endDate": f"{contract.starts.year + _YEARS}-12-31T00:00:00Z",
            }
        )
        self._seats_taken_over(names, contract, id)
        return id

    def _seats_taken_over(self, names: Names, contract: Contract, contract_id: int) -> None:
        """What the customer has when the story starts stands on the contract already."""
        prices = {rule.product: rule.fixed for rule in contract.prices if rule.fixed is not None}
        for name, subscription in names.story.customers[contract.customer].subscriptions.items():
            if contract.subscriptions is not None and name not in contract.subscriptions:
                continue
            product = names.story.products[subscription.product]
            price = prices.get(subscription.product) or (product.list[0] if product.list else 0)
            self.state["contract_services"].append(
                {
                    "id": self._next("contract_services"),
                    "contractID": contract_id,
                    "serviceID": self.products[names.product_key(subscription.product)],
                    "units": subscription.seats,
                    "unitPrice": str(price),
                    "unitCost": str(product.cost[0]) if product.cost else "0",
                }
            )

    def product(self, names: Names, product: str) -> None:
        written = names.story.products[product]
        if written.kind != "licence":
            return
        key = names.product_key(product)
        known = next((r for r in self.state["services"] if r.get("description") == key), None)
        if known is None:
            id = self._next("services")
            known = {
                "id": id,
                "name": written.name,
                "description": key,
                "unitPrice": str(written.list[0]) if written.list else "0",
                "unitCost": str(written.cost[0]) if written.cost else "0",
            }
            self.state["services"].append(known)
        self.products[key] = known["id"]

    def general_product(self, kind: str) -> None:
        key = f"kind:{kind}"
        products = self.state["products"]
        known = next((r for r in products if r.get("externalProductID") == key), None)
        if known is None:
            known = {
                "id": self._next("products"),
                "name": f"Cloud {kind.replace('_', ' ')}",
                "isActive": True,
                "isSerialized": False,
                "productBillingCodeID": BILLING_CODE,
                "externalProductID": key,
            }
            products.append(known)
        self.products[key] = known["id"]
