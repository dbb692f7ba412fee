"""The customers of the latency benchmark and the changes they ask for."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from stack.player.names import Names
from stack.player.services import Services

SEATS = 10
NOW = "2026-06-16T09:00:00+00:00"
_HEAD = """\
story: latency
title: Many seat changes in a short time
starts: 2026-06-01
sellers:
  crowd-seller: {name: Harbor Cloud B.V., country: NL, tax: per_group, invoice_prefix: LAT-}
products:
  e3:
    name: Microsoft 365 E3
    sku: CFQ7TTC0LF8R:0001
    term: P1Y
    plan: monthly
    cost: 26.00 EUR
    list: 32.00 EUR
"""
_CUSTOMER = """\
  crowd-{n}:
    name: Customer {n}
    seller: crowd-seller
    country: NL
    jurisdiction: NL
    currency: EUR
    subscriptions:
      office: {{product: e3, seats: {seats}, term_starts: 2026-01-01}}
"""
_CONTRACT = """\
  LAT-{n}:
    customer: crowd-{n}
    timing: advance
    starts: 2026-06-01
    billed_through: 2026-07-01
    psa: autotask
    prices: [{{product: e3, fixed: 31.40}}]
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A change that the provider accepted: the k-th of its subscription adds k seats."""

    audit_record_id: str
    subscription_id: str
    units: int


def write_story(path: Path, customers: int) -> None:
    """A story of `customers` contracts in Autotask with one subscription each, and no events."""
    written = "".join(_CUSTOMER.format(n=n, seats=SEATS) for n in range(customers))
    contracts = "".join(_CONTRACT.format(n=n) for n in range(customers))
    path.write_text(f"{_HEAD}customers:\n{written}contracts:\n{contracts}")


class Crowd:
    """Asks the simulated provider for changes, one subscription after another."""

    def __init__(self, services: Services, names: Names) -> None:
        customers = len(names.story.customers)
        self._services = services
        self.subscriptions = [names.subscription(f"crowd-{n}/office") for n in range(customers)]
        self.contracts = {
            names.own(f"LAT-{n}"): subscription for n, subscription in enumerate(self.subscriptions)
        }
        self._changes: Counter[str] = Counter()
        self._seats = dict.fromkeys(self.subscriptions, SEATS)

    async def ask(self, count: int, per_second: float) -> tuple[list[Change], float]:
        """Ask for `count` changes, each at its time whether the ones before are answered or not.

        Returns them and the rate that was reached.
        """
        began = perf_counter()
        asked = []
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / per_second - perf_counter()))
            subscription = self.subscriptions[number % len(self.subscriptions)]
            asked.append(asyncio.create_task(self._one(subscription)))
        changes = await asyncio.gather(*asked)
        return changes, count / (perf_counter() - began)

    async def _one(self, subscription: str) -> Change:
        self._changes[subscription] += 1
        units = self._changes[subscription]
        self._seats[subscription] += units
        body = {
            "subscription_id": subscription,
            "quantity": self._seats[subscription],
            "by": "bench@customer.example",
        }
        path = "/partner-center/_control/changes"
        answer = await self._services.simulator("POST", path, body)
        return Change(answer["audit_record"]["id"], subscription, units)


def subscription_of_services(state: dict[str, object], contracts: dict[str, str]) -> dict[int, str]:
    """Autotask's contract services by id, as the subscriptions they stand for."""
    rows: Sequence[dict[str, object]] = state["contracts"]  # type: ignore[assignment]  # JSON
    owned = {row["id"]: contracts.get(str(row["contractName"])) for row in rows}
    services: Sequence[dict[str, object]] = state["contract_services"]  # type: ignore[assignment]  # JSON
    found = {int(str(row["id"])): owned.get(row["contractID"]) for row in services}
    return {id: subscription for id, subscription in found.items() if subscription is not None}


def body_of(entry: dict[str, str]) -> dict[str, object]:
    """What was sent in an exchange of a journal."""
    return dict(json.loads(entry["request_body"]))
