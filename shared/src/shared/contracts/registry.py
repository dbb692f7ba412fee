"""From a message's type to the class that reads it."""

from __future__ import annotations

from shared.contracts import ingest, invoicing, payments, psa_connector, rating, tax
from shared.contracts.audit import audit_event_class
from shared.contracts.envelope import Envelope, Event
from shared.contracts.topics import SERVICES
from shared.kernel.errors import Invalid

_MODULES = (ingest, rating, invoicing, tax, psa_connector, payments)

EVENTS: dict[str, type[Event]] = {
    member.TYPE: member
    for module in _MODULES
    for member in vars(module).values()
    if isinstance(member, type) and issubclass(member, Event) and "TYPE" in vars(member)
} | {event.TYPE: event for event in map(audit_event_class, SERVICES)}


def decode(envelope: Envelope, data: bytes) -> Event:
    """The event in a message.

    Raises:
        Invalid: `event_type_unknown`, or `event_malformed` with what did not fit.
    """
    event_class = EVENTS.get(envelope.type)
    if event_class is None:
        raise Invalid("event_type_unknown", f"nobody here reads {envelope.type}")
    try:
        return event_class.decode(data, envelope)
    except ValueError as error:
        raise Invalid("event_malformed", f"{envelope.type}: {error}") from error
