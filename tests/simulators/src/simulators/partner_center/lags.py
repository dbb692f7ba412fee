"""Reads that lag behind writes, each resource by as many reads as a switch says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from simulators.partner_center.records import Subscription

T = TypeVar("T")


class Lags:
    """Counts reads; what is new is hidden from the first ones."""

    def __init__(self) -> None:
        self._left: dict[tuple[str, str], int] = {}
        self._shown: dict[str, Subscription] = {}

    def visible(
        self, resource: str, items: Iterable[T], key: Callable[[T], str], lag: int
    ) -> list[T]:
        """The items of a listing that are no longer hidden; the listing counts as one read."""
        return [item for item in items if self.seen(resource, key(item), lag)]

    def seen(self, resource: str, key: str, lag: int) -> bool:
        """Whether this read shows it already."""
        left = self._left.setdefault((resource, key), lag)
        if left:
            self._left[(resource, key)] = left - 1
        return not left

    def subscription(self, current: Subscription, lag: int) -> Subscription:
        """The state that a read shows: the last one shown, until the lag is over."""
        shown = self._shown.get(current.id, current)
        if shown.version == current.version or self.seen(
            "subscription", f"{current.id}/{current.version}", lag
        ):
            shown = current
        self._shown[current.id] = shown
        return shown
