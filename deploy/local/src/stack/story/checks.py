"""What no single field of a story can tell: names that lead nowhere, dates that do not fit.

References are looked up in the text as it was written, so that they are reported together with
fields that are wrong in themselves; everything else needs a story whose fields are right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from shared.kernel import conventions
from shared.kernel.errors import Invalid
from shared.kernel.periods import monthly_cycle, next_cycle, previous_cycle, utc_day
from stack.positioned_yaml import Place
from stack.story.focus import FocusError, read_focus
from stack.story.format import Contract, Story, subscription_names

Found = tuple[Place, str]  # where it stands, and what is wrong with it

# Where names are used, and what they are names of.
REFERENCES = (
    ("customers.*.seller", "seller"),
    ("customers.*.subscriptions.*.product", "product"),
    ("contracts.*.customer", "customer"),
    ("contracts.*.bill_to", "customer"),
    ("customers.*.tenant", "customer"),
    ("customers.*.group", "customer"),
    ("events.*.upgrade", "product"),
    ("events.*.new_price", "product"),
    ("contracts.*.prices.*.product", "product"),
    ("contracts.*.promotions.*.product", "product"),
    ("usage.*.lines.*.customer", "customer"),
    ("usage.*.purchases.*.customer", "customer"),
    ("usage.*.focus.customer", "customer"),
    ("usage.*.focus.customers.*", "customer"),
    ("events.*.subscription", "subscription"),
    ("events.*.customer", "customer"),
    ("events.*.contract", "contract"),
    ("events.*.buy", "product"),
    ("events.*.one_time", "product"),
    ("events.*.price.product", "product"),
    ("expect.invoices.*.contract", "contract"),
    ("expect.invoices.*.lines.*.product", "product"),
    ("expect.invoices.*.lines.*.site", "contract"),
    ("expect.additions.*.contract", "contract"),
    ("expect.additions.*.lines.*.product", "product"),
    ("expect.charges.*.contract", "contract"),
    ("expect.adjustments.*.contract", "contract"),
    ("expect.adjustments.*.lines.*.product", "product"),
    ("expect.seats.*.subscription", "subscription"),
    ("expect.payments.*.contract", "contract"),
)
# A service of the partner's own has no subscription at the provider.
OF_LICENCES = ("customers.*.subscriptions.*.product", "events.*.buy", "events.*.upgrade")


def lost_references(data: Mapping[str, Any]) -> Iterator[Found]:
    """Names that the story uses and does not define."""
    known = _defined(data)
    for pattern, kind in REFERENCES:
        for place, name in _matching(data, pattern.split("."), ()):
            if isinstance(name, str) and name not in known[kind]:
                yield place, f"there is no {kind} {name}{_instead(name, known[kind])}"
    services = {
        name
        for name, product in _mapping(data.get("products")).items()
        if _mapping(product).get("kind") == "service"
    }
    for pattern in OF_LICENCES:
        for place, name in _matching(data, pattern.split("."), ()):
            if name in services:
                yield place, f"{name} is a service; only licences have subscriptions"


def misfits(story: Story, folder: Path) -> Iterator[Found]:
    """What contradicts something else in a story whose fields are right."""
    yield from _sellers(story)
    yield from _events(story)
    for name, contract in story.contracts.items():
        yield from _contract(story, name, contract)
    for number, usage in enumerate(story.usage):
        if usage.focus is not None:
            yield from _focus(("usage", number, "focus", "file"), folder / usage.focus.file)


def invoice_dates(contract: Contract, *, start: date) -> Iterator[date]:
    """The dates from `start` on that the contract has an invoice on; endless without an end."""
    offset = timedelta(days=contract.invoice_offset_days)
    first_day = max(contract.starts, contract.billed_through or contract.starts)
    cycle = monthly_cycle(contract.anchor_day, first_day)
    while contract.ends is None or previous_cycle(cycle, contract.anchor_day).start < contract.ends:
        begun = (
            cycle.start >= first_day if contract.timing == "advance" else cycle.start > first_day
        )
        if begun and cycle.start + offset >= start:
            yield cycle.start + offset
        cycle = next_cycle(cycle, contract.anchor_day)


def _sellers(story: Story) -> Iterator[Found]:
    owners: dict[str, str] = {}
    for name, seller in story.sellers.items():
        owner = owners.setdefault(seller.invoice_prefix, name)
        if owner != name:
            place = ("sellers", name, "invoice_prefix")
            yield place, f"{seller.invoice_prefix} is the prefix of {owner} already"


def _events(story: Story) -> Iterator[Found]:
    times = Counter(event.id for event in story.events)
    for number, event in enumerate(story.events):
        if times[event.id] > 1:
            yield ("events", number, "id"), f"{times[event.id]} events are called {event.id}"
        if utc_day(event.at) < story.starts:
            yield ("events", number, "at"), f"this is before the story starts on {story.starts}"
        for field, seats in (("sites", event.sites), ("move", event.move or {})):
            for name in sorted(seats.keys() - story.contracts.keys()):
                yield ("events", number, field, name), f"there is no contract {name}"
        if sum((event.move or {}).values(), 0) != 0:
            yield ("events", number, "move"), "seats that move sum to nothing"


def _contract(story: Story, name: str, contract: Contract) -> Iterator[Found]:
    if contract.ends is not None and contract.ends <= contract.starts:
        yield ("contracts", name, "ends"), f"this is not after {contract.starts}, when it starts"
        return
    known = subscription_names(story)
    for shared in sorted(contract.shares.keys() - known):
        yield ("contracts", name, "shares", shared), f"there is no subscription {shared}"
    if contract.convention is not None:
        try:
            conventions.parse(contract.convention)
        except Invalid as error:
            yield ("contracts", name, "convention"), error.detail
    for number, day in enumerate(contract.invoices):
        near = day - timedelta(days=45)
        dates = list(islice(invoice_dates(contract, start=near), 4))
        if day not in dates:
            told = ", ".join(str(found) for found in dates) or "none"
            place = ("contracts", name, "invoices", number)
            yield place, f"{name} has no invoice on {day} by its terms; near it: {told}"


def _focus(place: Place, path: Path) -> Iterator[Found]:
    if not path.is_file():
        yield place, f"no such file: {path}"
        return
    try:
        for _ in read_focus(path):
            pass
    except FocusError as error:
        yield place, str(error)


def _defined(data: Mapping[str, Any]) -> dict[str, set[str]]:
    customers = _mapping(data.get("customers"))
    subscriptions = {
        f"{customer}/{name}"
        for customer, written in customers.items()
        for name in _mapping(_mapping(written).get("subscriptions"))
    }
    events = data.get("events")
    bought = [e for e in events if isinstance(e, dict)] if isinstance(events, list) else []
    subscriptions |= {f"{e.get('customer')}/{e.get('as')}" for e in bought if "buy" in e}
    subscriptions |= {
        f"{str(e.get('subscription')).partition('/')[0]}/{e.get('as')}"
        for e in bought
        if "upgrade" in e
    }
    return {
        "seller": set(_mapping(data.get("sellers"))),
        "product": set(_mapping(data.get("products"))),
        "customer": set(customers),
        "contract": set(_mapping(data.get("contracts"))),
        "subscription": subscriptions,
    }


def _matching(value: Any, pattern: list[str], place: Place) -> Iterator[tuple[Place, Any]]:
    """Everything in `value` at a path; `*` stands for every key or position."""
    if not pattern:
        yield place, value
        return
    step, rest = pattern[0], pattern[1:]
    if step == "*" and isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _matching(inner, rest, (*place, number))
    elif isinstance(value, dict):
        for key in value if step == "*" else [step]:
            if key in value:
                yield from _matching(value[key], rest, (*place, key))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _instead(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there is {', '.join(sorted(known))}" if known else ""
