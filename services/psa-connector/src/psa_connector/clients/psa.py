"""What the connector needs of a PSA, and the ways a PSA can disappoint.

A client reads as often as it likes; `write` sends at most one request that has effects and never
repeats it. Whether something arrived is always found out by `observe`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Protocol

from psa_connector.domain.adopting import ExistingLine
from psa_connector.domain.discovery import Offer, Places
from psa_connector.domain.mapping import Place
from psa_connector.domain.operations import Operation, OperationKind
from psa_connector.domain.outcomes import Write
from psa_connector.domain.preflight import ProductFacts, TargetFacts
from psa_connector.domain.preflight_report import Probe
from psa_connector.domain.snapshots import Record, TargetSnapshot, Words
from psa_connector.domain.verdicts import Observation
from shared.kernel.ids import sha256_hex
from shared.runtime.http import dumps
from shared.runtime.retry import Backoff


class PsaError(Exception):
    """The PSA did not do what was asked."""


class Unavailable(PsaError):
    """Nothing was written; the same may succeed later."""


class Throttled(PsaError):
    """Too many calls: the whole connection has to rest. Nothing was written."""

    def __init__(self, detail: str, *, wait_s: float) -> None:
        super().__init__(detail)
        self.wait_s = wait_s


class Busy(PsaError):
    """The record or endpoint is in use this moment. Nothing was written."""


class Denied(PsaError):
    """The credentials are not accepted: nothing on this connection will work."""


class Refused(PsaError):
    """The vendor said no to this record, in its own words. Repeating it cannot help."""


class AdoptionGone(PsaError):
    """The line to take over is not there any more. Nothing was written."""


class WriteUnknown(PsaError):
    """A write was sent and nobody saw its outcome: read back before anything else."""


@dataclass(frozen=True, slots=True)
class Work:
    """One operation, where it goes, and what is known about its place."""

    key: str
    place: Place
    operation: Operation
    service: str | None = None  # the PSA's id of the subscription's service
    taken: frozenset[str] = frozenset()  # services that belong to other subscriptions
    closes: str | None = None  # the PSA's id of the record to close
    adopts: str | None = None  # the PSA's id of a line to take over instead of making one
    leave_by: float = float("inf")  # monotonic; a write that has not left by then never leaves


@dataclass(frozen=True, slots=True)
class Written:
    """The PSA said yes. Not proof: `observe` is."""

    external_id: str
    body: Mapping[str, object] = field(repr=False)
    vendor_request_id: str | None = None

    @property
    def request_hash(self) -> str:
        """Fingerprint of what was sent, for the audit trail."""
        return sha256_hex(dumps(self.body))


# What reading an answer of an unexpected shape raises.
_ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@contextmanager
def understood(error: type[Unavailable | WriteUnknown]) -> Iterator[None]:
    """Reads an answer; one of an unexpected shape is the vendor's fault, and no news.

    Raises:
        Unavailable, WriteUnknown: as asked for, with what was odd.
    """
    try:
        yield
    except _ODD as odd:
        raise error(f"the PSA's answer was not understood: {odd!r}") from odd


def server_time(date_header: str | None) -> datetime | None:
    """The vendor's clock, as HTTP tells it with every answer."""
    try:
        return parsedate_to_datetime(date_header) if date_header else None
    except ValueError:
        return None


def require_in_time(leave_by: float) -> None:
    """The last look at the time before a write leaves: later it could outlive its lease.

    Raises:
        Unavailable.
    """
    if monotonic() > leave_by:
        raise Unavailable("the PSA answered too slowly to write within the lease")


@dataclass(slots=True)
class Count:
    """Requests that left, of one task."""

    calls: int = 0


_COUNTED: ContextVar[Count | None] = ContextVar("psa_calls", default=None)


@contextmanager
def counted() -> Iterator[Count]:
    """Counts the requests that this task sends."""
    count = Count()
    token = _COUNTED.set(count)
    try:
        yield count
    finally:
        _COUNTED.reset(token)


def count_call() -> None:
    """A transport says so with each request."""
    count = _COUNTED.get()
    if count is not None:
        count.calls += 1


@dataclass(frozen=True, slots=True)
class Edit:
    """Who changed something in the PSA, when, and in its own words."""

    by: str
    at: str
    text: str


class PsaClient(Protocol):
    """One connection of one vendor."""

    async def target_facts(self, place: Place) -> TargetFacts | None:
        """The agreement or contract as it is now; None when there is none."""
        ...

    async def product_facts(self, operations: Sequence[Operation]) -> Mapping[str, ProductFacts]:
        """The products that these operations name, by external id; missing ones are absent."""
        ...

    async def places(self) -> Places:
        """Companies with their agreements or contracts, for a person who maps. Reads only.

        Raises:
            Unavailable, Throttled, Busy, Denied, Refused.
        """
        ...

    async def offers(self) -> Sequence[Offer]:
        """Everything a line can be billed as, for a person who maps. Reads only.

        Raises:
            Unavailable, Throttled, Busy, Denied, Refused.
        """
        ...

    async def existing(self, place: Place) -> Sequence[ExistingLine]:
        """Every line on an agreement or contract, whoever made it.

        Raises:
            Unavailable, Throttled, Busy, Denied, Refused.
        """
        ...

    async def probe(self) -> Probe:
        """What the API user may see, and the PSA's clock. Reads only.

        Raises:
            Unavailable, Throttled, Busy, Denied.
        """
        ...

    async def observe(self, work: Work) -> Observation:
        """What the PSA holds of this operation.

        Raises:
            Unavailable, Throttled, Busy, Denied: it could not be seen now.
        """
        ...

    async def write(self, work: Work, wanted: Write) -> Written:
        """Send the one request, and not after `work.leave_by`, whatever had to be read before.

        Raises:
            Unavailable, Throttled, Busy, Denied, Refused, AdoptionGone: nothing was written.
            WriteUnknown: perhaps it was.
        """
        ...

    def words(self, record: Record) -> Words:
        """The owned fields of a record as this PSA would show them."""
        ...

    async def sweep(self, targets: Sequence[str], since: date) -> list[TargetSnapshot]:
        """Everything of ours on these targets, in as few requests as the vendor allows; units of
        services from `since` on.

        Raises:
            Unavailable, Throttled, Busy, Denied: it could not be seen now.
        """
        ...

    async def last_edit(self, target: str, object: str, external_id: str) -> Edit | None:
        """Who touched an object last; `object` begins with record, foreign, service or target."""
        ...

    async def forget(self, place: Place) -> None:
        """Drop what is cached about a target; the next question is put to the PSA."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Real seconds. A read with all its retries must end well within a writer's lease."""

    timeout_s: float = 8.0
    facts_s: float = 300.0  # how long facts about a target may be believed
    reads: Backoff = field(
        default_factory=lambda: Backoff(first_s=0.2, longest_s=2.0, total_s=6.0, attempts=5)
    )


@dataclass(frozen=True, slots=True)
class VendorProfile:
    """What the rest of the service may know of a vendor."""

    name: str
    kinds: frozenset[OperationKind]
    credentials: tuple[str, ...]
    sweeps_at_once: int = 20  # targets of one step of a sweep
