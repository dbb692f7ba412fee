"""Which company, agreement and product a mapping could mean, with a confidence for a person.

A suggestion maps nothing. An identifier that somebody set to ours is certain; a name is a guess,
and one that has a rival nearly as good says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from psa_connector.domain.discovery import Company, Offer, Places, Target
from psa_connector.domain.likeness import CERTAIN, likeness, same_code
from psa_connector.domain.operations import OperationKind
from shared.contracts.rating import ChargeKind

TELLING = 60  # percent; a name that is less alike tells nothing
RIVAL_WITHIN = 8  # percent; closer than that a name does not decide
T = TypeVar("T")
LICENCES = frozenset({ChargeKind.RECURRING, ChargeKind.PRORATION})


@dataclass(frozen=True, slots=True)
class OurContract:
    """A contract of ours that is not mapped, with the names people know it by."""

    id: str
    account_id: str
    account_name: str
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class OurProduct:
    """A product that lines were held up for."""

    key: str
    name: str
    kind: str  # of the lines: recurring, usage, one_time …


@dataclass(frozen=True, slots=True)
class ContractSuggestion:
    """Where a contract could go. Without a target: the company is found, its agreement is not."""

    contract: OurContract
    company: Company
    target: Target | None
    confidence: int
    because: str
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class ProductSuggestion:
    """What a product could be."""

    product: OurProduct
    offer: Offer
    confidence: int
    because: str
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class _Match:
    confidence: int
    because: str


def suggest_contracts(
    contracts: Iterable[OurContract], places: Places, *, at_least: int
) -> list[ContractSuggestion]:
    """The best company of each contract, and the best agreement of that company."""
    found = (_suggest_contract(contract, places, at_least) for contract in contracts)
    return [suggestion for suggestion in found if suggestion is not None]


def suggest_products(
    products: Iterable[OurProduct],
    offers: Sequence[Offer],
    *,
    kinds: frozenset[OperationKind],
    at_least: int,
) -> list[ProductSuggestion]:
    """The best offer of each product among those that can carry its lines."""
    found = []
    for product in products:
        wanted = carrier(product.kind, kinds)
        able = [offer for offer in offers if wanted in offer.serves]
        ranked = _ranked([(_product_match(product, offer), offer) for offer in able], at_least)
        if ranked:
            (match, offer), ambiguous = ranked[0], _is_ambiguous(ranked)
            found.append(
                ProductSuggestion(product, offer, match.confidence, match.because, ambiguous)
            )
    return found


def carrier(charge_kind: str, kinds: frozenset[OperationKind]) -> OperationKind:
    """The kind of operation that lines of a kind become in a PSA that takes these kinds."""
    if OperationKind.ADDITION in kinds:
        return OperationKind.ADDITION
    if charge_kind in LICENCES:
        return OperationKind.SERVICE_ADJUSTMENT
    return OperationKind.CONTRACT_CHARGE


def _suggest_contract(
    contract: OurContract, places: Places, at_least: int
) -> ContractSuggestion | None:
    """An agreement that carries our contract's id decides alone; else the company comes first."""
    for marked in places.targets:
        if any(same_code(contract.id, code) for code in marked.codes):
            owner = next((c for c in places.companies if c.id == marked.company_id), None)
            if owner is not None:
                because = f"{marked.name} carries our contract id"
                return ContractSuggestion(contract, owner, marked, CERTAIN, because)
    ranked = _ranked([(_company_match(contract, c), c) for c in places.companies], at_least)
    if not ranked:
        return None
    match, company = ranked[0]
    target, unsure = _target_of(contract, company, places.targets)
    ambiguous = unsure or _is_ambiguous(ranked)
    return ContractSuggestion(contract, company, target, match.confidence, match.because, ambiguous)


def _company_match(contract: OurContract, company: Company) -> _Match:
    if any(same_code(contract.account_id, code) for code in company.codes):
        return _Match(CERTAIN, "its number is our account id")
    return _named(contract.account_name, company.name)


def _target_of(
    contract: OurContract, company: Company, targets: Sequence[Target]
) -> tuple[Target | None, bool]:
    """The agreement of a company that looks most like the contract; only one means that one."""
    own = [
        target
        for target in targets
        if target.company_id == company.id
        and (contract.currency is None or target.currency in {None, contract.currency})
    ]
    if len(own) <= 1:
        return (own[0], False) if own else (None, False)
    ranked = _ranked([(_named(contract.id, target.name), target) for target in own], 0)
    unsure = ranked[0][0].confidence < TELLING or _is_ambiguous(ranked)
    return ranked[0][1], unsure


def _product_match(product: OurProduct, offer: Offer) -> _Match:
    if any(same_code(product.key, code) for code in offer.codes):
        return _Match(CERTAIN, "it carries our product key")
    return _named(product.name, offer.name)


def _named(ours: str, theirs: str) -> _Match:
    """A name is never certain: equal names of two things occur."""
    return _Match(min(likeness(ours, theirs), CERTAIN - 1), f"{ours} looks like {theirs}")


def _ranked(matches: Iterable[tuple[_Match, T]], at_least: int) -> list[tuple[_Match, T]]:
    """Best first; equal ones in the order of the PSA, so that a repeat says the same."""
    good = [pair for pair in matches if pair[0].confidence >= at_least]
    return sorted(good, key=lambda pair: -pair[0].confidence)


def _is_ambiguous(ranked: Sequence[tuple[_Match, T]]) -> bool:
    """A name with a rival nearly as good; an identifier only when it is set twice."""
    if len(ranked) < 2:
        return False
    best, rival = ranked[0][0].confidence, ranked[1][0].confidence
    return best == rival if best == CERTAIN else best - rival < RIVAL_WITHIN
