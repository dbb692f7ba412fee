"""How an account pays: tokens of the provider, and never anything else.

A card or bank number that is sent here by mistake is refused before it is stored or logged; the
refusal does not repeat it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.kernel.errors import Invalid

PROVIDERS = frozenset({"stripe"})

_TOKEN = re.compile(r"[a-z]+_[A-Za-z0-9_-]{1,250}")
_DIGIT_RUN = re.compile(r"\d(?:[ ._-]?\d){12,18}")
_ACCOUNT_NUMBER = re.compile(r"\d[\d -]{4,32}\d")
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")


@dataclass(frozen=True, slots=True)
class Profile:
    """Where to send an account's charges. `usable` ends with a decline that forbids the method."""

    account_id: str
    provider: str
    provider_customer_id: str
    provider_method_id: str
    usable: bool = True
    unusable_reason: str | None = None


def new_profile(
    account_id: str, *, provider: str, provider_customer_id: str, provider_method_id: str
) -> Profile:
    """A profile of checked tokens.

    Raises:
        Invalid: `provider_unknown`, `looks_like_card_number`, `looks_like_bank_account`,
            `token_malformed`.
    """
    for name, value in (
        ("provider", provider),
        ("provider_customer_id", provider_customer_id),
        ("provider_method_id", provider_method_id),
    ):
        refuse_account_data(name, value)
    if provider not in PROVIDERS:
        raise Invalid("provider_unknown", "charges can be sent to: " + ", ".join(PROVIDERS))
    for name, value in (
        ("provider_customer_id", provider_customer_id),
        ("provider_method_id", provider_method_id),
    ):
        if not _TOKEN.fullmatch(value):
            raise Invalid("token_malformed", f"{name} is not a token of the provider")
    return Profile(account_id, provider, provider_customer_id, provider_method_id)


def refuse_account_data(name: str, value: str) -> None:
    """Refuse what looks like a card number, an IBAN or a bank account number.

    Raises:
        Invalid: `looks_like_card_number`, `looks_like_bank_account`; never with the value.
    """
    if any(_luhn(run) for run in _DIGIT_RUN.findall(value)):
        raise Invalid("looks_like_card_number", f"{name} looks like a card number; send a token")
    if _is_iban(re.sub(r"[\s.-]", "", value).upper()) or _ACCOUNT_NUMBER.fullmatch(value.strip()):
        raise Invalid("looks_like_bank_account", f"{name} looks like a bank account; send a token")


def _luhn(text: str) -> bool:
    """The check digit of payment cards, over the digits of `text`."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [
        digit if place % 2 == 0 else (digit * 2 - 9 if digit > 4 else digit * 2)
        for place, digit in enumerate(reversed(digits))
    ]
    return sum(doubled) % 10 == 0


def _is_iban(text: str) -> bool:
    """The ISO 7064 check of an IBAN."""
    if not _IBAN.fullmatch(text):
        return False
    turned = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1
