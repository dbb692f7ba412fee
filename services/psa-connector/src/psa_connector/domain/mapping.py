"""Where a contract and its products live in a PSA: by stored ids only, never by name (G5).

Nothing is guessed. What is not mapped blocks, with a reason that says which mapping is missing; a
contract that goes to no PSA is mapped to none on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from psa_connector.domain.operations import Product


class Reason(StrEnum):
    """Why something is not delivered. Stable: people filter by it, events carry it."""

    UNMAPPED_COMPANY = "unmapped_company"
    UNMAPPED_AGREEMENT = "unmapped_agreement"
    UNMAPPED_PRODUCT = "unmapped_product"
    CURRENCY_MISMATCH = "currency_mismatch"
    AGREEMENT_PRORATES = "agreement_prorates"
    AGREEMENT_INACTIVE = "agreement_inactive"
    AGREEMENT_COMPANY_MISMATCH = "agreement_company_mismatch"
    BILLING_CYCLE_UNSUPPORTED = "billing_cycle_unsupported"
    PRODUCT_INACTIVE = "product_inactive"
    PRODUCT_BUNDLE = "product_bundle"
    PRODUCT_AUTO_REPRICE = "product_auto_reprice"
    CONTRACT_NOT_RECURRING = "contract_not_recurring"
    OUTSIDE_CONTRACT_DATES = "outside_contract_dates"
    PERIOD_ALREADY_INVOICED = "period_already_invoiced"
    INVOICE_BLOCKED = "invoice_blocked"  # another line of the same invoice is
    EXISTING_LINE = "existing_line"  # at cut-over, entered by somebody else
    SERVICE_AMBIGUOUS = "service_ambiguous"
    VENDOR_REFUSED = "vendor_refused"
    UNITS_DRIFTED = "units_drifted"
    RECORD_DIFFERS = "record_differs"
    RECORD_DUPLICATED = "record_duplicated"
    RECORD_BILLED = "record_billed"  # billed records are never edited
    NOT_VISIBLE = "not_visible"


@dataclass(frozen=True, slots=True)
class Block:
    """One reason and a sentence for the person who can remove it."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class ContractMapping:
    """What somebody said about a contract. `connection_id` None: it goes to no PSA."""

    connection_id: str | None
    company_id: str | None
    target_id: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """A contract's place in a PSA: which company, and which agreement or contract of it."""

    connection_id: str
    company_id: str
    target_id: str


@dataclass(frozen=True, slots=True)
class Nowhere:
    """Mapped to none: there is nothing to deliver, and that is right."""


def place_of(contract_id: str, mapping: ContractMapping | None) -> Place | Nowhere | Block:
    """Where the records of a contract go."""
    if mapping is None:
        return Block(
            Reason.UNMAPPED_COMPANY, f"contract {contract_id} is mapped to no company, nor to none"
        )
    if mapping.connection_id is None:
        return Nowhere()
    if not mapping.company_id:
        return Block(Reason.UNMAPPED_COMPANY, f"contract {contract_id} has no company id")
    if not mapping.target_id:
        return Block(
            Reason.UNMAPPED_AGREEMENT, f"contract {contract_id} has no agreement or contract id"
        )
    return Place(mapping.connection_id, mapping.company_id, mapping.target_id)


def product_keys(product_key: str, kind: str) -> tuple[str, ...]:
    """The mappings that may answer for a product, best first: its own, else one for its kind.

    Azure has more product keys than anybody maps; `kind:usage` maps all usage lines that have no
    mapping of their own. It is a stored decision like the others, not a guess.
    """
    return (product_key, f"kind:{kind}")


def product_for(product_key: str, kind: str, mapped: Mapping[str, str]) -> Product:
    """The product with its id in the PSA, or with None."""
    found = (mapped[key] for key in product_keys(product_key, kind) if key in mapped)
    return Product(product_key, next(found, None))


def unmapped(product: Product) -> Block:
    return Block(Reason.UNMAPPED_PRODUCT, f"product {product.key} has no id in this PSA")
