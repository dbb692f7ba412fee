"""The one rounding of a charge: exact until here, whole minor units from here on."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from shared.contracts.invoicing import ContractChanged
from shared.kernel import conventions
from shared.kernel.errors import Held
from shared.kernel.money import exponent, round_to

# No invoice line of any currency has more digits before the point; a larger amount comes from a
# wrong price or quantity, and stops its own charge only.
AMOUNT_BOUND = Decimal(10) ** 15


def closed(exact: Decimal | Fraction, contract: ContractChanged) -> Decimal:
    """The amount in whole minor units of the contract's currency, as its convention rounds.

    Raises:
        Held: `amount_out_of_bounds`.
    """
    rounding = conventions.parse(contract.convention).rounding
    amount = round_to(exact, exponent(contract.currency), rounding)
    if abs(amount) >= AMOUNT_BOUND:
        raise Held("amount_out_of_bounds", "16 or more digits before the point: check the price")
    return amount
