"""The prices, rules and rates that the charges of one contract are made with."""

from __future__ import annotations

from collections.abc import Iterable

from rating.domain.pricing import PriceBook
from rating.domain.promotions import FirstTerm, first_terms
from rating.domain.rules import Rule, RuleKind
from rating.domain.timeline import Timeline
from rating.domain.usage_charges import UsageTerms
from rating.store import facts, price_sheets, prices, promotions, usage
from shared.contracts.invoicing import ContractChanged
from shared.runtime.postgres import Reader


async def licence_book(
    reader: Reader,
    contract: ContractChanged,
    timelines: Iterable[Timeline],
    more: Iterable[str] = (),
) -> PriceBook:
    """The rules and sheet rows for every product that these subscriptions ever had, and `more`."""
    products = {state.product.key for line in timelines for state in line.terms} | set(more)
    return PriceBook.of(
        await rules_for(reader, contract, RuleKind.LICENCE),
        await price_sheets.sheet_rows(reader, products),
        await promotions.for_contract(reader, contract),
    )


async def first_purchases(
    reader: Reader, contract: ContractChanged, book: PriceBook
) -> dict[str, FirstTerm]:
    """The first terms of the contract's customer, where a promotion asks for them."""
    if not any(promotion.first_purchase for promotion in book.promotions):
        return {}
    found = await facts.timelines(reader, contract.provider_customer_id)
    return first_terms(found.values())


async def usage_terms(reader: Reader, contract: ContractChanged) -> UsageTerms:
    """Usage rules in all their versions, rates, and how far cycles were closed."""
    rules = await rules_for(reader, contract, RuleKind.USAGE)
    return UsageTerms(
        contract,
        {(rule.rule_id, rule.version): rule for rule in rules},
        await prices.rates(reader, [contract.currency]),
        await facts.closed_through(reader, contract.contract_id),
        await usage.subscription_names(reader, contract.provider_customer_id),
    )


async def rules_for(reader: Reader, contract: ContractChanged, *kinds: RuleKind) -> list[Rule]:
    """Every version of every rule that may price something of this contract."""
    return await prices.rules(
        reader,
        kinds,
        contract_ids=[contract.contract_id],
        customer_ids=[contract.provider_customer_id],
    )
