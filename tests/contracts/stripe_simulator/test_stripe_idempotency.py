"""Idempotency keys of the simulated Stripe, and what they do not protect from."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.kernel.clock import FrozenClock


async def _intents(client: Any) -> int:
    return len((await client.ok("GET", "/payment_intents"))["data"])


async def test_same_key_replays_the_first_answer(client: Any) -> None:
    """One intent, the same body, and a header that says so."""
    first = await client.pay(key="pay_1")
    again = await client.pay(key="pay_1")

    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert await _intents(client) == 1


async def test_a_decline_is_replayed_too(client: Any) -> None:
    """Why a new attempt needs a new key."""
    await client.control(
        "PATCH", "/payment-methods/pm_alder", {"outcomes": ["decline:generic_decline", "succeed"]}
    )
    first = await client.pay(key="pay_1")
    again = await client.pay(key="pay_1")
    other = await client.pay(key="pay_2")

    assert [first.status_code, again.status_code, other.status_code] == [402, 402, 200]


async def test_server_error_is_replayed_too(client: Any) -> None:
    """Also the 500 of the first call is remembered."""
    await client.control(
        "PATCH", "/payment-methods/pm_alder", {"outcomes": ["api_error", "succeed"]}
    )

    answers = [await client.pay(key="pay_1") for _ in range(2)]

    assert [a.status_code for a in answers] == [500, 500]


async def test_same_key_with_other_parameters_is_an_error(client: Any) -> None:
    """idempotency_error, and nothing is charged."""
    await client.pay(key="pay_1")

    answer = await client.pay(key="pay_1", amount="1")
    answer = await client.pay(key="pay_1", amount="100")

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")
    assert await _intents(client) == 1


async def test_concurrent_use_of_a_key_is_a_conflict(client: Any) -> None:
    """409 for the one that came second; it may try again."""
    await client.control("PATCH", "/switches", {"latency_ms": 20})

    answers = await asyncio.gather(client.pay(key="pay_1"), client.pay(key="pay_1"))

    assert sorted(a.status_code for a in answers) == [200, 409]
    conflict = next(a for a in answers if a.status_code == 409)
    assert conflict.json()["error"]["code"] == "idempotency_key_in_use"
    assert (await client.pay(key="pay_1")).headers["idempotent-replayed"] == "true"


async def test_key_is_not_kept_when_validation_failed(client: Any) -> None:
    """The corrected request may use it."""
    refused = await client.pay(key="pay_1", amount="1")
    accepted = await client.pay(key="pay_1")

    assert (refused.status_code, accepted.status_code) == (400, 200)


async def test_keys_are_forgotten_after_a_day(client: Any, clock: FrozenClock) -> None:
    """A later retry charges again: never re-send an old attempt."""
    await client.pay(key="pay_1")
    clock.advance(timedelta(hours=24))

    again = await client.pay(key="pay_1")

    assert "idempotent-replayed" not in again.headers
    assert await _intents(client) == 2


async def test_without_a_key_every_call_charges(client: Any) -> None:
    """Two calls, two payments."""
    await client.pay()
    await client.pay()

    assert await _intents(client) == 2


async def test_key_has_at_most_255_characters(client: Any) -> None:
    """A longer one is refused."""
    assert (await client.pay(key="x" * 256)).status_code == 400


async def test_lost_answer_is_recovered_by_the_same_key(client: Any) -> None:
    """The connection dies after the charge; repeating the attempt adopts it."""
    fault = {"match": {"method": "POST"}, "kind": "drop_after_commit", "times": 1}
    await client.control("PUT", "/faults", [fault])
    with pytest.raises(httpx.RemoteProtocolError):
        await client.pay(key="pay_1")

    again = await client.pay(key="pay_1")

    assert (again.json()["status"], again.headers["idempotent-replayed"]) == ("succeeded", "true")
    assert await _intents(client) == 1
