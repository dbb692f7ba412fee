"""Topics and event types are declared: in one table, and in one class each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from architecture.rules.sources import Finding, Source, texts
from shared.contracts.envelope import Event, producer_of

_LOOKS_LIKE_ONE = re.compile(r"tieout\.[a-z0-9_-]+\.[a-z0-9_-]+\.v\d+(?:\.dlq)?")


def undeclared_names(source: Source, declared: Collection[str]) -> Iterator[Finding]:
    """A misspelt topic is a topic nobody reads, created silently by a lenient broker."""
    for node, text in texts(source):
        for name in _LOOKS_LIKE_ONE.findall(text):
            if name.removesuffix(".dlq") not in declared:
                yield source.finding(node, f"neither a declared topic nor an event type: {name}")


def undeclared_events(events: Iterable[type[Event]], owners: Mapping[str, str]) -> list[str]:
    """Events whose topic has no row in the table, or belongs to another service."""
    wrong = []
    for event in events:
        owner = owners.get(event.TOPIC)
        if owner is None:
            wrong.append(f"{event.__name__}: {event.TOPIC} is no declared topic")
        elif owner != producer_of(event.TYPE):
            wrong.append(f"{event.__name__}: {event.TOPIC} belongs to {owner}")
    return wrong
