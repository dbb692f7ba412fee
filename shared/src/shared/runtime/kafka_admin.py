"""Creates the topics of the table in `shared.contracts.topics`, each with its dead-letter topic.

Only ever adds: a topic that exists keeps its partitions and settings, since raising the number of
partitions would break the order of its keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.contracts.topics import Topic
from shared.runtime.kafka import BusError

DEAD_LETTER_PARTITIONS = 1  # announcements for people and alerts; the letters are in the database
_RETRY_S = 0.1
_GROUP_ASKED_FOR = "tieout-probe"  # never joined


async def create_topics(
    options: Mapping[str, object],
    topics: Iterable[Topic],
    *,
    replication: int | None = None,
    partitions_max: int | None = None,
    timeout_s: float = 30,
) -> list[str]:
    """Create what is missing; returns the names created. `options` as `connection_options` gives;
    without a `replication` the broker's default holds.

    Raises:
        BusError: when the broker does not answer in time or refuses a topic.
    """
    wanted = {new.name: new for new in _new_topics(topics, replication, partitions_max)}
    async with _admin(options, timeout_s) as admin:
        existing = set(await admin.list_topics())
        missing = [new for name, new in wanted.items() if name not in existing]
        if not missing:
            return []
        response = await admin.create_topics(missing, timeout_ms=int(timeout_s * 1000))
    created = []
    for name, code, *detail in response.topic_errors:
        error = for_code(code)
        if code == 0:
            created.append(name)
        elif error is not TopicAlreadyExistsError:  # made by somebody else at the same moment
            raise BusError(f"{name}: {error.__name__} {' '.join(str(d) for d in detail if d)}")
    return created


async def wait_for_groups(options: Mapping[str, object], *, timeout_s: float = 30) -> None:
    """Wait until consumer groups have a coordinator: the first asks for the offsets topic to be
    made, and members that join before it exists would retry for a while.

    Raises:
        BusError: when there is none in time.
    """
    async with _admin(options, timeout_s) as admin:
        while True:
            try:
                await admin.find_coordinator(_GROUP_ASKED_FOR)
            except KafkaError as error:
                if not error.retriable:
                    raise
                await asyncio.sleep(_RETRY_S)
            else:
                return


@asynccontextmanager
async def _admin(
    options: Mapping[str, object], timeout_s: float
) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**options, request_timeout_ms=int(timeout_s * 1000))
    try:
        async with asyncio.timeout(timeout_s):
            await admin.start()
            yield admin
    except (KafkaError, TimeoutError) as error:
        raise BusError(f"the broker does not answer: {type(error).__name__} {error}") from error
    finally:
        await admin.close()


def _new_topics(
    topics: Iterable[Topic], replication: int | None, partitions_max: int | None
) -> Iterable[NewTopic]:
    for topic in topics:
        partitions = min(topic.partitions, partitions_max or topic.partitions)
        letters = {"retention.ms": str(topic.retention_ms)}
        yield _new_topic(topic.name, partitions, replication, topic.config())
        yield _new_topic(topic.dead_letters, DEAD_LETTER_PARTITIONS, replication, letters)


def _new_topic(
    name: str, partitions: int, replication: int | None, config: Mapping[str, str]
) -> NewTopic:
    if replication is None:  # aiokafka wants the empty assignment spelled out beside a default
        return NewTopic(name, partitions, -1, replica_assignments={}, topic_configs=dict(config))
    return NewTopic(name, partitions, replication, topic_configs=dict(config))
