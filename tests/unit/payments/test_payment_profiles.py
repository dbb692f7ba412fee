"""Tokens are taken; card and bank numbers are refused and never repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.domain.profiles import new_profile, refuse_account_data
from shared.kernel.errors import Invalid

# Test numbers that card networks and the IBAN registry publish; none belongs to anybody.
CARD = "4242424242424242"
IBAN = "DE89370400440532013000"


def profile_with(method: str, *, customer: str = "cus_Q1") -> None:
    new_profile(
        "acc-1", provider="stripe", provider_customer_id=customer, provider_method_id=method
    )


@pytest.mark.parametrize(
    "method", ["pm_1PgafyB7WZ01zgkWSjxsAJo3", "pm_card_visa", "card_1NXW", "ba_1a2b"]
)
def test_tokens_are_taken(method: str) -> None:
    """Whatever the provider calls its stored methods."""
    profile_with(method)


@pytest.mark.parametrize(
    ("method", "code"),
    [
        (CARD, "looks_like_card_number"),
        ("4242 4242 4242 4242", "looks_like_card_number"),
        ("4242-4242-4242-4242", "looks_like_card_number"),
        ("378282246310005", "looks_like_card_number"),
        (f"pm_{CARD}", "looks_like_card_number"),
        ("pm_4242_4242_4242_4242", "looks_like_card_number"),
        (IBAN, "looks_like_bank_account"),
        ("de89 3704 0044 0532 0130 00", "looks_like_bank_account"),
        ("GB29 NWBK 6016 1331 9268 19", "looks_like_bank_account"),
        ("000123456789", "looks_like_bank_account"),
        ("12-34-56 12345678", "looks_like_bank_account"),
        ("", "token_malformed"),
        ("pm", "token_malformed"),
        ("pm_1;drop", "token_malformed"),
        ("PM_1", "token_malformed"),
    ],
)
def test_anything_else_is_refused_without_being_repeated(method: str, code: str) -> None:
    """The refusal is logged and answered, so it must not carry the number."""
    with pytest.raises(Invalid) as refused:
        profile_with(method)

    assert code == refused.value.code
    assert not method or method not in str(refused.value)


def test_every_field_is_looked_at() -> None:
    """A number in the wrong field is still a number."""
    with pytest.raises(Invalid) as refused:
        profile_with("pm_1", customer=CARD)

    assert refused.value.code == "looks_like_card_number"


def test_only_known_providers_are_taken() -> None:
    """A typing error is found when the profile is kept, not when it is charged."""
    with pytest.raises(Invalid) as refused:
        new_profile(
            "acc-1", provider="strpie", provider_customer_id="cus_1", provider_method_id="pm_1"
        )

    assert refused.value.code == "provider_unknown"


@given(st.lists(st.integers(0, 9), min_size=12, max_size=18))
def test_every_number_with_a_card_check_digit_is_refused(digits: list[int]) -> None:
    """All lengths from 13 to 19, whoever would have issued them."""
    doubled = [
        d if place % 2 else (d * 2 - 9 if d > 4 else d * 2)
        for place, d in enumerate(reversed(digits))
    ]
    number = "".join(map(str, digits)) + str(-sum(doubled) % 10)

    with pytest.raises(Invalid) as refused:
        refuse_account_data("provider_method_id", f"pm_{number}")

    assert refused.value.code == "looks_like_card_number"
