"""Whether an invoice can be charged, and if not, why not."""

from __future__ import annotations

from dataclasses import dataclass

from payments.domain.profiles import Profile
from shared.kernel.money import Money

NOTHING_TO_CHARGE = "nothing_to_charge"
CREDIT_BALANCE = "credit_balance"
NO_PROFILE = "no_profile"
PROFILE_UNUSABLE = "profile_unusable"


@dataclass(frozen=True, slots=True)
class NotCharged:
    """Why nothing is sent."""

    reason: str


def payer(total: Money, profile: Profile | None) -> Profile | NotCharged:
    """Whom to charge for a total."""
    if total.amount == 0:
        return NotCharged(NOTHING_TO_CHARGE)
    if total.amount < 0:
        return NotCharged(CREDIT_BALANCE)
    if profile is None:
        return NotCharged(NO_PROFILE)
    return profile if profile.usable else NotCharged(PROFILE_UNUSABLE)
