"""What the activity log says of a call that nobody answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.audit_records import AuditRecord
from ingest.domain.order_outcomes import Call, Outcome, is_ours, outcome_of, unmoved
from ingest.domain.order_wishes import OrderKind, Wish
from unit.ingest.history import CUSTOMER, START, SUBSCRIPTION, Provider, record_of, resource

MINUTE = timedelta(minutes=1)
US, THEM = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
CALL = Call(
    correlation_id="c0ffee00-0000-4000-8000-000000000001",
    application_id=US,
    customer_id=CUSTOMER,
    subscription_id=SUBSCRIPTION,
    kind=OrderKind.QUANTITY,
    wish=Wish(quantity=45),
    before=resource(),
    read_at=START,
    since=START,
    until=START + 60 * MINUTE,
)


def history(*seats: int) -> list[AuditRecord]:
    """The records of these seat counts, one after the other, from 40 on."""
    provider = Provider()
    return [provider.change(MINUTE, quantity=n) for n in seats]


def ours(record: AuditRecord, **others: Any) -> AuditRecord:
    return replace(record, correlation_id=CALL.correlation_id, **others)


@pytest.mark.parametrize(
    ("records", "now", "outcome"),
    [
        ([], 50, Outcome.OPEN),
        (history(50), 50, Outcome.UNDONE),
        (history(50, 60), 60, Outcome.UNDONE),
        (history(50, 60)[1:], 60, Outcome.OPEN),
        (history(50, 60)[:1], 60, Outcome.OPEN),
        (history(45, 50)[1:], 50, Outcome.OVERTAKEN),
        (history(45, 40)[1:], 40, Outcome.OVERTAKEN),
        (history(45, 40, 50)[1:], 50, Outcome.OVERTAKEN),
        ([ours(history(45)[0])], 50, Outcome.OVERTAKEN),
        ([ours(history(45)[0], status="failed")], 50, Outcome.OPEN),
    ],
    ids=[
        "nothing on record", "theirs alone", "two of theirs", "the first is missing",
        "the last is missing", "they found ours", "they took ours back",
        "they took ours back and went on", "ours on record", "ours refused",
    ],
)  # fmt: skip
def test_the_log_read_backwards_says_who_was_there(
    records: Sequence[AuditRecord], now: int, outcome: Outcome
) -> None:
    """A gap proves nothing; whoever found it as wished came after us."""
    assert outcome == outcome_of(CALL, resource(quantity=now), records)


def test_what_was_done_before_we_read_says_nothing_of_us() -> None:
    """Somebody took 45 seats away a minute before the order: that is no trace of it."""
    earlier = record_of("old", START - MINUTE, resource(quantity=45), resource())

    assert outcome_of(CALL, resource(friendlyName="x"), [earlier]) is Outcome.OPEN


@given(
    seats=st.lists(st.sampled_from([41, 42, 43, 44, 50]), max_size=6),
    hidden=st.sets(st.integers(0, 6)),
)
def test_a_log_with_holes_never_says_more_than_the_whole_one(
    seats: list[int], hidden: set[int]
) -> None:
    """Ours is done first, with no trace: whatever the log lacks, it is never called undone."""
    records = history(45, *seats)
    seen = [r for n, r in enumerate(records) if n and n not in hidden]
    now = resource(quantity=([45, *seats])[-1])

    assert outcome_of(CALL, now, seen) is not Outcome.UNDONE


def test_a_record_of_ours_is_known_without_our_correlation_id() -> None:
    """By our application, the subscription, the very change and the time; by nothing less."""
    [record] = history(45)
    mine = replace(record, application_id=US, correlation_id=THEM)

    assert is_ours(mine, CALL)
    assert not is_ours(replace(mine, application_id=""), CALL)
    assert not is_ours(replace(mine, application_id=THEM), CALL)
    assert not is_ours(replace(mine, at=CALL.until + timedelta(hours=1)), CALL)
    assert not is_ours(replace(mine, at=CALL.since - timedelta(hours=1)), CALL)
    assert not is_ours(mine, replace(CALL, wish=Wish(quantity=46)))
    assert not is_ours(mine, replace(CALL, before=resource(quantity=41)))
    assert not is_ours(mine, replace(CALL, application_id=""))


def test_without_an_etag_what_somebody_decided_is_compared() -> None:
    """Windows that run down by the hour are no change; with an ETag only that counts."""
    hour = resource(refundableQuantity={"totalQuantity": 2})
    tagged = [resource(attributes={"etag": tag}) for tag in ("a", "b")]

    assert unmoved(resource(), hour)
    assert not unmoved(resource(), resource(quantity=41))
    assert unmoved(tagged[0], tagged[0])
    assert not unmoved(*tagged)
