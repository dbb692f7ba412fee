"""From what we knew and what is now to the steps in between, whatever arrived in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.audit_records import AuditRecord
from ingest.domain.changes import (
    Detection,
    Known,
    Step,
    build_chain,
    change_id_of,
)
from ingest.domain.kinds import kind_of
from ingest.domain.snapshots import GONE
from shared.contracts.ingest import ChangeKind
from unit.ingest.history import (
    START,
    SUBSCRIPTION,
    Mirror,
    Provider,
    at_of,
    id_of,
    opened,
    record_of,
    resource,
    snapshot_of,
    told,
)

HOUR = timedelta(hours=1)


def test_two_changes_seen_at_once_become_two_steps_with_their_own_times() -> None:
    """Seats 40 → 45 → 43 while nobody looked: each step has the time of its record."""
    provider = Provider()
    mirror = opened(provider)
    first, second = provider.change(quantity=45), provider.change(quantity=43)

    chain = mirror.look(provider, provider.records)

    changed = ChangeKind.QUANTITY_CHANGED
    assert told(chain.steps) == [(changed, 40, 45), (changed, 45, 43)]
    assert [s.effective_at for s in chain.steps] == [first.at, second.at]
    assert [s.estimated for s in chain.steps] == [False, False]
    assert chain.unsettled is False


def test_any_order_and_repetition_of_records_gives_the_same_steps() -> None:
    """Records are a set: order and repeats say nothing."""
    provider = Provider()
    provider_before = provider.snapshot()
    for seats in (45, 43, 50):
        provider.change(quantity=seats)
    known = Known(provider_before.state, START)
    expected = build_chain(known, provider.records, provider.snapshot(), Detection(provider.now))

    for order in permutations(provider.records):
        chain = build_chain(known, [*order, *order], provider.snapshot(), Detection(provider.now))

        assert chain == expected


def test_a_late_record_tells_when_a_guessed_step_really_was() -> None:
    """The change was noticed without its record; the record supersedes it, once."""
    provider = Provider()
    mirror = opened(provider)
    provider.change(quantity=45)
    guessed = mirror.look(provider, (), at=provider.now + HOUR)

    later = mirror.look(provider, provider.records, at=provider.now + 2 * HOUR)

    assert told(guessed.steps) == [(ChangeKind.QUANTITY_CHANGED, 40, 45)]
    assert guessed.steps[0].estimated is True
    assert guessed.unsettled is True
    (truth,) = later.steps
    assert told([truth]) == [(ChangeKind.QUANTITY_CHANGED, 40, 45)]
    assert (truth.effective_at, truth.estimated) == (provider.now, False)
    assert truth.supersedes == id_of(guessed.steps[0])
    assert mirror.look(provider, provider.records, at=provider.now + 3 * HOUR).steps == ()


def test_a_record_of_the_very_moment_we_guessed_adds_nothing() -> None:
    """Nothing would be different."""
    provider = Provider()
    mirror = opened(provider)
    provider.change(quantity=45)
    mirror.look(provider, (), at=provider.now)

    assert mirror.look(provider, provider.records, at=provider.now + HOUR).steps == ()


def test_a_record_that_explains_half_of_a_guess_waits_for_the_other_half() -> None:
    """40 → 45 of 40 → 43: what it leads to is not what we saw."""
    provider = Provider()
    mirror = opened(provider)
    first = provider.change(quantity=45)
    provider.change(quantity=43)
    mirror.look(provider, (), at=provider.now + HOUR)

    assert mirror.look(provider, [first], at=provider.now + 2 * HOUR).steps == ()


def test_what_followed_a_guess_stays_when_the_truth_comes() -> None:
    """A record after the guess was taken before the one that explains it was visible."""
    provider = Provider()
    mirror = opened(provider)
    first = provider.change(quantity=45)
    mirror.look(provider, (), at=provider.now + HOUR)
    provider.now += 2 * HOUR
    second = provider.change(quantity=44)
    mirror.look(provider, [second])

    late = mirror.look(provider, [second, first], at=provider.now + HOUR)

    assert [(s.effective_at, s.quantity_before, s.after.quantity) for s in late.steps] == [
        (first.at, 40, 45)
    ]
    assert mirror.look(provider, [second, first], at=provider.now + 2 * HOUR).steps == ()


def test_two_late_records_are_the_truth_about_their_sum() -> None:
    """40 → 43 was noticed as one step; the records say 40 → 45 → 43."""
    provider = Provider()
    mirror = opened(provider)
    provider.change(quantity=45)
    provider.change(quantity=43)
    mirror.look(provider, (), at=provider.now + HOUR)

    later = mirror.look(provider, provider.records, at=provider.now + 2 * HOUR)

    changed = ChangeKind.QUANTITY_CHANGED
    assert told(mirror.steps[1:2]) == [(changed, 40, 43)]
    assert told(later.steps) == [(changed, 40, 45), (changed, 45, 43)]
    assert {step.supersedes for step in later.steps} == {id_of(mirror.steps[1])}


def test_a_missing_record_in_the_middle_becomes_an_estimated_step_before_the_next() -> None:
    """What no record explains happened at the latest when the next record found it."""
    provider = Provider()
    mirror = opened(provider)
    provider.change(quantity=45)
    second = provider.change(quantity=43)

    chain = mirror.look(provider, [second])

    assert [(s.quantity_before, s.after.quantity, s.estimated) for s in chain.steps] == [
        (40, 45, True),
        (45, 43, False),
    ]
    assert chain.steps[0].effective_at == second.at


def test_an_unexplained_change_takes_the_time_the_webhook_told() -> None:
    """Without a record the notification's own time is the best estimate."""
    provider = Provider()
    mirror = opened(provider)
    record = provider.change(quantity=45)

    chain = mirror.look(provider, (), at=record.at + 5 * HOUR, hint=record.at)

    assert [(s.effective_at, s.estimated) for s in chain.steps] == [(record.at, True)]


