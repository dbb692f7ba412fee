"""What passed between a simulator and the world: every request and answer, secrets removed."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from shared.kernel.clock import Clock
from simulators.card_numbers import without_card_numbers
from simulators.exact_json import Document
from simulators.http_messages import Answer, Call

KEPT_ENTRIES = 50_000
KEPT_BODY = 65_536

SECRET_HEADERS = frozenset(
    {"authorization", "apiintegrationcode", "secret", "x-api-key", "cookie", "clientid"}
)
_SECRET_FIELDS = re.compile(
    r"""((?:client_secret|refresh_token|access_token|password|assertion|secret)["']?\s*[=:]\s*["']?)
        [^&"'\s,}]+""",
    re.VERBOSE | re.IGNORECASE,
)
_SIGNS_OF_SECRETS = ("secret", "token", "password", "assertion")  # in each name above


@dataclass(frozen=True, slots=True)
class Entry:
    """One exchange. `direction` is `in` for calls to the vendor, `out` for its webhooks."""

    number: int
    direction: str
    method: str
    path: str
    query: str
    status: int | None  # None: the connection closed without an answer
    request_headers: Mapping[str, str]
    request_body: str
    response_headers: Mapping[str, str]
    response_body: str
    simulated_at: datetime
    at: float  # wall clock, seconds since 1970, when the request had arrived
    duration_ms: float
    fault: str | None = None
    notes: tuple[str, ...] = ()

    def document(self) -> Document:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Search:
    """Which entries a reader wants; every given condition must hold."""

    method: str | None = None
    path: str | None = None  # regular expression, searched in path?query
    direction: str | None = None
    status: int | None = None
    after: int = 0  # entry number
    limit: int = 1_000

    def holds(self, entry: Entry) -> bool:
        return (
            entry.number > self.after
            and self.method in (None, entry.method)
            and self.direction in (None, entry.direction)
            and self.status in (None, entry.status)
            and (
                self.path is None or re.search(self.path, f"{entry.path}?{entry.query}") is not None
            )
        )


@dataclass(slots=True)
class Stopwatch:
    """Wall-clock start of an exchange; real time on purpose, the simulated clock stands still."""

    at: float = field(default_factory=time.time)
    _started: float = field(default_factory=time.perf_counter)

    @property
    def elapsed_ms(self) -> float:
        return round((time.perf_counter() - self._started) * 1000, 3)


class Journal:
    """The newest exchanges of one simulator, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=KEPT_ENTRIES)
        self._count = 0

    def record(
        self,
        call: Call,
        answer: Answer | None,
        watch: Stopwatch,
        *,
        direction: str = "in",
        fault: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> Entry:
        self._count += 1
        entry = Entry(
            number=self._count,
            direction=direction,
            method=call.method,
            path=call.path,
            query=_without_secrets(call.query),
            status=answer.status if answer else None,
            request_headers=_headers(call.headers),
            request_body=_text(call.body),
            response_headers=_headers(answer.headers if answer else {}),
            response_body=_text(answer.body if answer else b""),
            simulated_at=self._clock.now(),
            at=watch.at,
            duration_ms=watch.elapsed_ms,
            fault=fault,
            notes=notes,
        )
        self._entries.append(entry)
        return entry

    def find(self, search: Search) -> list[Entry]:
        """The newest `limit` entries that match, oldest first."""
        return list(self._matching(search))[::-1]

    def clear(self) -> None:
        """Forget the entries; numbers go on counting."""
        self._entries.clear()

    def _matching(self, search: Search) -> Iterator[Entry]:
        left = search.limit
        for entry in reversed(self._entries):
            if left == 0:
                return
            if search.holds(entry):
                left -= 1
                yield entry


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: "[redacted]" if k.lower() in SECRET_HEADERS else v for k, v in headers.items()}


def _text(body: bytes) -> str:
    if len(body) > KEPT_BODY:
        return f"[{len(body)} bytes] " + _text(body[:2_048])
    try:
        return _without_secrets(body.decode())
    except UnicodeDecodeError:
        return f"[{len(body)} bytes, not text]"


def _without_secrets(text: str) -> str:
    lowered = text.lower()
    if not any(sign in lowered for sign in _SIGNS_OF_SECRETS):  # most bodies: no need to search
        return without_card_numbers(text)
    return without_card_numbers(_SECRET_FIELDS.sub(r"\1[redacted]", text))
