"""What a decline means: whether the method is dead, stale, short of money, or just unlucky.

Codes are Stripe's decline and error codes. What the card network adds overrides them.
"""

from __future__ import annotations

from payments.domain.attempt import Decline

HARD = "hard"  # this method never again
NEEDS_UPDATE = "needs_update"  # not before the method changes
NEEDS_AUTH = "needs_auth"  # only with the payer present
SOFT_FUNDS = "soft_funds"  # another day
SOFT_ISSUER = "soft_issuer"  # another day, twice at most
TRANSIENT = "transient"  # once more after a while
CONFIG = "config"  # an operator has to look

_CODES = {
    HARD: (
        "lost_card", "stolen_card", "pickup_card", "fraudulent", "merchant_blacklist",
        "highest_risk_level", "incorrect_number", "invalid_number", "invalid_account",
        "revocation_of_authorization", "revocation_of_all_authorizations", "stop_payment_order",
        "transaction_not_allowed", "restricted_card", "security_violation", "not_permitted",
        "service_not_allowed", "card_not_supported", "currency_not_supported",
        "pin_try_exceeded", "do_not_try_again", "previously_declined_do_not_retry", "blocklist",
        "live_mode_test_card",
    ),
    NEEDS_UPDATE: (
        "expired_card", "incorrect_cvc", "invalid_cvc", "invalid_expiry_month",
        "invalid_expiry_year", "incorrect_zip", "incorrect_address",
        "new_account_information_available",
    ),
    NEEDS_AUTH: ("authentication_required", "approve_with_id"),
    SOFT_FUNDS: (
        "insufficient_funds", "withdrawal_count_limit_exceeded", "card_velocity_exceeded",
    ),
    SOFT_ISSUER: ("generic_decline", "do_not_honor", "call_issuer", "no_action_taken"),
    TRANSIENT: (
        "processing_error", "issuer_not_available", "try_again_later", "reenter_transaction",
    ),
    # A duplicate is reconciled by a person, never retried.
    CONFIG: ("invalid_amount", "amount_too_small", "amount_too_large", "duplicate_transaction"),
}  # fmt: skip
_CLASS_OF = {code: name for name, codes in _CODES.items() for code in codes}

_ADVICE = {"do_not_try_again": HARD, "confirm_card_data": NEEDS_UPDATE}
# Mastercard merchant advice codes, and Visa's category 1 responses.
_NETWORK_ADVICE_HARD = frozenset({"03", "21"})
_NETWORK_CODES_HARD = frozenset(
    {"04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3"}
)


def classify(
    *,
    code: str | None,
    decline_code: str | None = None,
    advice_code: str | None = None,
    network_advice_code: str | None = None,
    network_decline_code: str | None = None,
) -> Decline:
    """The decline and its class; an unknown code of a card is the issuer's own, and soft."""
    named = decline_code or code or "unknown"
    if network_advice_code in _NETWORK_ADVICE_HARD or network_decline_code in _NETWORK_CODES_HARD:
        return Decline(named, HARD)
    if advice_code in _ADVICE:
        return Decline(named, _ADVICE[advice_code])
    candidates = [c for c in (decline_code, code) if c in _CLASS_OF]
    listed = _CLASS_OF[candidates[0]] if candidates else SOFT_ISSUER
    if advice_code == "try_again_later" and listed in (HARD, NEEDS_UPDATE):
        return Decline(named, SOFT_ISSUER)
    return Decline(named, listed)


def refusal(code: str | None) -> Decline:
    """A request the provider did not accept at all: no payer declined, so an operator looks."""
    named = code or "request_refused"
    return Decline(named, _CLASS_OF.get(named, CONFIG))


def forbids_method(decline: Decline) -> bool:
    """Whether the payment method must not be used again."""
    return decline.decline_class == HARD
