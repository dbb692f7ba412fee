"""The same figures whatever becomes of the provider's notifications on their way."""

from __future__ import annotations

import pytest

from e2e.theatre import OWN, Theatre, shipped
from stack.player.playing import Disorder

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack"), pytest.mark.timeout(600)]

STORIES = [
    *shipped("alder-dental", "birch-logistics", "delta-hotels", "elm-upgrade"),
    OWN / "autotask-licences.yaml",
]


@pytest.mark.parametrize(
    "disorder",
    [
        pytest.param(Disorder(copies=2), id="each twice", marks=pytest.mark.slow),
        pytest.param(Disorder(copies=0), id="all lost"),
        pytest.param(Disorder(shuffle=7), id="shuffled", marks=pytest.mark.slow),
        pytest.param(Disorder(shuffle=20260501, copies=2), id="shuffled and twice"),
    ],
)
async def test_webhooks_in_disorder_end_in_the_same_figures(
    stage: Theatre, disorder: Disorder
) -> None:
    """Webhooks are hints: what happened is read from the provider, once, in its order."""
    played = await stage.play(STORIES, disorder=disorder)

    assert played.differences == []
