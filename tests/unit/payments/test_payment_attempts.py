"""Which state an attempt reaches, whatever the order in which news about it arrives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.domain.attempt import (
    OPEN,
    RANK,
    Attempt,
    Decline,
    Report,
    Source,
    State,
    Step,
    advance,
    mismatch,
)
from payments.domain.charge import NotCharged, payer
from payments.domain.profiles import Profile
from payments.domain.schedule import Way, is_proven_absent, next_check, way_to_learn
from shared.kernel.money import Money

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TOTAL = Money(Decimal("1430.77"), "USD")
ATTEMPT = Attempt(
    attempt_id="a-1",
    invoice_id="inv-1",
    invoice_number="T-1",
    account_id="acc-1",
    amount=TOTAL,
    provider="stripe",
    provider_customer_id="cus_1",
    provider_method_id="pm_1",
    state=State.IN_FLIGHT,
)
DECLINED = Decline("insufficient_funds", "soft_funds")
REPORTABLE = (State.REQUIRES_ACTION, State.PENDING, State.FAILED, State.SUCCEEDED)


def report(state: State) -> Report:
    decline = DECLINED if state is State.FAILED else None
    return Report("pi_1", state, TOTAL, "a-1", decline=decline)


def after(attempt: Attempt, step: Step | None) -> Attempt:
    return attempt if step is None else replace(attempt, state=step.state)


@pytest.mark.parametrize(
    ("current", "reported", "reached"),
    [
        (State.IN_FLIGHT, State.PENDING, State.PENDING),
        (State.IN_FLIGHT, State.FAILED, State.FAILED),
        (State.UNKNOWN, State.REQUIRES_ACTION, State.REQUIRES_ACTION),
        (State.UNKNOWN, State.SUCCEEDED, State.SUCCEEDED),
        (State.REQUIRES_ACTION, State.PENDING, State.PENDING),
        (State.PENDING, State.REQUIRES_ACTION, None),
        (State.PENDING, State.PENDING, None),
        (State.PENDING, State.FAILED, State.FAILED),
        (State.FAILED, State.PENDING, None),
        (State.FAILED, State.SUCCEEDED, State.SUCCEEDED),
        (State.SUCCEEDED, State.FAILED, None),
        (State.SUCCEEDED, State.SUCCEEDED, None),
        (State.NOT_CHARGED, State.SUCCEEDED, None),
    ],
)
def test_only_what_outranks_our_knowledge_changes_it(
    current: State, reported: State, reached: State | None
) -> None:
    """The rank rule, pair by pair."""
    step = advance(replace(ATTEMPT, state=current), report(reported), Source.WEBHOOK)

    assert reached == (step and step.state)


def test_our_own_answer_is_no_confirmation() -> None:
    """Money counts as received only when the provider says so a second time."""
    answered = advance(ATTEMPT, report(State.SUCCEEDED), Source.ANSWER)
    confirmed = advance(
        replace(ATTEMPT, state=State.PENDING), report(State.SUCCEEDED), Source.WEBHOOK
    )
    found = advance(replace(ATTEMPT, state=State.PENDING), report(State.SUCCEEDED), Source.POLL)

    assert Step(State.PENDING, "pi_1") == answered
    assert Step(State.SUCCEEDED, "pi_1") == confirmed
    assert Step(State.SUCCEEDED, "pi_1") == found


def test_a_webhook_may_overtake_the_answer() -> None:
    """Confirmed first, answered later: the answer changes nothing."""
    confirmed = after(ATTEMPT, advance(ATTEMPT, report(State.SUCCEEDED), Source.WEBHOOK))

    assert confirmed.state == State.SUCCEEDED
    assert advance(confirmed, report(State.SUCCEEDED), Source.ANSWER) is None


def test_a_failure_carries_its_decline() -> None:
    """Other states carry none."""
    failed = advance(ATTEMPT, report(State.FAILED), Source.ANSWER)

    assert Step(State.FAILED, "pi_1", DECLINED) == failed


@pytest.mark.parametrize("order", list(permutations(REPORTABLE)))
def test_every_order_of_webhooks_ends_the_same(order: tuple[State, ...]) -> None:
    """Late and shuffled news converge to the highest rank."""
    attempt = ATTEMPT
    for state in order:
        attempt = after(attempt, advance(attempt, report(state), Source.WEBHOOK))

    assert attempt.state == State.SUCCEEDED


@given(st.lists(st.tuples(st.sampled_from(REPORTABLE), st.sampled_from(Source)), max_size=12))
def test_rank_never_falls_and_repeats_change_nothing(news: list[tuple[State, Source]]) -> None:
    """However often something is told, an attempt only moves forward."""
    attempt = ATTEMPT
    for state, source in news:
        step = advance(attempt, report(state), source)
        moved = after(attempt, step)

        assert step is None or RANK[moved.state] > RANK[attempt.state]
        assert advance(moved, report(state), source) is None
        attempt = moved


def test_open_states_are_those_that_can_still_end_in_a_charge() -> None:
    """The fence of an invoice stands exactly as long as an outcome is possible."""
    assert set(State) - {State.FAILED, State.SUCCEEDED, State.NOT_CHARGED} == OPEN


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        (Report("pi_1", State.SUCCEEDED, TOTAL), None),
        (Report("pi_1", State.SUCCEEDED, Money(Decimal("1.00"), "USD")), "not over 1430.77 USD"),
        (Report("pi_1", State.SUCCEEDED, Money(Decimal("1430.77"), "EUR")), "not over 1430.77 USD"),
        (Report("pi_2", State.SUCCEEDED, TOTAL), "pi_1 is its payment"),
    ],
)
def test_a_report_about_other_money_is_noticed(claimed: Report, expected: str | None) -> None:
    """Another amount, currency or payment under our attempt's id is for a person to look at."""
    why = mismatch(replace(ATTEMPT, provider_payment_id="pi_1"), claimed)

    assert (why is None) == (expected is None)
    assert expected is None or expected in (why or "")


