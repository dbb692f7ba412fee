"""What a test payment method does when it is charged, read from the vendor's token names.

`pm_card_visa` pays, `pm_card_visa_chargeDeclinedInsufficientFunds` is declined with the code in its
name, `pm_card_authenticationRequired` wants the customer, bank debits take days.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from simulators.exact_json import Document

_DECLINED = re.compile(r"pm_card_(?:\w+?_)?chargeDeclined(?P<reason>\w*)")
_BRANDS = ("visa", "mastercard", "amex", "discover")
_CODES_OF_THEIR_OWN = {"expired_card", "incorrect_cvc", "processing_error", "incorrect_number"}
_HARD = frozenset({"lost_card", "stolen_card", "pickup_card", "fraudulent"})
_MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}
DEBITS = {"sepa_debit": "eur", "us_bank_account": "usd", "bacs_debit": "gbp"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`kind` is succeed, processing, requires_action, decline or api_error."""

    kind: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.code}" if self.code else self.kind


def parsed(text: str) -> Outcome:
    """`succeed`, `decline:insufficient_funds`, …

    Raises:
        ValueError: nothing that a payment method can do.
    """
    kind, _, code = text.partition(":")
    if kind not in ("succeed", "processing", "requires_action", "decline", "api_error"):
        raise ValueError(f"{text!r} is not an outcome")
    return Outcome(kind, code or ("generic_decline" if kind == "decline" else ""))


def of_token(token: str) -> Outcome:
    """What a payment method made from this token does."""
    declined = _DECLINED.fullmatch(token)
    if declined is not None:
        words = re.findall(r"[A-Z][a-z]*", declined["reason"])
        code = "_".join(words).lower() or "generic_decline"
        return Outcome("decline", code)
    if token.startswith("pm_card_authenticationRequired"):
        return Outcome("requires_action")
    if token == "pm_card_chargeCustomerFail":
        return Outcome("decline", "generic_decline")
    if type_of_token(token) != "card":
        failing = token.endswith(("_fails", "Failed"))
        return Outcome("processing", "fails" if failing else "")
    return Outcome("succeed")


def is_token(id: str) -> bool:
    """Ids that every test account has, without creating them."""
    return id.startswith(("pm_card_", "pm_usBankAccount", "pm_sepa", "pm_bacs"))


def type_of_token(token: str) -> str:
    if token.startswith("pm_usBankAccount"):
        return "us_bank_account"
    if token.startswith("pm_sepa"):
        return "sepa_debit"
    return "bacs_debit" if token.startswith("pm_bacs") else "card"


def brand_of_token(token: str) -> str:
    return next((b for b in _BRANDS if b in token.lower()), "visa")


def decline_fields(code: str) -> Document:
    """What an error says of a decline."""
    own = code in _CODES_OF_THEIR_OWN or code == "authentication_required"
    fields: Document = {
        "type": "card_error",
        "code": code if own else "card_declined",
        "decline_code": code,
        "message": _MESSAGES.get(code, "Your card was declined."),
    }
    if code in _HARD:
        fields["advice_code"] = "do_not_try_again"
        fields["network_decline_code"] = "41" if code == "lost_card" else "43"
    elif code not in ("authentication_required", "expired_card", "incorrect_cvc"):
        fields["advice_code"] = "try_again_later"
    return fields
