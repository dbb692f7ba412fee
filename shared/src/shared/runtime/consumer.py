"""Consumes the bus: effects of a message in one transaction, then the offset.

inbox id + state + audit + outbox rows commit together; the offset of the partition follows. A
repeat is recognised by the inbox, so offsets may lag behind without harm. Each partition has a
worker of its own: trouble on one (a transient error is retried in place) does not hold up others.
Messages of a partition that wait already share a transaction; if anything in it fails, all of it is
undone and each of them gets one of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from shared.contracts import registry
from shared.contracts.envelope import Envelope, Event
from shared.kernel.errors import DomainError, Invalid
from shared.runtime import dead_letters, inbox, telemetry
from shared.runtime.cancellation import end_if_cancelled
from shared.runtime.dead_letters import Failure, Limits, LimitState
from shared.runtime.faults import is_transient
from shared.runtime.handlers import Handlers, dispatch, topics_of
from shared.runtime.kafka import BusError, Message, Partition, Subscription
from shared.runtime.postgres import Database, Transaction
from shared.runtime.retry import Backoff, StopWhen

log = structlog.get_logger()

POLL_MS = 200
BACKLOG_MAX = 200  # records waiting in a partition's worker before the partition is paused
COMMIT_EVERY_S = 0.5  # what is not committed comes again, and the inbox knows it
DEFECT_TRIES = 3
TOGETHER_MAX = 16
TOGETHER_BYTES = 1_000_000
TRANSIENT = Backoff(first_s=0.2, longest_s=30.0, total_s=600.0)


class Outcome(StrEnum):
    HANDLED = "handled"
    IGNORED = "ignored"  # the topic carries it, this service has no use for it
    DUPLICATE = "duplicate"
    PARKED = "parked"
    DEAD = "dead"


class ConsumerStopped(Exception):
    """A dead-letter limit was passed; the process stays up, not ready, until it is restarted."""


@dataclass(slots=True)
class ConsumerState:
    """What the consumer has done, for `/activity` and readiness."""

    handled: int = 0
    retrying: int = 0
    stopped: str | None = None
    joined: bool = False


@dataclass(slots=True)
class Worker:
    """The backlog of one partition and the task that works it off."""

    partition: Partition
    backlog: deque[Message] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    paused: bool = False
    busy: int = 0  # messages being handled
    next_offset: int | None = None


class Consumer:
    """The consuming side of one service."""

    def __init__(
        self,
        database: Database,
        subscription: Subscription,
        handlers: Handlers,
        *,
        order_matters: bool = True,
        limits: Limits | None = None,
        topics: Sequence[str] | None = None,
    ) -> None:
        self._database = database
        self._subscription = subscription
        self._handlers = handlers
        self._topics = topics or topics_of(handlers)
        self._order_matters = order_matters
        self._limits = LimitState(limits or Limits())
        self._workers: dict[Partition, Worker] = {}
        self.state = ConsumerState()

    @property
    def backlog(self) -> int:
        """Records fetched and not yet handled."""
        return sum(len(w.backlog) + w.busy for w in self._workers.values())

    async def run(self) -> None:
        """Consume until cancelled, or until a dead-letter limit stops it (then it only waits)."""
        await self._subscription.start(self._topics)
        self.state.joined = True
        try:
            async with asyncio.TaskGroup() as group:
                committer = group.create_task(self._commit_regularly())
                await self._fetch(group)
                committer.cancel()
        except* ConsumerStopped as stopped:
            self.state.stopped = str(stopped.exceptions[0])
            log.error("consumer.stopped", reason=self.state.stopped)
        finally:
            await self._commit()
            await self._subscription.stop()
        end_if_cancelled()  # a task group that ends with errors loses what came meanwhile
        await asyncio.Event().wait()

    async def _fetch(self, group: asyncio.TaskGroup) -> None:
        while True:
            try:
                messages = await self._subscription.poll(timeout_ms=POLL_MS, max_records=500)
            except BusError as error:
                end_if_cancelled()
                log.warning("consumer.poll_failed", error=str(error))
                await asyncio.sleep(TRANSIENT.first_s)
                continue
            self._drop_lost_partitions()
            for message in messages:
                worker = self._worker(message.partition, group)
                worker.backlog.append(message)
                worker.arrived.set()
                if len(worker.backlog) > BACKLOG_MAX and not worker.paused:
                    worker.paused = True
                    self._subscription.pause(worker.partition)

    def _worker(self, partition: Partition, group: asyncio.TaskGroup) -> Worker:
        worker = self._workers.get(partition)
        if worker is None:
            worker = self._workers[partition] = Worker(partition)
            worker.task = group.create_task(self._work(worker), name=f"worker {partition}")
        return worker

    def _drop_lost_partitions(self) -> None:
        """After a rebalance, the backlog of a lost partition is the new owner's to handle."""
        for partition in set(self._workers) - self._subscription.assigned:
            worker = self._workers.pop(partition)
            if worker.task is not None:
                worker.task.cancel()

    async def _work(self, worker: Worker) -> None:
        while True:
            await worker.arrived.wait()
            while worker.backlog:
                messages = _take(worker.backlog)
                worker.busy = len(messages)
                try:
                    if not await self.handle_together(messages):
                        for message in messages:
                            self._done(worker, message, await self.handle(message))
                    else:
                        for message in messages:
                            self._done(worker, message, Outcome.HANDLED)
                finally:
                    worker.busy = 0
                if worker.paused and len(worker.backlog) < BACKLOG_MAX // 2:
                    worker.paused = False
                    self._subscription.resume(worker.partition)
            worker.arrived.clear()

    def _done(self, worker: Worker, message: Message, outcome: Outcome) -> None:
        worker.busy -= 1
        worker.next_offset = message.offset + 1
        self.state.handled += 1
        reason = self._limits.record(worker.partition, failed=outcome is Outcome.DEAD)
        if reason is not None:
            raise ConsumerStopped(reason)

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            await self._commit()

    async def _commit(self) -> None:
        offsets = {w.partition: w.next_offset for w in self._workers.values() if w.next_offset}
        if not offsets:
            return
        for worker in self._workers.values():
            worker.next_offset = None
        try:
            await self._subscription.commit(offsets)
        except BusError as error:
            log.warning("consumer.commit_failed", error=str(error))  # the inbox knows the repeats

    async def handle_together(self, messages: Sequence[Message]) -> bool:
        """All effects of several messages in one transaction, or none of them: then False."""
        if len(messages) == 1:
            return False
        started = perf_counter()
        try:
            read = [_read(message) for message in messages]
            async with self._database.transaction() as tx:
                outcomes = [
                    await self._among_others(tx, message, envelope, event)
                    for message, (envelope, event) in zip(messages, read, strict=True)
                ]
        except Exception as error:  # whatever it is: alone, each message meets it again
            end_if_cancelled()
            partition = str(messages[0].partition)
            log.info("messages.handled_singly", partition=partition, error=repr(error))
            return False
        each = (perf_counter() - started) / len(messages)
        for message, outcome in zip(messages, outcomes, strict=True):
            _count(message, outcome, each)
        return True

    async def _among_others(
        self, tx: Transaction, message: Message, envelope: Envelope, event: Event
    ) -> Outcome:
        if type(event) not in self._handlers:
            return Outcome.IGNORED
        with _logged_with(message, envelope), tx.caused_by(envelope):
            return await self._in_transaction(tx, message, envelope, event)

    async def handle(self, message: Message) -> Outcome:
        """Handle one message to its end: effects, duplicate, parked, or dead letter."""
        started = perf_counter()
        with structlog.contextvars.bound_contextvars(
            topic=message.partition.topic,
            partition=message.partition.number,
            offset=message.offset,
        ):
            outcome = await self._handle(message)
        _count(message, outcome, perf_counter() - started)
        return outcome

    async def _handle(self, message: Message) -> Outcome:
        first_failed_at = self._database.clock.now()
        try:
            envelope, event = _read(message)
        except Invalid as error:
            why = Failure("malformed", error.code, error.detail, 1, first_failed_at)
            return await self._bury(message, _envelope_or_none(message), why)
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._persistently(lambda: self._apply(message, envelope, event))
            except DomainError as error:
                why = Failure("permanent", error.code, error.detail, attempt, first_failed_at)
                return await self._bury(message, envelope, why)
            except Exception as error:  # the consumer loop is the last place to catch a defect
                end_if_cancelled()
                log.exception("message.failed", event_id=envelope.id, attempt=attempt)
                if attempt < DEFECT_TRIES and not is_transient(error):
                    continue
                kind = "exhausted" if is_transient(error) else "defect"
                detail = f"{type(error).__name__}: {error}"
                why = Failure(kind, kind, detail, attempt, first_failed_at)
                return await self._bury(message, envelope, why)

    async def _apply(self, message: Message, envelope: Envelope, event: Event) -> Outcome:
        if type(event) not in self._handlers:
            return Outcome.IGNORED
        async with self._database.transaction(cause=envelope) as tx:
            with _logged_with(message, envelope):
                return await self._in_transaction(tx, message, envelope, event)

    async def _in_transaction(
        self, tx: Transaction, message: Message, envelope: Envelope, event: Event
    ) -> Outcome:
        refusal = await self._refusal(tx, message, envelope)
        if refusal is not None:
            return refusal
        await dispatch(self._handlers, event, tx)
        return Outcome.HANDLED

    async def _refusal(
        self, tx: Transaction, message: Message, envelope: Envelope
    ) -> Outcome | None:
        """Why the message is not to be handled now; None when it was claimed in the inbox."""
        if self._order_matters:
            if await inbox.first_and_free(tx, envelope, message.partition.topic):
                return None
            if await dead_letters.park_behind(tx, message, envelope):
                return Outcome.PARKED
        if await inbox.first_time(tx, envelope):
            return None
        telemetry.INBOX_DUPLICATES.inc()
        return Outcome.DUPLICATE

    async def _bury(self, message: Message, envelope: Envelope | None, why: Failure) -> Outcome:
        """Make it a dead letter, unless it has to wait for its turn behind one, or was handled."""

        async def bury() -> Outcome:
            async with self._database.transaction(cause=envelope) as tx:
                refusal = await self._refusal(tx, message, envelope) if envelope else None
                if refusal is None:
                    await dead_letters.bury(tx, message, envelope, why)
            return refusal or Outcome.DEAD

        outcome = await self._persistently(bury)
        if outcome is Outcome.DEAD:
            log.error("message.dead_lettered", code=why.code, detail=why.detail)
        return outcome

    async def _persistently(self, attempt_once: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Retry transient trouble in place: full jitter 0.2 s → 30 s, at most ten minutes."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(is_transient),
            wait=TRANSIENT.wait(),
            stop=StopWhen(TRANSIENT),
            before_sleep=self._note_retry,
            reraise=True,
        )

        async def attempt() -> Outcome:  # tenacity awaits coroutine functions, not lambdas
            return await attempt_once()

        try:
            return await retrying(attempt)
        finally:
            if retrying.statistics.get("attempt_number", 1) > 1:
                self.state.retrying -= 1

    def _note_retry(self, state: RetryCallState) -> None:
        end_if_cancelled()
        if state.attempt_number == 1:
            self.state.retrying += 1
        error = state.outcome.exception() if state.outcome else None
        log.warning("message.retrying", attempt=state.attempt_number, error=repr(error))


