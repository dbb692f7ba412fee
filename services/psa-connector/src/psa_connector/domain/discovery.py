"""What a PSA has to offer for a mapping: its companies, agreements or contracts, and products.

Names are for people to recognise; a mapping stores ids only (G5).
"""

from __future__ import annotations

from dataclasses import dataclass

from psa_connector.domain.operations import OperationKind


@dataclass(frozen=True, slots=True)
class Company:
    """A customer as the PSA knows it. `codes`: identifiers that somebody may have set to ours."""

    id: str
    name: str
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """An agreement or contract that lines could go to."""

    id: str
    name: str
    company_id: str
    codes: tuple[str, ...] = ()
    currency: str | None = None  # None: the PSA does not say


@dataclass(frozen=True, slots=True)
class Offer:
    """A product, service or billing code, and which kinds of operation it can carry."""

    external_id: str
    name: str
    serves: frozenset[OperationKind]
    codes: tuple[str, ...] = ()
    reprices: bool = False  # the PSA changes prices of its lines by itself


@dataclass(frozen=True, slots=True)
class Places:
    """Every active company, and every agreement or contract that is not at its end."""

    companies: tuple[Company, ...]
    targets: tuple[Target, ...]
