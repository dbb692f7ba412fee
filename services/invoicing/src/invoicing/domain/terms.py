"""The terms of a contract that decide when it is invoiced, and which of them may still change.

Dates of invoices are a function of the terms; once a first run exists they are history and stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from shared.contracts.invoicing import ContractChanged, Timing
from shared.kernel import conventions
from shared.kernel.errors import Conflict, Invalid
from shared.kernel.money import exponent

OFFSET_MAX_DAYS = 60
ANCHOR_IN_EVERY_MONTH = 28

# Changing one of these would move cycle borders or money that earlier invoices already fixed.
FIXED_BY_FIRST_RUN = (
    "account_id",
    "bill_to_account_id",
    "currency",
    "timing",
    "anchor_day",
    "invoice_offset_days",
    "starts_on",
    "billed_through",
    "convention",
)


@dataclass(frozen=True, slots=True)
class Terms:
    """When a contract is invoiced. Cycles are monthly and run from `anchor_day`."""

    timing: Timing
    anchor_day: int
    invoice_offset_days: int
    starts_on: date
    billed_through: date
    ends_on: date | None = None

    @property
    def first_day(self) -> date:
        """The first day whose recurring service is ours to bill."""
        return max(self.starts_on, self.billed_through)


def terms_of(contract: ContractChanged) -> Terms:
    """The part of a contract that `cycles` needs."""
    return Terms(
        timing=contract.timing,
        anchor_day=contract.anchor_day,
        invoice_offset_days=contract.invoice_offset_days,
        starts_on=contract.starts_on,
        billed_through=contract.billed_through,
        ends_on=contract.ends_on,
    )


def require_valid(contract: ContractChanged) -> None:
    """Refuse terms that no invoice date could follow from.

    Raises:
        Invalid: `anchor_day_invalid`, `invoice_offset_invalid`, `contract_ends_before_start`,
            `currency_unknown`, `convention_unknown`, `convention_needs_anchor`.
    """
    exponent(contract.currency)
    _require_convention(contract)
    if not 1 <= contract.anchor_day <= 31:
        raise Invalid("anchor_day_invalid", f"anchor day {contract.anchor_day} is not 1..31")
    if not 0 <= contract.invoice_offset_days <= OFFSET_MAX_DAYS:
        raise Invalid(
            "invoice_offset_invalid",
            f"an invoice is dated 0 to {OFFSET_MAX_DAYS} days after the cycle boundary, "
            f"not {contract.invoice_offset_days}",
        )
    if contract.ends_on is not None and contract.ends_on <= contract.starts_on:
        raise Invalid(
            "contract_ends_before_start", f"{contract.ends_on} is not after {contract.starts_on}"
        )


def _require_convention(contract: ContractChanged) -> None:
    convention = conventions.parse(contract.convention)
    if convention.month_days is not None and contract.anchor_day > ANCHOR_IN_EVERY_MONTH:
        raise Invalid(
            "convention_needs_anchor",
            f"{convention.scheme} counts every cycle as {convention.month_days} days, so the "
            f"anchor day must be one that every month has: 1 to {ANCHOR_IN_EVERY_MONTH}",
        )


def next_version(
    current: ContractChanged | None, wanted: ContractChanged, *, has_runs: bool
) -> ContractChanged | None:
    """The version to publish for these wanted terms; None when they already hold.

    Raises:
        Conflict: `terms_fixed` when an invoice run exists and a term it depends on would change.
    """
    if current is None:
        return wanted.model_copy(update={"version": 1})
    if wanted.model_copy(update={"version": current.version}) == current:
        return None
    moved = [name for name in FIXED_BY_FIRST_RUN if getattr(current, name) != getattr(wanted, name)]
    if has_runs and moved:
        raise Conflict(
            "terms_fixed",
            f"{', '.join(moved)} of {current.contract_id} cannot change after its first invoice "
            "run: end this contract and start another",
        )
    return wanted.model_copy(update={"version": current.version + 1})
