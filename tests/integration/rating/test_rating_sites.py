"""Scenario 4, licence part: one subscription shared by three contracts, in every order of facts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from shared.contracts.envelope import Event
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeRated, LicenceChangeRated
from support.in_process import InProcess
from support.rating_facts import (
    E3,
    change,
    contract,
    cycle_closed,
    day,
    fixed,
    opening,
    sheet,
)
from support.rating_service import current, enter, expect_consistent, holds, tell

SITES = (("LYON", "EUR", "31.40"), ("GENEVA", "CHF", "32.95"), ("TOKYO", "JPY", "5125"))
EXPECTED = {
    "LYON": ["-83.73", "502.40"],
    "GENEVA": ["87.87", "527.20"],
    "TOKYO": ["5638", "107625"],
}
SHEET = sheet([(E3, "30.20", "40.00")])
TERM = {"product": E3, "term_start": day("2026-02-01"), "term_end": day("2027-02-01")}
ORDERS = list(permutations(range(5)))

Fact = Event | tuple[str, dict[str, Any]]


class World:
    """One tenant with names of its own, so that many of them fit into one database."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.subscription = f"{name}-E3"

    def contracts(self) -> list[ContractChanged]:
        return [
            contract(
                f"{self.name}-{site}",
                currency=currency,
                starts_on=day("2026-09-01"),
                billed_through=day("2026-10-01"),
                provider_customer_id=f"{self.name}-tenant",
                subscription_ids=(),
                shared_subscription_ids=(self.subscription,),
            )
            for site, currency, _ in SITES
        ]

    def facts(self) -> list[Fact]:
        """What the provider told and what was allocated; any order must do."""
        mine = {
            **TERM,
            "subscription_id": self.subscription,
            "customer_id": f"{self.name}-tenant",
        }
        return [
            opening(f"{self.name}-o", 50, effective="2026-02-01T00:00:00", **mine),
            self.allocation("open", "opening", "2026-09-01", LYON=20, GENEVA=12, TOKYO=18),
            self.allocation("e1", "move", "2026-09-11", LYON=-4, GENEVA=4),
            change(f"{self.name}-e2", (50, 53), "2026-09-20T08:00:00", version=2, **mine),
            self.allocation("e2", "change", "2026-09-20", TOKYO=3),
        ]

    def allocation(self, name: str, kind: str, on: str, **seats: int) -> Fact:
        body = {
            "subscription_id": self.subscription,
            "kind": kind,
            "effective_on": on,
            "sites": [
                {"contract_id": f"{self.name}-{site}", "seats": n} for site, n in seats.items()
            ],
            "cause": f"{name} of scenario 4",
        }
        return (f"{self.name}-{name}", body)

    async def prices(self, rating: InProcess) -> None:
        for site, currency, price in SITES:
            name = f"{self.name}-{site}"
            await enter(rating, fixed(E3, price, currency=currency, rule_id=name, contract_id=name))

    def runs(self) -> list[Event]:
        return [cycle_closed(one, "2026-10-01") for one in self.contracts()]


async def take(rating: InProcess, facts: Sequence[Fact]) -> None:
    """Every fact twice."""
    for fact in facts:
        for _ in range(2):
            if isinstance(fact, tuple):
                await rating.ok("PUT", f"/v1/allocations/{fact[0]}", json=fact[1])
            else:
                await tell(rating, [fact])


async def figures(rating: InProcess, world: World) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {site: [] for site, _, _ in SITES}
    for charge in (await current(rating)).values():
        tenant, _, site = charge.contract_id.rpartition("-")
        if tenant == world.name and charge.quantity:
            assert charge.bill_on == day("2026-10-01")
            found[site].append(f"{charge.amount:f}")
    return {site: sorted(amounts, key=Decimal) for site, amounts in found.items()}


async def played(rating: InProcess, name: str) -> World:
    world = World(name)
    await world.prices(rating)
    await tell(rating, [SHEET, *world.contracts()])
    await take(rating, world.facts())
    await tell(rating, world.runs())
    return world


async def test_scenario_4_licences_to_the_cent(rating: InProcess) -> None:
    """Moves and changes are prorated at each site's price, in its currency, and nothing waits."""
    world = await played(rating, "DEL")
    assert await figures(rating, world) == EXPECTED
    assert await holds(rating) == set()
    await expect_consistent(rating)


async def test_a_move_is_in_the_log_of_both_contracts(rating: InProcess) -> None:
    """The provider saw nothing, the change log has an entry for either side, with its own id."""
    await played(rating, "DEL")
    moved = [
        entry
        for entry in await rating.harness.published(LicenceChangeRated)
        if entry.change_id == "allocation/DEL-e1"
    ]
    told = {e.contract_id: (e.quantity_before, e.quantity_after, e.prorated_amount) for e in moved}
    assert told == {
        "DEL-LYON": (20, 16, Decimal("-83.73")),
        "DEL-GENEVA": (12, 16, Decimal("87.87")),
    }
    assert len({entry.entry_id for entry in moved}) == 2


async def test_explain_leads_to_the_allocation(rating: InProcess) -> None:
    """The source of a moved seat's charge is the allocation, and every check holds."""
    await played(rating, "DEL")
    line = next(c for c in (await current(rating)).values() if f"{c.amount:f}" == "-83.73")
    told = await rating.ok("GET", f"/v1/charges/{line.charge_id}/explain")
    assert told["sources"][0]["allocation_id"] == "DEL-e1"
    assert told["sources"][0]["sites"] == {"DEL-LYON": -4, "DEL-GENEVA": 4}
    assert all(check["holds"] for check in told["checks"])


