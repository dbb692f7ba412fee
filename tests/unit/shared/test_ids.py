"""Ids derive from causes; buckets are the same everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.ids import bucket_of, derived_id, new_id

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x1f"), max_size=20)


@given(st.lists(texts, min_size=1, max_size=4), st.lists(texts, min_size=1, max_size=4))
def test_equal_causes_and_only_they_give_equal_ids(a: list[str], b: list[str]) -> None:
    """A replay yields the same id; moving text between parts yields another."""
    assert (a == b) == (derived_id(*a) == derived_id(*b))


def test_a_separator_inside_a_part_is_refused() -> None:
    """Otherwise two causes could share an id."""
    with pytest.raises(ValueError, match="separator"):
        derived_id("a\x1fb")


def test_origins_sort_by_time() -> None:
    """UUIDv7: the millisecond leads."""
    assert new_id(1_000) < new_id(2_000)
    assert new_id(1_000)[14] == "7"


@given(texts, st.integers(1, 64))
def test_a_bucket_is_stable_and_in_range(key: str, buckets: int) -> None:
    """Partitioning never depends on the process that computes it."""
    assert 0 <= bucket_of(key, buckets) < buckets
    assert bucket_of(key, buckets) == bucket_of(key, buckets)


def test_the_bucket_of_a_known_customer_never_moves() -> None:
    """Moving it would move a customer's usage to another partition."""
    assert bucket_of("11111111-1111-4111-8111-111111111111", 12) == 4
