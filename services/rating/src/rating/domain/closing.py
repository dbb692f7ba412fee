"""The one rounding of a charge: exact until here, whole minor units from here on."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from shared.kernel.errors import Held
from shared.kernel.money import Rounding, exponent, round_to

# No invoice line of any currency has more digits before the point; a larger amount comes from a
# wrong price or quantity, and stops its own charge only.
AMOUNT_BOUND = Decimal(10) ** 15


def closed(exact: Decimal | Fraction, currency: str) -> Decimal:
    """The amount in whole minor units, half away from zero.

    Raises:
        Held: `amount_out_of_bounds`.
    """
    amount = round_to(exact, exponent(currency), Rounding.HALF_AWAY)
    if abs(amount) >= AMOUNT_BOUND:
        raise Held("amount_out_of_bounds", "16 or more digits before the point: check the price")
    return amount
