"""Prices, rules and rates are data; the one knob is how much of them one person may move."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from shared.runtime.settings import ServiceSettings

NonNegative = Annotated[Decimal, Field(ge=0)]

# Revenue a month that a price change may move without a second person. `*` is every other currency,
# and says that there any amount needs two: nobody decided what is little.
DEFAULT_THRESHOLDS = {
    "USD": Decimal(1000),
    "EUR": Decimal(1000),
    "GBP": Decimal(1000),
    "CHF": Decimal(1000),
    "AUD": Decimal(1500),
    "CAD": Decimal(1500),
    "JPY": Decimal(150_000),
    "*": Decimal(0),
}


class RatingSettings(ServiceSettings):
    """What every service has, and the threshold above which a second person approves."""

    rating_approval_thresholds: dict[str, NonNegative] = Field(
        default=DEFAULT_THRESHOLDS,
        description="Revenue a month, by currency, that a price change may move without a second "
        "person; `*` is every other currency.",
    )
