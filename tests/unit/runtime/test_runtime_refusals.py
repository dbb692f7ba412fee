"""A flood of refused callers costs a record a second, and its size is told."""

from __future__ import annotations

from shared.runtime.refusals import BURST, EVERY_S, Refusals


def test_few_are_recorded_each_and_a_flood_is_counted() -> None:
    """The record after the flood says how many were left out."""
    now = [1000.0]
    refusals = Refusals(lambda: now[0])

    assert [refusals.admit() for _ in range(BURST)] == [0] * BURST
    assert [refusals.admit() for _ in range(500)] == [None] * 500
    now[0] += EVERY_S
    assert [refusals.admit(), refusals.admit()] == [500, None]
    now[0] += EVERY_S * 10 * BURST
    assert [refusals.admit() for _ in range(BURST + 1)] == [1, *[0] * (BURST - 1), None]
