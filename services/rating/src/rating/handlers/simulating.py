"""What rating knows of some customers, for simulations of them. Nothing is locked or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rating.domain.pricing import PriceBook, SheetRow
from rating.domain.promotions import Promotion
from rating.domain.rules import Rule
from rating.domain.simulation import Subject
from rating.handlers.allocating import shared_out
from rating.handlers.settling import covered_by
from rating.handlers.terms import licence_book
from rating.store import facts
from shared.kernel.errors import NotFound
from shared.runtime.postgres import Reader


@dataclass(frozen=True, slots=True)
class Stored:
    """Contracts with their histories, and the prices that concern them."""

    subjects: tuple[Subject, ...] = ()
    book: PriceBook = field(default_factory=PriceBook)


async def stored(reader: Reader, customer_ids: Sequence[str]) -> Stored:
    """The facts of these customers as they are now.

    Raises:
        NotFound: `customer_unknown` for one without a contract.
    """
    wanted = list(dict.fromkeys(customer_ids))
    known = await facts.contracts_of(reader, wanted)
    subjects: list[Subject] = []
    rules: dict[tuple[str, int], Rule] = {}
    rows: dict[SheetRow, None] = {}
    promotions: dict[tuple[str, int], Promotion] = {}
    for customer_id in wanted:
        contracts = known[customer_id]
        if not contracts:
            raise NotFound("customer_unknown", f"no contract is for customer {customer_id}")
        timelines = await facts.timelines(reader, customer_id)
        shared = await shared_out(reader, contracts, timelines)
        for contract in contracts:
            found = covered_by(contract, timelines, shared)
            own = [line for name, line in found.items() if name not in shared]
            parts = [line for name, line in found.items() if name in shared]
            others = tuple(line for name, line in timelines.items() if name not in found)
            subjects.append(Subject(contract, tuple(contracts), tuple(own), others))
            if parts:  # what is the contract's is settled: no other contract competes for it
                alone = contract.model_copy(update={"subscription_ids": None})
                subjects.append(Subject(alone, (alone,), tuple(parts)))
            book = await licence_book(reader, contract, found.values())
            rules |= {(rule.rule_id, rule.version): rule for rule in book.rules}
            rows |= {row: None for found in book.rows.values() for row in found}
            promotions |= {(one.promotion_id, one.version): one for one in book.promotions}
    return Stored(tuple(subjects), PriceBook.of(rules.values(), rows, promotions.values()))