def test_the_idempotency_key_is_the_attempt() -> None:
    """No clock and no counter in it."""
    assert ATTEMPT.idempotency_key == "pay_a-1"


@pytest.mark.parametrize(
    ("payment_id", "sent_ago", "way"),
    [
        ("pi_1", timedelta(days=9), Way.READ),
        (None, timedelta(0), Way.REPEAT),
        (None, timedelta(hours=22, minutes=59), Way.REPEAT),
        (None, timedelta(hours=23), Way.SEARCH),
        (None, timedelta(days=5), Way.SEARCH),
    ],
)
def test_the_way_to_an_outcome(payment_id: str | None, sent_ago: timedelta, way: Way) -> None:
    """The key is never used again after 23 hours; a known payment is simply read."""
    attempt = replace(ATTEMPT, provider_payment_id=payment_id, sent_at=NOON - sent_ago)

    assert way == way_to_learn(attempt, NOON)


def test_absence_needs_a_day() -> None:
    """A search that finds nothing proves nothing while the last send is fresh."""
    sent = replace(ATTEMPT, last_sent_at=NOON)

    assert not is_proven_absent(sent, NOON + timedelta(hours=23, minutes=59))
    assert is_proven_absent(sent, NOON + timedelta(hours=24))


def test_unknown_outcomes_are_looked_for_at_once_and_then_ever_more_rarely() -> None:
    """At once, 5 minutes, 1 hour, then daily five times; then a person looks."""
    waits = [next_check(State.UNKNOWN, n, confirm_after=timedelta(minutes=15)) for n in range(9)]

    day = timedelta(days=1)
    assert [timedelta(0), timedelta(minutes=5), timedelta(hours=1), *[day] * 5, None] == waits


def test_a_missing_confirmation_is_looked_for_after_the_waiting_time() -> None:
    """Webhooks get their chance first."""
    for state in (State.PENDING, State.REQUIRES_ACTION):
        assert timedelta(minutes=15) == next_check(state, 0, confirm_after=timedelta(minutes=15))
        assert timedelta(hours=1) == next_check(state, 1, confirm_after=timedelta(minutes=15))
    assert next_check(State.SUCCEEDED, 0, confirm_after=timedelta(minutes=15)) is None


PROFILE = Profile("acc-1", "stripe", "cus_1", "pm_1")


@pytest.mark.parametrize(
    ("total", "profile", "reason"),
    [
        ("0.01", PROFILE, None),
        ("0.00", PROFILE, "nothing_to_charge"),
        ("-5.00", PROFILE, "credit_balance"),
        ("5.00", None, "no_profile"),
        ("5.00", replace(PROFILE, usable=False), "profile_unusable"),
    ],
)
def test_why_an_invoice_is_not_charged(
    total: str, profile: Profile | None, reason: str | None
) -> None:
    """Every invoice that is not charged has a reason on record."""
    expected = profile if reason is None else NotCharged(reason)

    assert expected == payer(Money(Decimal(total), "EUR"), profile)
