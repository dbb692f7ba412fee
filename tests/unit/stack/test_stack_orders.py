"""What a refused order says to the person who placed it."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
import typer
from rich.console import Console

from stack.errors import Mistaken
from stack.order import _offered, _said, _seats, schedule, tell, wished

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


def test_the_providers_words_are_not_said_twice() -> None:
    """Where ours are its own."""
    words = "The quantity is out of range."
    told = ORDER | {"code": "quantity_out_of_range", "detail": words, "provider_code": "2002"}

    assert _said(told | {"provider_words": words}) == (
        f"quantity_out_of_range: {words} (the provider: 2002)"
    )


@pytest.mark.parametrize(
    ("kind", "wish", "words"),
    [
        ("quantity", {"quantity": 1, "clear": False}, "quantity 1"),
        ("schedule", {"quantity": 3, "term": "P1Y", "clear": False}, "schedule 3 P1Y"),
        ("schedule", {"clear": True}, "schedule clear"),
        ("renewal_instruction", {"ending": "cancel_at_term_end"},
         "renewal instruction cancel at term end"),
        ("suspend", None, "suspend"),
    ],
)  # fmt: skip
def test_a_wish_is_a_few_words(kind: str, wish: Any, words: str) -> None:
    """Whatever the order is about."""
    assert wished(ORDER | {"kind": kind, "wish": wish}) == words


@pytest.mark.parametrize("text", ["-2", "0", "abc", "1.5", "1000001"])
def test_what_is_no_number_of_seats_is_a_sentence(text: str) -> None:
    """Before anything is sent."""
    with pytest.raises(typer.BadParameter, match="seat"):
        _seats(text)


def test_a_schedule_of_nothing_is_a_mistake() -> None:
    """It names the options that there are."""
    with pytest.raises(Mistaken, match="--seats, --term, --plan, or --clear") as caught:
        schedule("sub-1")
    assert caught.value.code == "order_empty"


def test_the_list_is_as_wide_as_a_terminal() -> None:
    """Contract and product, short ids, and the beginning of long words; `--ids` has the rest."""
    order = ORDER | {
        "id": "019f58e1-7b40-7c91", "requested_at": "2026-07-13T00:30:00Z", "state": "refused",
        "contract": "ALD-1", "product": "E3", "kind": "quantity", "wish": {"quantity": 1},
        "subscription_id": "9cd520c8-4308-52a4", "detail": "no " * 60,
    }  # fmt: skip
    narrow, wide = StringIO(), StringIO()
    tell(Console(width=150, file=narrow), [order])
    tell(Console(width=400, file=wide), [order], ids=True)

    row = next(line for line in narrow.getvalue().splitlines() if "ALD-1" in line)
    for cell in ("2026-07-13 00:30", "E3", "quantity 1", "refused", "…", "9cd520c8"):
        assert cell in row
    assert "4308" not in narrow.getvalue()
    assert "019f58e1-7b40-7c91" in wide.getvalue()