def test_a_stale_answer_does_not_undo_a_change_and_is_looked_at_again() -> None:
    """The record is there, the resource still shows the old seats: nothing yet, look again."""
    provider = Provider()
    mirror = opened(provider)
    before = provider.snapshot()
    record = provider.change(quantity=45)
    known = mirror.known
    assert known is not None

    stale = build_chain(known, [record], before, Detection(provider.now + HOUR))
    fresh = build_chain(known, [record], provider.snapshot(), Detection(provider.now + 2 * HOUR))

    assert (stale.steps, stale.unsettled) == ((), True)
    assert told(fresh.steps) == [(ChangeKind.QUANTITY_CHANGED, 40, 45)]
    assert fresh.steps[0].effective_at == record.at


def test_a_change_and_its_reversal_between_two_looks_are_both_kept() -> None:
    """40 → 45 → 40 is two prorated changes, not none."""
    provider = Provider()
    mirror = opened(provider)
    provider.change(quantity=45)
    provider.change(quantity=40)

    chain = mirror.look(provider, provider.records)

    changed = ChangeKind.QUANTITY_CHANGED
    assert told(chain.steps) == [(changed, 40, 45), (changed, 45, 40)]


def test_a_reversal_whose_second_record_comes_later_is_kept_too() -> None:
    """A record that leads away from what we see keeps the window open until its partner comes."""
    provider = Provider()
    mirror = opened(provider)
    first, second = provider.change(quantity=45), provider.change(quantity=40)

    early = mirror.look(provider, [first], at=provider.now + HOUR)
    late = mirror.look(provider, [first, second], at=provider.now + 2 * HOUR)

    changed = ChangeKind.QUANTITY_CHANGED
    assert (early.steps, early.unsettled) == ((), True)
    assert told(late.steps) == [(changed, 40, 45), (changed, 45, 40)]


def test_two_changes_at_one_instant_stay_two_steps_in_the_order_that_fits() -> None:
    """Time may stand still between two changes; their values tell which came first."""
    provider = Provider()
    mirror = opened(provider)
    provider.change(quantity=75)
    provider.change(timedelta(0), quantity=95)
    renamed = [
        record_of(key, r.at, {"id": SUBSCRIPTION, "quantity": b}, {"quantity": a})
        for key, r, b, a in zip("zy", provider.records, (40, 75), (75, 95), strict=True)
    ]

    chain = mirror.look(provider, renamed)

    changed = ChangeKind.QUANTITY_CHANGED
    assert told(chain.steps) == [(changed, 40, 75), (changed, 75, 95)]
    assert len({s.effective_at for s in chain.steps}) == 1


def test_a_failed_record_changes_nothing() -> None:
    """What the provider refused is no step."""
    provider = Provider()
    mirror = opened(provider)
    refused = record_of("x", START + HOUR, provider.current, resource(quantity=4), status="failed")

    chain = mirror.look(provider, [refused], at=START + 2 * HOUR)

    assert chain.steps == ()
    assert chain.unsettled is False


