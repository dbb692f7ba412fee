"""Whether an invoice is charged automatically when it is final, and if not, why not."""

from __future__ import annotations

from payments.domain.profiles import Profile
from shared.kernel.money import Money

NOTHING_TO_CHARGE = "nothing_to_charge"
CREDIT_BALANCE = "credit_balance"
NO_PROFILE = "no_profile"
PROFILE_UNUSABLE = "profile_unusable"


def why_not_charged(total: Money, profile: Profile | None) -> str | None:
    """The reason why nothing is sent for this total; None when there is none."""
    if total.amount == 0:
        return NOTHING_TO_CHARGE
    if total.amount < 0:
        return CREDIT_BALANCE
    if profile is None:
        return NO_PROFILE
    return None if profile.usable else PROFILE_UNUSABLE
