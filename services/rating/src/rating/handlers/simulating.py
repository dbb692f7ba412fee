"""What rating knows of some customers, for simulations of them. Nothing is locked or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rating.domain.ownership import covers
from rating.domain.pricing import PriceBook, SheetRow
from rating.domain.rules import Rule
from rating.domain.simulation import Subject
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
    for customer_id in wanted:
        contracts = known[customer_id]
        if not contracts:
            raise NotFound("customer_unknown", f"no contract is for customer {customer_id}")
        timelines = await facts.timelines(reader, customer_id)
        for contract in contracts:
            lines = [line for name, line in timelines.items() if covers(contract, name)]
            subjects.append(Subject(contract, tuple(contracts), tuple(lines)))
            book = await licence_book(reader, contract, lines)
            rules |= {(rule.rule_id, rule.version): rule for rule in book.rules}
            rows |= {row: None for found in book.rows.values() for row in found}
    return Stored(tuple(subjects), PriceBook.of(rules.values(), rows))