def test_records_without_before_values_chain_by_time() -> None:
    """The documented sample of an activity record has no old value."""
    provider = Provider()
    mirror = opened(provider)
    records = [record_of(f"n{n}", START + n * HOUR, None, {**resource(), "quantity": q})
               for n, q in ((1, 45), (2, 43))]  # fmt: skip
    provider.current, provider.now = resource(quantity=43), START + 3 * HOUR

    chain = mirror.look(provider, records)

    changed = ChangeKind.QUANTITY_CHANGED
    assert told(chain.steps) == [(changed, 40, 45), (changed, 45, 43)]


def test_a_renewal_with_fewer_seats_begins_with_its_term_however_late_it_was_processed() -> None:
    """Charges of a renewed term begin with the term, not with the hour of processing."""
    provider = Provider(resource(quantity=22, commitmentEndDate="2026-04-11T00:00:00Z"))
    mirror = opened(provider)
    provider.change(
        timedelta(days=11, hours=20), quantity=19, effectiveStartDate="2026-04-12T00:00:00Z",
        commitmentEndDate="2027-04-11T00:00:00Z",
    )  # fmt: skip

    chain = mirror.look(provider, provider.records)

    [step] = chain.steps
    assert (step.kind, step.quantity_before, step.after.quantity) == (ChangeKind.RENEWED, 22, 19)
    assert step.effective_at == datetime(2026, 4, 12, tzinfo=UTC)
    assert str(step.after.term_end) == "2027-04-12"


def test_a_renewal_without_a_record_is_no_guess_when_its_seats_were_announced() -> None:
    """Only the sweep sees renewals that produced no event; the term itself says when."""
    provider = Provider(resource(quantity=22, commitmentEndDate="2026-04-11T00:00:00Z"))
    before = provider.snapshot()
    provider.current |= {
        "quantity": 19, "effectiveStartDate": "2026-04-12T00:00:00Z",
        "commitmentEndDate": "2027-04-11T00:00:00Z",
    }  # fmt: skip
    now = datetime(2026, 4, 14, tzinfo=UTC)

    announced = Known(before.state, START, scheduled_quantity=19)
    chain = build_chain(announced, (), provider.snapshot(), Detection(now))
    surprise = build_chain(Known(before.state, START), (), provider.snapshot(), Detection(now))

    [step] = chain.steps
    assert (step.kind, step.estimated) == (ChangeKind.RENEWED, False)
    assert step.effective_at == datetime(2026, 4, 12, tzinfo=UTC)
    assert surprise.steps[0].estimated is True


def test_an_end_noticed_after_the_term_is_dated_to_the_end_of_the_term() -> None:
    """Expiry produces no record of its own."""
    provider = Provider(resource(commitmentEndDate="2026-04-11T00:00:00Z"))
    mirror = opened(provider)
    provider.current["status"] = "expired"
    provider.now = datetime(2026, 4, 14, 3, tzinfo=UTC)

    chain = mirror.look(provider, ())

    [step] = chain.steps
    assert (step.kind, step.quantity_before, step.after.quantity) == (ChangeKind.EXPIRED, 40, 0)
    assert (step.effective_at, step.estimated) == (datetime(2026, 4, 12, tzinfo=UTC), False)


@pytest.mark.parametrize(
    ("before", "after", "kind", "quantity"),
    [
        ({}, {"status": "suspended"}, ChangeKind.SUSPENDED, 40),
        ({"status": "suspended"}, {}, ChangeKind.RESUMED, 40),
        ({}, {"status": "deleted"}, ChangeKind.CANCELLED, 0),
        ({}, {"status": "expired"}, ChangeKind.EXPIRED, 0),
        ({"status": "expired"}, {"status": "disabled"}, ChangeKind.UPDATED, 0),
        ({}, {"quantity": 41}, ChangeKind.QUANTITY_CHANGED, 41),
        ({}, {"autoRenewEnabled": False}, ChangeKind.UPDATED, 40),
        ({}, {"friendlyName": "ours"}, ChangeKind.UPDATED, 40),
        ({}, {"effectiveStartDate": "2026-10-01T00:00:00Z"}, ChangeKind.RENEWED, 40),
    ],
)
def test_a_step_is_called_what_a_person_would_call_it(
    before: dict[str, Any], after: dict[str, Any], kind: ChangeKind, quantity: int
) -> None:
    """Kinds follow from the two states alone; an ended subscription has no seats to charge."""
    old, new = snapshot_of(resource(**before)).state, snapshot_of(resource(**after)).state

    assert kind_of(old, new) is kind
    assert new.quantity == quantity


