"""The committed catalogue is what the classes say, and every topic has one owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.contracts.envelope import producer_of
from shared.contracts.export import documents
from shared.contracts.registry import EVENTS
from shared.contracts.topics import BY_NAME, TOPICS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("path", sorted(documents()))
def test_committed_schema_is_current(path: str) -> None:
    """A contract change shows in the diff: run `make schemas` and commit."""
    assert documents()[path] == (ROOT / path).read_text()


def test_no_stale_schema_is_left() -> None:
    """A removed event takes its file along."""
    found = {f"shared/schemas/{p.name}" for p in (ROOT / "shared/schemas").glob("*.json")}

    assert found == {path for path in documents() if path.startswith("shared/schemas/")}


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_event_has_a_declared_topic_of_its_producer(name: str) -> None:
    """One producing service per topic; the type names it."""
    topic = BY_NAME[EVENTS[name].TOPIC]

    assert producer_of(name) == topic.owner
    assert topic.name.startswith(f"tieout.{topic.owner}.")


def test_topic_names_are_unique_and_well_formed() -> None:
    """Dots between levels, hyphens inside, no underscores (Kafka folds them in metrics)."""
    names = [topic.name for topic in TOPICS]

    assert len(names) == len(set(names))
    assert all("_" not in name and name.endswith(".v1") for name in names)
