"""CloudEvents 1.0 in binary mode: attributes are Kafka headers, the record value is the data.

`Event` is the base of every fact a service publishes; `Envelope` carries its CloudEvents
attributes. The header map is fixed: any CloudEvents consumer can route, deduplicate and trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from shared.kernel.errors import Invalid
from shared.kernel.money import Money
from shared.kernel.periods import Period

SPEC_VERSION = "1.0"
JSON = "application/json"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
SCHEMA_BASE = "urn:tieout:schema:"


def _plain(value: Decimal) -> str:
    return f"{value:f}"


Exact = Annotated[
    Decimal,
    PlainSerializer(_plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}),
]
"""A decimal that travels as a string, in plain notation, with every digit it has."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Instant = AwareDatetime


class Contract(BaseModel):
    """Base of everything that crosses a service border: immutable; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class MoneyField(Contract):
    """Money on the wire: `{"amount": "123.45", "currency": "EUR"}`."""

    amount: Exact
    currency: Currency

    @classmethod
    def of(cls, money: Money) -> MoneyField:
        return cls(amount=money.amount, currency=money.currency)

    def money(self) -> Money:
        return Money(self.amount, self.currency)


class PeriodField(Contract):
    """Half-open days on the wire: `{"start": "2026-05-01", "end": "2026-06-01"}`."""

    start: date
    end: date

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.end <= self.start:
            raise ValueError("a period must end after it starts")
        return self

    @classmethod
    def of(cls, period: Period) -> PeriodField:
        return cls(start=period.start, end=period.end)

    def period(self) -> Period:
        return Period(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Envelope:
    """The CloudEvents attributes of one message.

    `id` is the deduplication key together with `source`; `key` is the aggregate whose order matters
    and equals the Kafka record key; `correlation_id` names the external trigger and is constant
    through the whole chain; `causation_id` names the message that caused this one.
    """

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    key: str
    correlation_id: str
    causation_id: str | None = None
    content_type: str = JSON
    traceparent: str | None = None

    def headers(self) -> list[tuple[str, bytes]]:
        """Kafka headers in the binary mode of the CloudEvents Kafka binding."""
        pairs: list[tuple[str, str | None]] = [
            ("ce_specversion", SPEC_VERSION),
            ("ce_id", self.id),
            ("ce_source", self.source),
            ("ce_type", self.type),
            ("ce_subject", self.subject),
            ("ce_time", _rfc3339(self.time)),
            ("ce_dataschema", f"{SCHEMA_BASE}{self.type}"),
            ("ce_partitionkey", self.key),
            ("ce_correlationid", self.correlation_id),
            ("ce_causationid", self.causation_id),
            ("content-type", self.content_type),
            ("traceparent", self.traceparent),
        ]
        return [(name, value.encode()) for name, value in pairs if value is not None]

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes]]) -> Envelope:
        """Read the attributes back; unknown headers are ignored.

        Raises:
            Invalid: `envelope_malformed` when a required attribute is missing or unreadable.
        """
        try:
            found = {
                name.lower(): value.decode()
                for name, value in headers
                if name.lower() in _READ_HEADERS
            }
            if found["ce_specversion"] != SPEC_VERSION:
                raise ValueError(f"specversion {found['ce_specversion']}")
            return cls(
                id=found["ce_id"],
                source=found["ce_source"],
                type=found["ce_type"],
                subject=found.get("ce_subject", ""),
                time=_parse_time(found["ce_time"]),
                key=found["ce_partitionkey"],
                correlation_id=found.get("ce_correlationid", found["ce_id"]),
                causation_id=found.get("ce_causationid"),
                content_type=found.get("content-type", JSON),
                traceparent=found.get("traceparent"),
            )
        except KeyError as error:
            raise Invalid("envelope_malformed", f"header {error.args[0]} is missing") from error
        except ValueError as error:
            raise Invalid("envelope_malformed", str(error)) from error


_READ_HEADERS = frozenset(
    (
        *(f"ce_{n}" for n in ("specversion", "id", "source", "type", "subject", "time")),
        *("ce_partitionkey", "ce_correlationid", "ce_causationid", "content-type", "traceparent"),
    )
)


class Event(Contract):
    """A fact in the past tense. Subclasses name their type and topic and say what orders them.

    Class attributes: `TYPE` is `tieout.<service>.<fact>.v<N>`; `TOPIC` is a name from `topics.py`.
    """

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]
    CONTENT_TYPE: ClassVar[str] = JSON

    def key(self) -> str:
        """The aggregate whose history must stay in order."""
        raise NotImplementedError(f"{type(self).__name__} does not say what orders it")

    def subject(self) -> str:
        """`<noun>/<id>` of the aggregate, for people and routers."""
        raise NotImplementedError(f"{type(self).__name__} does not name its subject")

    def encode(self) -> bytes:
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, data: bytes, envelope: Envelope) -> Self:
        """The event from a record value. Raises pydantic's ValidationError (a ValueError)."""
        del envelope
        return cls.model_validate_json(data)


def producer_of(event_type: str) -> str:
    """`tieout.rating.charge-rated.v1` → `rating`."""
    return event_type.split(".")[1]


def _rfc3339(instant: datetime) -> str:
    naive = instant.astimezone(UTC).replace(tzinfo=None)
    return f"{naive.isoformat(timespec='microseconds')}Z"


def _parse_time(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"ce_time {text} has no time zone")
    return instant.astimezone(UTC)


Headers = Mapping[str, str]