@given(
    seats=st.lists(st.integers(38, 44), min_size=1, max_size=5),
    looks=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8),
)
def test_webhooks_in_any_order_with_repeats_and_losses_end_in_the_same_steps(
    seats: list[int], looks: list[tuple[int, int]]
) -> None:
    """Webhooks come at any moment for any change; the daily pull of all records ends it.

    A look for a webhook reads the subscription and one record, and all records when that leaves a
    question, as the service does.
    """
    provider, mirror = Provider(), Mirror()
    mirror.look(provider, ())
    for moment, quantity in enumerate(seats):
        provider.change(quantity=quantity)
        for when, which in looks:
            if when == moment and which < len(provider.records):
                look_for_webhook(mirror, provider, provider.records[which])
    expected = opened(Provider())
    expected.look(provider, provider.records)

    mirror.look(provider, provider.records)

    assert mirror.facts == expected.facts


def look_for_webhook(mirror: Mirror, provider: Provider, record: AuditRecord) -> None:
    chain = build_chain(mirror.known, [record], provider.snapshot(), Detection(provider.now))
    mirror.look(provider, provider.records if chain.unsettled else [record])


def test_a_late_record_between_two_steps_is_inserted_with_its_own_time() -> None:
    """A change and its reversal nobody saw, found by the daily pull before a step we have."""
    provider = Provider()
    mirror = opened(provider)
    for quantity in (50, 40, 45):
        provider.change(quantity=quantity)
    mirror.look(provider, provider.records[2:])

    late = mirror.look(provider, provider.records)

    changed = ChangeKind.QUANTITY_CHANGED
    assert told(mirror.steps[1:2]) == [(changed, 40, 45)]
    assert told(late.steps) == [(changed, 40, 50), (changed, 50, 40)]
    assert [s.effective_at for s in late.steps] == [r.at for r in provider.records[:2]]


@given(
    changes=st.lists(
        st.tuples(st.integers(0, 50), st.booleans(), st.booleans()), min_size=1, max_size=6
    )
)
def test_the_steps_always_add_up_to_the_current_quantity(
    changes: list[tuple[int, bool, bool]],
) -> None:
    """Whatever records are missing and whenever we look, each step begins where the last ended."""
    provider = Provider()
    mirror = opened(provider)
    visible: list[AuditRecord] = []

    for seats, shown, looked in changes:
        record = provider.change(quantity=seats)
        visible += [record] if shown else []
        if looked:
            mirror.look(provider, visible)
    mirror.look(provider, visible, at=provider.now + HOUR)

    history = sorted(mirror.steps, key=at_of)
    ends = [0, *(s.after.quantity for s in history)]
    assert [s.quantity_before for s in history] == ends[:-1]
    assert ends[-1] == provider.snapshot().state.quantity


@given(st.lists(st.sampled_from(["active", "suspended", "deleted"]), min_size=1, max_size=4))
def test_status_histories_chain_like_quantities(statuses: list[str]) -> None:
    """Every status change with a record is one exact step."""
    provider = Provider()
    mirror = opened(provider)
    for status in statuses:
        if provider.current["status"] not in GONE:
            provider.change(status=status)

    chain = mirror.look(provider, provider.records)

    real = [r for r in provider.records if _moves(r)]
    assert [s.record for s in chain.steps] == real
    assert not any(s.estimated for s in chain.steps)


def _moves(record: AuditRecord) -> bool:
    touch = record.touch(SUBSCRIPTION)
    assert touch is not None
    assert touch.before is not None
    assert touch.after is not None
    return bool(touch.before["Status"] != touch.after["Status"])


def test_a_change_id_depends_on_its_evidence_only() -> None:
    """The same record found by webhook, pull or sweep is the same change; guesses are numbered."""
    provider = Provider()
    mirror = opened(provider)
    provider.change(quantity=45)
    [step] = mirror.look(provider, provider.records).steps
    guess = Step(step.kind, step.before, step.after, step.effective_at, estimated=True)

    assert change_id_of(SUBSCRIPTION, step, version=2) == change_id_of(
        SUBSCRIPTION, step, version=7
    )
    assert change_id_of(SUBSCRIPTION, guess, version=2) != change_id_of(
        SUBSCRIPTION, guess, version=7
    )
