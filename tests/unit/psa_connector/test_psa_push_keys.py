"""The push key: one cause, one key, for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa_connector.domain.push_keys import KeyKind, push_key
from shared.kernel.errors import Invalid

PARTS = st.text(st.characters(exclude_characters="|", codec="utf-8"), min_size=1)


def test_a_key_never_changes_g2() -> None:
    """A recorded key: another algorithm would push everything a second time."""
    key = push_key("cw-main", KeyKind.INVOICE_LINE, "ALD-0002/1")

    assert key == "bcs-gwjo6geuolteso3uyyqmuptik2"


@given(PARTS, PARTS, st.sampled_from(KeyKind), st.integers(1, 99))
def test_a_key_fits_every_vendors_field_g2(
    connection: str, source: str, kind: KeyKind, revision: int
) -> None:
    """Thirty plain characters, and the same ones each time."""
    key = push_key(connection, kind, source, revision)

    assert key == push_key(connection, kind, source, revision)
    assert len(key) == 30
    assert key.removeprefix("bcs-").isalnum()


@given(st.lists(st.tuples(PARTS, st.sampled_from(KeyKind), PARTS), unique=True, max_size=30))
def test_different_causes_have_different_keys_g2(causes: list[tuple[str, KeyKind, str]]) -> None:
    """Connection, kind and source all count."""
    keys = {push_key(connection, kind, source) for connection, kind, source in causes}

    assert len(keys) == len(causes)


def test_a_part_cannot_contain_the_separator() -> None:
    """`a|b` + `c` and `a` + `b|c` must not meet."""
    with pytest.raises(Invalid) as refused:
        push_key("a|b", KeyKind.INVOICE_LINE, "c")

    assert refused.value.code == "key_part_invalid"
