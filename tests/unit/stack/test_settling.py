"""A story waits for rest, and not for ever where there is none."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from stack.player import services as clients
from stack.player.services import Addresses, CallFailed, Services
from stack.player.settling import NotSettled, settle

IDLE = {"outbox_unsent": 0, "consumer_lag": 0, "work_pending": 0, "retrying": 0}


class Restless(Services):
    """Services that handle something at every look, and a vendor that never gets through."""

    def __init__(self, *, moving: bool = True, pending: int = 0) -> None:
        super().__init__(Addresses({}, {}, "http://127.0.0.1:9"), client_id="", client_secret="")
        self._numbers = count() if moving else None
        self._pending = pending

    async def activity(self, service: str) -> dict[str, Any] | None:
        del service
        handled = next(self._numbers) if self._numbers else 0
        return {**IDLE, "work_pending": self._pending, "handled": handled, "published": 0}

    async def simulator(self, method: str, path: str, body: object = None) -> Any:
        del method, path, body
        return {"idle": False}


async def test_counters_that_never_stand_still_are_given_up() -> None:
    """Two services that answer each other for ever."""
    with pytest.raises(NotSettled, match="the counters keep moving"):
        await settle(Restless(), within_s=0.1)


async def test_work_that_never_ends_is_named() -> None:
    """The story says what it waited for."""
    with pytest.raises(NotSettled, match="ingest: work_pending 1"):
        await settle(Restless(moving=False, pending=1), patience_s=0.1)


async def test_rest_is_two_equal_looks() -> None:
    """Nothing pending, and no counter moved between them."""
    assert await settle(Restless(moving=False)) < 5


async def test_notifications_that_never_get_through_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The vendor that keeps them is named."""
    monkeypatch.setattr(clients, "WEBHOOKS_WITHIN_S", 0.1)

    with pytest.raises(CallFailed, match="partner-center"):
        await Restless().webhooks_out()
