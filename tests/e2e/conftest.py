"""One stack for all end-to-end tests of a worker; started when the first of them asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from e2e.theatre import OWN, Theatre, theatre
from stack.play import Played


@pytest.fixture(scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Theatre]:
    """The running stack."""
    async with theatre(tmp_path_factory.mktemp("stack") / "home") as started:
        yield started


@pytest.fixture(scope="session")
async def further(stage: Theatre) -> Played:
    """The stories of this directory, played together as the demo plays its own."""
    return await stage.play(sorted(OWN.glob("*.yaml")))
