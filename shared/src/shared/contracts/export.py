"""Writes the committed catalogue: one JSON Schema per event version, and the AsyncAPI document.

`python -m shared.contracts.export` (or `make schemas`); a test fails when the files differ.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shared.contracts.envelope import SCHEMA_BASE, Event, producer_of
from shared.contracts.ingest import UsageBatchRecorded
from shared.contracts.registry import EVENTS
from shared.contracts.topics import TOPICS, Topic

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "deduplication key, together with ce_source",
    "ce_source": "/tieout/<service>",
    "ce_type": "tieout.<service>.<fact>.v<N>",
    "ce_subject": "<noun>/<id> of the aggregate",
    "ce_time": "RFC 3339, UTC, time of the fact",
    "ce_dataschema": f"{SCHEMA_BASE}<type>",
    "ce_partitionkey": "equals the record key",
    "ce_correlationid": "the external trigger",
    "ce_causationid": "the message that caused this one",
    "content-type": "application/json, or application/vnd.apache.arrow.stream",
}


def schema_of(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of one event version; readers ignore unknown fields."""
    schema = event.model_json_schema(mode="serialization")
    return {"$schema": DRAFT, "$id": f"{SCHEMA_BASE}{event.TYPE}", **schema}


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.1: every topic with its key, retention, producer and messages."""
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Tieout events",
            "version": "1",
            "description": "CloudEvents 1.0 in binary mode on Kafka. Generated; do not edit.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {_channel_id(t): _channel(t) for t in TOPICS},
        "operations": {
            f"{topic.owner}.publish.{_channel_id(topic)}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{_channel_id(topic)}"},
                "summary": f"{topic.owner} publishes",
            }
            for topic in TOPICS
        },
        "components": {
            "messages": {name: _message(event) for name, event in sorted(EVENTS.items())},
            "schemas": {"cloudEventHeaders": _headers()},
        },
    }


def documents() -> dict[str, str]:
    """Path (from the project root) → content of every generated file."""
    files = {
        f"shared/schemas/{name}.json": _text(schema_of(event))
        for name, event in sorted(EVENTS.items())
        if event is not UsageBatchRecorded
    }
    return files | {"docs/events/asyncapi.json": _text(asyncapi())}


def _channel_id(topic: Topic) -> str:
    return topic.name.removeprefix("tieout.").replace(".", "-")


def _channel(topic: Topic) -> dict[str, Any]:
    names = sorted(name for name, event in EVENTS.items() if topic.name == event.TOPIC)
    return {
        "address": topic.name,
        "description": f"Written by {topic.owner}; in order per {topic.ordered_by}. "
        f"Dead letters are announced on {topic.dead_letters}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "bindingVersion": "0.5.0",
                "topic": topic.name,
                "partitions": topic.partitions,
                "replicas": 3,
                "topicConfiguration": _topic_configuration(topic),
            }
        },
    }


def _topic_configuration(topic: Topic) -> dict[str, Any]:
    if topic.compacted:
        return {"cleanup.policy": ["compact"]}
    return {"cleanup.policy": ["delete"], "retention.ms": topic.retention_ms}


def _message(event: type[Event]) -> dict[str, Any]:
    columnar = event is UsageBatchRecorded
    payload: dict[str, Any] = (
        {"type": "string", "format": "binary", "description": "Arrow IPC stream, zstd"}
        if columnar
        else {"$ref": f"../../shared/schemas/{event.TYPE}.json"}
    )
    return {
        "name": event.TYPE,
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip().split("\n")[0],
        "description": f"Published by {producer_of(event.TYPE)}.",
        "contentType": event.CONTENT_TYPE,
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "headers": {"$ref": "#/components/schemas/cloudEventHeaders"},
        "payload": payload,
        "bindings": {"kafka": {"bindingVersion": "0.5.0", "key": {"type": "string"}}},
    }


def _headers() -> dict[str, Any]:
    properties = {n: {"type": "string", "description": d} for n, d in _HEADERS.items()}
    optional = {"ce_causationid"}
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(root: Path) -> None:
    for path, content in documents().items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)


if __name__ == "__main__":
    main(Path.cwd())