def _take(backlog: deque[Message]) -> list[Message]:
    """The next messages that may share a transaction, at least one."""
    taken = [backlog.popleft()]
    room = TOGETHER_BYTES - len(taken[0].value or b"")
    while backlog and len(taken) < TOGETHER_MAX:
        room -= len(backlog[0].value or b"")
        if room < 0:
            break
        taken.append(backlog.popleft())
    return taken


def _logged_with(message: Message, envelope: Envelope) -> AbstractContextManager[object]:
    return structlog.contextvars.bound_contextvars(
        topic=message.partition.topic,
        partition=message.partition.number,
        offset=message.offset,
        event_id=envelope.id,
        correlation_id=envelope.correlation_id,
    )


def _count(message: Message, outcome: Outcome, seconds: float) -> None:
    topic = message.partition.topic
    telemetry.CONSUMED.labels(topic).inc()
    telemetry.PROCESS_DURATION.labels(topic, outcome.value).observe(seconds)


def _read(message: Message) -> tuple[Envelope, Event]:
    """Raises Invalid: `envelope_malformed`, `event_type_unknown`, `event_malformed` …"""
    envelope = Envelope.from_headers(message.headers)
    if message.value is None:
        raise Invalid("event_without_data", "only compacted topics may carry tombstones")
    return envelope, registry.decode(envelope, message.value)


def _envelope_or_none(message: Message) -> Envelope | None:
    try:
        return Envelope.from_headers(message.headers)
    except Invalid:
        return None
