"""The only module that speaks to aiokafka: a typed facade over its producer and consumer.

Correctness never depends on producer idempotence or Kafka transactions; the outbox and the inbox
give the guarantee. Offsets are committed explicitly per partition (aio-libs/aiokafka issue 933).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from shared.runtime.settings import ServiceSettings

MAX_BATCH_BYTES = 900_000
MAX_REQUEST_BYTES = 1_000_000
COMMIT_WITHIN_S = 15.0


class BusError(Exception):
    """The broker did not do what was asked; the same call may succeed later."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Message:
    """One record as the consumer sees it."""

    partition: Partition
    offset: int
    key: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def connection_options(settings: ServiceSettings) -> dict[str, object]:
    """Where the broker is and how to authenticate, in aiokafka's words."""
    options: dict[str, object] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol in {"SSL", "SASL_SSL"}:
        ca_file = settings.kafka_ssl_ca_file
        options["ssl_context"] = ssl.create_default_context(cafile=ca_file and str(ca_file))
    if settings.kafka_sasl_username and settings.kafka_sasl_password:
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return options


class Producer:
    """Sends with `acks=all`; the awaitable it returns is done when the broker has the record."""

    def __init__(self, options: Mapping[str, object], *, client_id: str) -> None:
        self._options = dict(options)
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        self._producer = AIOKafkaProducer(
            **self._options,
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            compression_type="zstd",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=20_000,
        )
        try:
            await self._producer.start()
        except KafkaError as error:
            raise BusError(f"the broker does not answer: {error}") from error

    async def send(
        self,
        topic: str,
        *,
        key: bytes,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> Awaitable[None]:
        if self._producer is None:
            raise RuntimeError("the producer is not started")
        try:
            future = await self._producer.send(topic, value=value, key=key, headers=headers)
        except KafkaError as error:
            raise BusError(f"{topic}: {error}") from error
        return _delivered(future, topic)

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()


async def _delivered(future: Awaitable[object], topic: str) -> None:
    try:
        await future
    except KafkaError as error:
        raise BusError(f"{topic}: {error}") from error


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Tells the consumer which partitions came and went. Takes no locks: the listener would
    deadlock with `getmany` (aiokafka docs, consumer group rebalance)."""

    def __init__(self, changed: Callable[[set[Partition]], None]) -> None:
        self._changed = changed

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._changed(set())

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._changed({Partition(tp.topic, tp.partition) for tp in assigned})


class Subscription:
    """A member of a consumer group. Nothing is committed but what `commit` is told."""

    def __init__(
        self,
        options: Mapping[str, object],
        *,
        group: str,
        client_id: str,
        instance_id: str | None = None,
    ) -> None:
        self._options = dict(options)
        self._group = group
        self._client_id = client_id
        self._instance_id = instance_id
        self._consumer: AIOKafkaConsumer | None = None
        self._onlooker: AIOKafkaConsumer | None = None
        self.assigned: set[Partition] = set()

    async def start(self, topics: Sequence[str]) -> None:
        self._consumer = AIOKafkaConsumer(
            **self._options,
            group_id=self._group,
            group_instance_id=self._instance_id,
            client_id=self._client_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=30_000,
            heartbeat_interval_ms=3_000,
            max_poll_interval_ms=300_000,
            max_partition_fetch_bytes=4 * MAX_REQUEST_BYTES,
            fetch_max_wait_ms=500,
        )
        self._consumer.subscribe(list(topics), listener=Assignment(self._on_assigned))
        # On the consumer's own connection a question about a partition's end would wait behind
        # the fetch that the broker holds open while nothing arrives.
        self._onlooker = AIOKafkaConsumer(**self._options, client_id=f"{self._client_id}-lag")
        try:
            await self._consumer.start()
            await self._onlooker.start()
        except KafkaError as error:
            raise BusError(f"the broker does not answer: {error}") from error

    async def poll(self, *, timeout_ms: int, max_records: int) -> list[Message]:
        """The next records of all partitions that are not paused, in offset order per partition."""
        try:
            batches = await self._client.getmany(timeout_ms=timeout_ms, max_records=max_records)
        except KafkaError as error:
            raise BusError(str(error)) from error
        return [
            Message(
                partition=Partition(tp.topic, tp.partition),
                offset=record.offset,
                key=(record.key or b"").decode(errors="replace"),
                value=record.value,
                headers=tuple(record.headers),
            )
            for tp, records in batches.items()
            for record in records
        ]

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit the next offset to read, per partition. False when the group moved on without us:
        harmless, the new owner handles the records again and the inbox recognises them."""
        wanted = {
            TopicPartition(p.topic, p.number): offset
            for p, offset in offsets.items()
            if p in self.assigned
        }
        if not wanted:
            return False
        try:
            async with asyncio.timeout(COMMIT_WITHIN_S):  # aiokafka itself tries for ever
                await self._client.commit(wanted)
        except (
            CommitFailedError,
            IllegalGenerationError,
            IllegalStateError,
            RebalanceInProgressError,
            UnknownMemberIdError,
        ):
            return False
        except (KafkaError, TimeoutError) as error:
            raise BusError(str(error)) from error
        return True

    def pause(self, partition: Partition) -> None:
        if partition in self.assigned:
            self._client.pause(TopicPartition(partition.topic, partition.number))

    def resume(self, partition: Partition) -> None:
        if partition in self.assigned:
            self._client.resume(TopicPartition(partition.topic, partition.number))

    async def lag(self) -> dict[Partition, int]:
        """Records behind the end, per assigned partition, by position (not by committed offset)."""
        partitions = [TopicPartition(p.topic, p.number) for p in sorted(self.assigned)]
        if not partitions or self._onlooker is None:
            return {}
        try:
            ends = await self._onlooker.end_offsets(partitions)
            behind = {}
            for tp, end in ends.items():
                if tp in self._client.assignment():
                    position = await self._client.position(tp)
                    behind[Partition(tp.topic, tp.partition)] = max(0, end - position)
        except (KafkaError, IllegalStateError) as error:
            raise BusError(str(error)) from error
        return behind

    async def stop(self) -> None:
        for client in (self._consumer, self._onlooker):
            if client is not None:
                await client.stop()

    @property
    def _client(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("the subscription is not started")
        return self._consumer

    def _on_assigned(self, partitions: set[Partition]) -> None:
        self.assigned = partitions
