"""Which number a play gets on this stack, before anything is written.

What was billed once stays billed, so no play touches the ids of another: neither of an earlier play
of the same story nor of a story that happens to use the same names. From number 2 on all ids of a
play end in the number; it is the first one under which none of them is in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count

from stack.player.names import Names
from stack.player.provider_setup import PriceKey, price_key, price_rows
from stack.player.services import Row, Services
from stack.story.checks import Found
from stack.story.reader import Script, StoryError, StoryErrors

Prices = tuple[Decimal, Decimal]  # what the partner pays, what the provider suggests


@dataclass
class InUse:
    """Ids that belong to somebody, and what the provider's price sheet says."""

    prefixes: dict[str, str] = field(default_factory=dict)  # invoice prefix → selling entity
    ids: set[tuple[str, str]] = field(default_factory=set)  # (kind, id)
    prices: dict[PriceKey, Prices] = field(default_factory=dict)

    def claim(self, names: Names) -> None:
        """Another play of the same command may not have these any more."""
        self.ids |= set(_ids(names))
        for name, seller in names.story.sellers.items():
            self.prefixes.setdefault(names.prefix(seller.invoice_prefix), names.own(name))
        for row in price_rows(names).values():
            self.prices.setdefault(price_key(row), _prices(row))


async def in_use(services: Services) -> InUse:
    """What the services and the provider know at the moment."""
    found = InUse()
    for seller in await services.pages("invoicing", "/v1/selling-entities"):
        found.ids.add(("seller", seller["selling_entity_id"]))
        found.prefixes[seller["invoice_prefix"]] = seller["selling_entity_id"]
    for account in await services.pages("invoicing", "/v1/accounts"):
        found.ids.add(("customer", account["account_id"]))
    for contract in await services.pages("invoicing", "/v1/contracts"):
        found.ids.add(("contract", contract["contract_id"]))
    books = await services.simulator("GET", "/partner-center/_control/state")
    found.ids |= {("provider invoice", invoice["id"]) for invoice in books["invoices"]}
    by_age = sorted(books["price_sheet"], key=lambda row: row["effective_from"], reverse=True)
    # Of a product whose price changed in a story, the price that the story began with.
    found.prices = {price_key(row): _prices(row) for row in by_age}
    return found


def number_plays(scripts: Sequence[Script], used: InUse) -> list[Names]:
    """A number for every story, in their order.

    Raises:
        StoryErrors: for what no number helps against; nothing was written then.
    """
    used = deepcopy(used)
    plays: list[Names] = []
    errors: list[StoryError] = []
    for script in scripts:
        names = _first_free(script, used)
        conflicts = [*_same_story(script, scripts), *_prefixes(names, used), *_price(names, used)]
        if conflicts:
            errors.append(script.error(conflicts))
        used.claim(names)
        plays.append(names)
    if errors:
        raise StoryErrors(errors)
    return plays


def told(names: Names) -> str:
    """Which ids a play uses that is not the first; those of the first are the names themselves."""
    story = names.story
    prefixes = sorted(names.prefix(seller.invoice_prefix) for seller in story.sellers.values())
    return (
        f"{story.story}: names of it are in use on this stack, so this is play {names.play}. "
        f"Its contracts are {', '.join(map(names.own, story.contracts))}, its customers "
        f"{', '.join(map(names.own, story.customers))}; its invoices begin with "
        f"{', '.join(prefixes)}."
    )


def _first_free(script: Script, used: InUse) -> Names:
    plays = (Names(script.story, number) for number in count(1))
    return next(names for names in plays if used.ids.isdisjoint(_ids(names)))


def _ids(names: Names) -> Iterator[tuple[str, str]]:
    story = names.story
    for kind, members in (
        ("seller", story.sellers),
        ("customer", story.customers),
        ("contract", story.contracts),
    ):
        for name in members:
            yield kind, names.own(name)
    for usage in story.usage:
        yield "provider invoice", names.provider_invoice(usage.invoice)


def _same_story(script: Script, scripts: Sequence[Script]) -> Iterator[Found]:
    """Findings are told apart by the story's name."""
    twins = [other for other in scripts if other.story.story == script.story.story]
    if twins[0] is not script:
        yield ("story",), f"{script.story.story} is also the name of {twins[0].path}; rename one"


def _prefixes(names: Names, used: InUse) -> Iterator[Found]:
    for name, seller in names.story.sellers.items():
        prefix = names.prefix(seller.invoice_prefix)
        owner = used.prefixes.get(prefix)
        if owner is not None:
            yield (
                ("sellers", name, "invoice_prefix"),
                f"invoice numbers with {prefix} belong to the seller {owner} on this stack; "
                "choose another prefix",
            )


def _price(names: Names, used: InUse) -> Iterator[Found]:
    """The provider has one price sheet; another price would change what other stories were
    charged."""
    for name, row in price_rows(names).items():
        known = used.prices.get(price_key(row))
        if known is None:
            continue
        for field_name, have, want in zip(("cost", "list"), known, _prices(row), strict=True):
            if have != want:
                yield (
                    ("products", name, field_name),
                    f"the price sheet on this stack says {have} {row['currency']} for this sku, "
                    f"term and plan, not {want}; take another sku, or begin with an empty stack "
                    "(`tieout reset`, `tieout up`)",
                )


def _prices(row: Row) -> Prices:
    return Decimal(str(row["unit_price"])), Decimal(str(row["erp_price"]))
