"""Webhooks on their way out: signed at each attempt, retried with growing delay, and spoilable.

The vendor decides what to say and how to sign it; a story decides whether it arrives late, twice,
out of order or never.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.routing import Route

from simulators.exact_json import Document, loads
from simulators.frame import Simulator
from simulators.http_messages import Answer, Call
from simulators.journal import Stopwatch

Sign = Callable[[bytes], Mapping[str, str]]
"""Headers for one attempt, content type included; called again for every attempt."""

TEN_ATTEMPTS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0)


class Mode(StrEnum):
    DELIVER = "deliver"
    HOLD = "hold"  # queue until released
    DROP = "drop"  # never delivered, as after ten failed attempts


class Switches(BaseModel):
    """How webhooks behave from now on; absent fields keep their value."""

    model_config = ConfigDict(extra="forbid")

    mode: Mode = Mode.DELIVER
    copies: int = Field(default=1, ge=1, le=10)
    delays: tuple[float, ...] = TEN_ATTEMPTS  # seconds before attempts 2, 3, …


class Release(BaseModel):
    """Which held webhooks go out now, and in which order."""

    model_config = ConfigDict(extra="forbid")

    order: Literal["given", "reversed", "shuffled"] = "given"
    seed: int = 0  # of the shuffle
    ids: tuple[str, ...] | None = None  # in this order; absent = all that are held


@dataclass(slots=True)
class Attempt:
    at: float
    status: int | None
    error: str | None = None


@dataclass(slots=True)
class Delivery:
    id: str
    url: str
    body: str
    label: str
    state: str = "queued"  # queued, held, delivered, exhausted, dropped
    copies: int = 1
    attempts: list[Attempt] = field(default_factory=list)

    def document(self) -> Document:
        attempts = [{"at": a.at, "status": a.status, "error": a.error} for a in self.attempts]
        return {
            "id": self.id, "url": self.url, "body": self.body, "label": self.label,
            "state": self.state, "copies": self.copies, "attempts": attempts,
        }  # fmt: skip


class Deliveries:
    """All webhooks of one simulator, oldest first."""

    def __init__(self, simulator: Simulator, sign: Sign) -> None:
        self._simulator = simulator
        self._sign = sign
        self.switches = Switches()
        self._all: dict[str, Delivery] = {}
        self._queue: deque[Delivery] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._retries: set[asyncio.Task[None]] = set()

    def send(self, url: str, body: bytes, label: str, *, id: str) -> Delivery:
        """Queue a webhook, or hold or drop it as the switches say."""
        delivery = Delivery(id, url, body.decode(), label, copies=self.switches.copies)
        self._all[id] = delivery
        match self.switches.mode:
            case Mode.HOLD:
                delivery.state = "held"
            case Mode.DROP:
                delivery.state = "dropped"
            case Mode.DELIVER:
                self._enqueue([delivery])
        return delivery

    def release(self, release: Release) -> list[Delivery]:
        """Let held webhooks go, first attempts strictly one after the other."""
        held = [d for d in self._all.values() if d.state == "held"]
        if release.ids is not None:
            by_id = {d.id: d for d in held}
            held = [by_id[i] for i in release.ids if i in by_id]
        if release.order == "reversed":
            held.reverse()
        elif release.order == "shuffled":
            random.Random(release.seed).shuffle(held)
        for delivery in held:
            delivery.state = "queued"
        self._enqueue(held)
        return held

    def find(self, state: str | None = None) -> list[Delivery]:
        return [d for d in self._all.values() if state in (None, d.state)]

    @property
    def idle(self) -> bool:
        """Nothing is queued, being sent or waiting for its next attempt (held does not count)."""
        return not any(d.state == "queued" for d in self._all.values())

    async def settle(self) -> None:
        """Wait until everything that is on its way has arrived or failed for good."""
        while not self.idle:
            tasks = [t for t in (self._sender, *self._retries) if t is not None and not t.done()]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    def routes(self) -> list[Route]:
        """Control API: GET/PUT `webhooks`, POST `webhooks/release`."""
        return [
            Route("/webhooks", self._webhooks, methods=["GET", "PUT"]),
            Route("/webhooks/release", self._release, methods=["POST"]),
        ]

    def dump(self) -> Document:
        return {
            "switches": self.switches.model_dump(mode="json"),
            "deliveries": [d.document() for d in self._all.values()],
        }

    def load(self, document: Document) -> None:
        """Take over a dump; what was on its way when it was made is queued again."""
        self.stop()
        self.switches = Switches.model_validate(document.get("switches", {}))
        kept = [
            Delivery(**{**d, "attempts": [Attempt(**a) for a in d["attempts"]]})
            for d in document.get("deliveries", [])
        ]
        self._all = {d.id: d for d in kept}
        self._queue.extend(d for d in kept if d.state == "queued")

    def wake(self) -> None:
        """Start sending what is queued; needs the event loop, which `load` may not have."""
        if self._queue and (self._sender is None or self._sender.done()):
            self._sender = asyncio.get_running_loop().create_task(self._send_queue())

    def stop(self) -> None:
        """Cancel what is on its way; its state stays `queued`."""
        for task in (self._sender, *self._retries):
            if task is not None and not task.done():
                task.cancel()
        self._retries.clear()
        self._queue.clear()

    def _enqueue(self, deliveries: Sequence[Delivery]) -> None:
        self._queue.extend(deliveries)
        self.wake()

    async def _send_queue(self) -> None:
        while self._queue:
            delivery = self._queue.popleft()
            for _ in range(delivery.copies):
                await self._attempt(delivery)
            self._after_attempt(delivery)
            self._simulator.changed()

    def _after_attempt(self, delivery: Delivery) -> None:
        last = delivery.attempts[-1]
        tries = len(delivery.attempts) // delivery.copies
        if last.status is not None and 200 <= last.status < 300:
            delivery.state = "delivered"
        elif tries > len(self.switches.delays):
            delivery.state = "exhausted"
        else:
            delay = self.switches.delays[tries - 1]
            task = asyncio.get_running_loop().create_task(self._retry_later(delivery, delay))
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)

    async def _retry_later(self, delivery: Delivery, delay: float) -> None:
        await asyncio.sleep(delay)
        self._enqueue([delivery])

    async def _attempt(self, delivery: Delivery) -> None:
        body, watch = delivery.body.encode(), Stopwatch()
        headers = dict(self._sign(body))
        call = Call("POST", urlsplit(delivery.url).path, "", headers, body)
        try:
            response = await self._simulator.world.http.post(
                delivery.url, content=body, headers=headers
            )
        except httpx.HTTPError as error:
            delivery.attempts.append(Attempt(watch.at, None, repr(error)))
            answer = None
        else:
            delivery.attempts.append(Attempt(watch.at, response.status_code))
            answer = Answer(response.status_code, response.content, dict(response.headers))
        notes = (delivery.label, delivery.id)
        self._simulator.journal.record(call, answer, watch, direction="out", notes=notes)

    async def _webhooks(self, request: Request) -> Answer:
        if request.method == "PUT":
            given = loads(await request.body())
            self.switches = Switches.model_validate({**self.switches.model_dump(), **given})
        listed = [d.document() for d in self.find(request.query_params.get("state"))]
        document = {
            "switches": self.switches.model_dump(mode="json"),
            "idle": self.idle,
            "counts": Counter(d.state for d in self._all.values()),
            "deliveries": listed,
        }
        return Answer.of(200, document)

    async def _release(self, request: Request) -> Answer:
        released = self.release(Release.model_validate(loads(await request.body() or b"{}")))
        return Answer.of(200, {"released": [d.id for d in released]})
