"""Who sells. Selling entities own prefixes, tax modes and payment terms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from invoicing.domain.numbering import require_prefix
from shared.contracts.invoicing import TaxMode
from shared.kernel.errors import Conflict, Invalid

PAYMENT_TERMS_MAX_DAYS = 365


@dataclass(frozen=True, slots=True)
class SellingEntity:
    """One legal entity that issues invoices under its own numbers."""

    selling_entity_id: str
    name: str
    country: str  # ISO 3166-1 alpha-2
    tax_mode: TaxMode
    invoice_prefix: str
    payment_terms_days: int

    def due_on(self, invoice_date: date) -> date:
        """The last day to pay an invoice of this date."""
        return invoice_date + timedelta(days=self.payment_terms_days)


def require_seller(
    current: SellingEntity | None, wanted: SellingEntity, *, has_invoices: bool
) -> None:
    """Refuse what would make invoice numbers ambiguous.

    Raises:
        Invalid: `invoice_prefix_invalid`, `payment_terms_invalid`.
        Conflict: `invoice_prefix_in_use` when issued numbers carry the present prefix.
    """
    require_prefix(wanted.invoice_prefix)
    if not 0 <= wanted.payment_terms_days <= PAYMENT_TERMS_MAX_DAYS:
        raise Invalid(
            "payment_terms_invalid", f"{wanted.payment_terms_days} days is not 0 to a year"
        )
    changes_prefix = current is not None and current.invoice_prefix != wanted.invoice_prefix
    if changes_prefix and has_invoices:
        raise Conflict(
            "invoice_prefix_in_use",
            f"{wanted.selling_entity_id} has issued invoices under its present prefix; "
            "its count must not go on under another one",
        )