async def test_sites_sum_to_the_provider_on_every_day(rating: InProcess) -> None:
    """Seat-days of September: 520 + 440 + 573 = 1533 = 50 × 19 + 53 × 11."""
    await played(rating, "DEL")
    told = await rating.ok("GET", "/v1/sites/DEL-E3?start=2026-09-01&end=2026-10-01")
    expected = {"DEL-LYON": 520, "DEL-GENEVA": 440, "DEL-TOKYO": 573}
    assert told["seat_days"] == expected
    assert told["provider_seat_days"] == 1533
    assert [row["provider"] for row in told["days"]] == [50, 50, 53]
    assert all(row["sums"] for row in told["days"])


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))])
async def test_scenario_4_in_every_order(rating: InProcess, part: int) -> None:
    """All 120 orders of the five facts, each told twice, in four parts: the same cents, the same
    log, nothing left waiting."""
    await tell(rating, [SHEET])
    for number, order in enumerate(ORDERS[part::4]):
        world = World(f"W{part}-{number}")
        await world.prices(rating)
        facts: list[Fact] = [world.facts()[i] for i in order]
        contracts: list[Event] = [*world.contracts()]
        early, late = (contracts, []) if number % 2 else (contracts[:1], contracts[1:])
        await tell(rating, early)
        await take(rating, facts[:3])
        await tell(rating, late)
        await take(rating, facts[3:])
        await tell(rating, world.runs())
        assert await figures(rating, world) == EXPECTED, order
        entries = [
            (entry.contract_id, entry.quantity_before, entry.quantity_after)
            for entry in await rating.harness.published(LicenceChangeRated)
            if entry.subscription_id == world.subscription
        ]
        assert sorted((c.rpartition("-")[2], *n) for c, *n in entries) == [
            ("GENEVA", 0, 12), ("GENEVA", 12, 16), ("LYON", 0, 20), ("LYON", 20, 16),
            ("TOKYO", 0, 18), ("TOKYO", 18, 21),
        ]  # fmt: skip
    assert await holds(rating) == set()


async def test_seats_nobody_claims_are_held_and_all_else_goes_on(rating: InProcess) -> None:
    """Until somebody says whose the new seats are, the sites are billed for what they have."""
    world = World("DEL")
    await world.prices(rating)
    await tell(rating, [SHEET, *world.contracts()])
    await take(rating, world.facts()[:4])
    await tell(rating, world.runs())
    assert await holds(rating) == {("unallocated_seats", "subscription/DEL-E3")}
    assert (await figures(rating, world)) == EXPECTED | {"TOKYO": ["92250"]}

    await take(rating, world.facts()[4:])
    assert await holds(rating) == set()
    assert await figures(rating, world) == EXPECTED


async def test_a_default_site_takes_what_nobody_claims(rating: InProcess) -> None:
    """With a default no seat waits."""
    world = World("DEL")
    await world.prices(rating)
    await tell(rating, [SHEET, *world.contracts()])
    default = world.allocation("home", "default", "2026-09-01", TOKYO=0)
    await take(rating, [default, *world.facts()[:4]])
    await tell(rating, world.runs())
    assert await holds(rating) == set()
    assert await figures(rating, world) == EXPECTED


async def test_sites_that_do_not_sum_are_held(rating: InProcess) -> None:
    """An opening of 49 of 50 seats is told with the day and both figures."""
    world = World("DEL")
    await world.prices(rating)
    await tell(rating, [SHEET, *world.contracts()])
    short = world.allocation("open", "opening", "2026-09-01", LYON=20, GENEVA=12, TOKYO=17)
    await take(rating, [world.facts()[0], short])
    [hold] = (await rating.ok("GET", "/v1/holds"))["data"]
    assert hold["reason"] == "sites_do_not_sum"
    assert hold["detail"] == "on 2026-09-01 the provider has 50 seats, the sites 49"


async def test_an_allocation_never_changes(rating: InProcess) -> None:
    """Another body under a known id is refused; a move must be balanced."""
    world = World("DEL")
    name, body = world.allocation("e1", "move", "2026-09-11", LYON=-4, GENEVA=4)
    await rating.ok("PUT", f"/v1/allocations/{name}", json=body)
    other = body | {"effective_on": "2026-09-12"}
    answer = await rating.http.request("PUT", f"/v1/allocations/{name}", json=other)
    assert (answer.status_code, answer.json()["code"]) == (409, "allocation_changed")
    _, lopsided = world.allocation("e9", "move", "2026-09-11", LYON=-4, GENEVA=3)
    answer = await rating.http.request("PUT", "/v1/allocations/e9", json=lopsided)
    assert (answer.status_code, answer.json()["code"]) == (422, "move_not_balanced")


async def test_other_contracts_are_as_before(rating: InProcess) -> None:
    """A contract for all of the customer's has no part in a shared subscription, and keeps the
    others."""
    world = World("DEL")
    whole = contract("DEL-ALL", starts_on=day("2026-09-01"), provider_customer_id="DEL-tenant")
    await tell(rating, [SHEET, whole])
    await take(rating, [world.facts()[0]])
    await tell(rating, [cycle_closed(whole, "2026-10-01")])
    await world.prices(rating)
    await tell(rating, world.contracts())
    await take(rating, world.facts()[1:])
    await tell(rating, world.runs())
    assert await figures(rating, world) == EXPECTED
    left = [c for c in (await current(rating)).values() if c.contract_id == "DEL-ALL"]
    assert sum((c.amount for c in left), Decimal(0)) == 0
    assert len(await rating.harness.published(ChargeRated)) > len(left)
