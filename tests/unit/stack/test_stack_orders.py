"""What a refused order says to the person who placed it."""

from __future__ import annotations

from typing import Any

import pytest

from stack.order import _offered, _said

ORDER: dict[str, Any] = {
    "subscription_id": "sub-1", "code": "seats_not_removable", "detail": "0 seats may be removed",
    "provider_code": None, "provider_words": None, "offer": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (None, ""),
        (
            {"kind": "schedule", "quantity": 3},
            "at renewal instead: tieout order schedule sub-1 --seats 3",
        ),
        (
            {"kind": "renewal_instruction", "ending": "cancel_at_term_end"},
            "instead: tieout order ending sub-1 cancel_at_term_end",
        ),
        ({"kind": "resume"}, "instead: {'kind': 'resume'}"),
    ],
)
def test_an_offer_is_a_command_to_type(offer: Any, words: str) -> None:
    """Nobody has to translate JSON."""
    assert _offered(ORDER | {"offer": offer}) == words


def test_the_providers_words_stand_beside_ours() -> None:
    """With its code, for its support."""
    told = ORDER | {"provider_code": "800090", "provider_words": "Quantity can't be decreased."}

    assert _said(ORDER) == "seats_not_removable: 0 seats may be removed"
    assert _said(told).endswith("(the provider: 800090 Quantity can't be decreased.)")
