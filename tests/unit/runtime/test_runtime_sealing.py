"""Stored secrets open with any configured key and with no other."""

from __future__ import annotations

import pytest

from shared.runtime.sealing import NotSealedHere, Sealer, new_key

OLD, NEW = new_key(), new_key()


def test_keys_are_replaced_one_by_one() -> None:
    """What the old key sealed opens while both are there; what is written now needs the new one."""
    sealed_before = Sealer([OLD]).seal("hunter2")
    both = Sealer([NEW, OLD])

    assert both.open(sealed_before) == "hunter2"
    assert Sealer([NEW]).open(both.seal("hunter2")) == "hunter2"
    with pytest.raises(NotSealedHere):
        Sealer([NEW]).open(sealed_before)


@pytest.mark.parametrize(
    "altered",
    [
        pytest.param("", id="nothing"),
        pytest.param("hunter2", id="clear text"),
        pytest.param(Sealer([OLD]).seal("x")[:-2], id="cut"),
    ],
)
def test_what_was_not_sealed_here_does_not_open(altered: str) -> None:
    """Clear text, cut text, nothing."""
    with pytest.raises(NotSealedHere):
        Sealer([OLD]).open(altered)


def test_a_secret_looks_different_each_time() -> None:
    """Two connections with one secret do not show it."""
    sealer = Sealer([OLD])

    assert sealer.seal("hunter2") != sealer.seal("hunter2")
