"""Profiles over HTTP: tokens in, and no way in for a card or bank number."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from support.stripe_account import Collection

TOKENS = {
    "provider": "stripe",
    "provider_customer_id": "cus_alder",
    "provider_method_id": "pm_alder",
}
# Numbers that card networks and the IBAN registry publish for tests; none belongs to anybody.
CARD = "4242424242424242"
IBAN = "DE89370400440532013000"

EVERYTHING = """
SELECT (SELECT coalesce(string_agg(a::text, ' '), '') FROM audit a)
    || (SELECT coalesce(string_agg(p::text, ' '), '') FROM profile p)
    || (SELECT coalesce(string_agg(encode(value, 'escape'), ' '), '') FROM outbox)
"""


async def put(world: Collection, **changes: Any) -> Any:
    return await world.ours.http.put("/v1/profiles/alder", json=TOKENS | changes)


async def test_a_profile_is_kept_and_shown(world: Collection) -> None:
    """What was put is what is got."""
    answer = await put(world)
    shown = await world.ours.ok("GET", "/v1/profiles/alder")

    expected = {"account_id": "alder", **TOKENS, "usable": True, "unusable_reason": None}
    assert expected == answer.json()
    assert expected == shown


async def test_repeating_a_profile_leaves_no_trace(world: Collection) -> None:
    """Only changes are news."""
    for method in ("pm_alder", "pm_alder", "pm_other"):
        await put(world, provider_method_id=method)

    async with world.ours.service.database.read() as reader:
        kept = await reader.fetch(
            "SELECT before, after FROM audit WHERE action = 'profile.kept' ORDER BY seq"
        )
    methods = [row["after"]["provider_method_id"] for row in kept]
    assert methods == ["pm_alder", "pm_other"]
    assert kept[1]["before"]["provider_method_id"] == "pm_alder"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"provider_method_id": CARD}, "looks_like_card_number"),
        ({"provider_method_id": "4242 4242 4242 4242"}, "looks_like_card_number"),
        ({"provider_customer_id": f"cus_{CARD}"}, "looks_like_card_number"),
        ({"provider_method_id": IBAN}, "looks_like_bank_account"),
        ({"provider": CARD}, "looks_like_card_number"),
        ({"card_number": CARD}, "request_invalid"),
        ({"provider_method_id": int(CARD)}, "request_invalid"),
    ],
)
async def test_account_data_gets_nowhere(
    world: Collection, caplog: pytest.LogCaptureFixture, change: dict[str, Any], code: str
) -> None:
    """Refused without being answered, logged, stored or published."""
    caplog.set_level(logging.DEBUG)

    answer = await put(world, **change)

    async with world.ours.service.database.read() as reader:
        everything = await reader.fetchval(EVERYTHING)
    assert (422, code) == (answer.status_code, answer.json()["code"])
    for place in (answer.text, caplog.text, everything):
        for number in (CARD, "4242 4242", IBAN):
            assert number not in place


async def test_an_account_without_a_profile(world: Collection) -> None:
    """Is not found."""
    answer = await world.ours.http.get("/v1/profiles/nobody")

    assert (answer.status_code, answer.json()["code"]) == (404, "profile_unknown")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/attempts?invoice_id=%00",
        "/v1/attempts?account_id=%00",
        "/v1/attempts/a%00",
        "/v1/profiles/a%00",
    ],
)
async def test_control_characters_are_refused(world: Collection, path: str) -> None:
    """The database cannot store them, so they never reach it."""
    answer = await world.ours.http.get(path)

    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
