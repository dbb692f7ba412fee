"""Logs of these tests are captured: errors are provoked here, and rendering them takes seconds."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What was logged so far, as event dictionaries."""
    with capture_logs() as entries:
        yield entries
