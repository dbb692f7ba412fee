"""What becomes of an attempt: reports applied by rank, open questions, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from payments.clients.gateway import NotSent, Unclear
from payments.domain.attempt import (
    OPEN,
    Attempt,
    Decline,
    Report,
    Source,
    State,
    advance,
    mismatch,
)
from payments.domain.declines import SOFT_ISSUER, TRANSIENT, forbids_method
from payments.domain.schedule import is_proven_absent, next_check
from payments.store import attempts, billing
from payments.store.attempts import Kept, Outcome
from shared.contracts.payments import PaymentFailed, PaymentSucceeded
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Transaction

CHECK = "check_attempts"


@dataclass(frozen=True, slots=True)
class News:
    """A report, how we come to have it, and since when it is so, if that was told."""

    report: Report
    source: Source
    occurred_at: datetime | None = None


async def sent(
    tx: Transaction,
    attempt_id: str,
    *,
    ending: Report | NotSent | Unclear,
    confirm_after: timedelta,
) -> None:
    """How a request to charge ended. A webhook may have told us more in the meantime."""
    kept = await _locked(tx, attempt_id)
    if isinstance(ending, Report):
        news = News(ending, Source.ANSWER)
        await learn(tx, kept, news=news, confirm_after=confirm_after)
        return
    if kept.attempt.state is not State.IN_FLIGHT:
        return
    if isinstance(ending, NotSent):
        await attempts.put_back(tx, attempt_id)
        if ending.problem is not None:
            await attempts.set_problem(tx, attempt_id, problem=ending.problem, detail=ending.why)
        return
    await attempts.set_unknown(tx, attempt_id, tx.now)
    await tx.record("attempt.unknown", f"payment/{attempt_id}", reason=ending.why[:500])
    tx.wake(CHECK)


async def checked(
    tx: Transaction,
    attempt_id: str,
    *,
    finding: Report | NotSent | Unclear | None,
    confirm_after: timedelta,
) -> None:
    """What a look at the provider found; None: a complete search did not find it."""
    kept = await _locked(tx, attempt_id)
    attempt = kept.attempt
    if attempt.state not in OPEN:
        return
    if isinstance(finding, Report):
        waited = has_waited(kept, tx.now, confirm_after)
        news = News(finding, Source.POLL if waited else Source.ANSWER)
        if await learn(tx, kept, news=news, confirm_after=confirm_after):
            return
    elif finding is None and attempt.provider_payment_id is not None:
        vanished = f"{attempt.provider_payment_id} is not there"
        await attempts.set_problem(tx, attempt_id, problem="payment_vanished", detail=vanished)
    elif finding is None and is_proven_absent(attempt, tx.now):
        decline = Decline("not_found_at_provider", TRANSIENT)
        absent = Report(None, State.FAILED, None, attempt_id, None, decline)
        await learn(tx, kept, news=News(absent, Source.POLL), confirm_after=confirm_after)
        return
    await _look_again(tx, attempt, confirm_after)


async def learn(tx: Transaction, kept: Kept, *, news: News, confirm_after: timedelta) -> bool:
    """Apply a report to a locked attempt. Whether it moved."""
    attempt, report, source = kept.attempt, news.report, news.source
    doubt = mismatch(attempt, report)
    if doubt is not None:
        await attempts.set_problem(
            tx, attempt.attempt_id, problem="provider_mismatch", detail=doubt
        )
        await tx.record("attempt.mismatch", f"payment/{attempt.attempt_id}", reason=doubt)
        return False
    step = advance(attempt, report, source)
    if step is None:
        return False
    if step.state is State.FAILED and step.decline is None:
        step = replace(step, decline=Decline("unknown", SOFT_ISSUER))
    ended = step.state not in OPEN
    wait = next_check(step.state, 0, confirm_after=confirm_after)
    outcome = Outcome(
        step=step,
        provider_status=report.provider_status,
        confirmed_by=source if step.state is State.SUCCEEDED else None,
        ended_at=(news.occurred_at or tx.now) if ended else None,
        next_check_at=None if wait is None else tx.now + wait,
    )
    await attempts.move(tx, attempt.attempt_id, outcome)
    await _tell(tx, attempt, outcome=outcome, source=source)
    return True


def has_waited(kept: Kept, now: datetime, confirm_after: timedelta) -> bool:
    """Whether a webhook has had its time to confirm what we sent."""
    sent_at = kept.attempt.sent_at
    return sent_at is not None and now - sent_at >= confirm_after


async def check_now(tx: Transaction, attempt_id: str) -> bool:
    """Look for the outcome at once, by an operator's wish. False: there is no open question."""
    kept = await _locked(tx, attempt_id)
    if kept.attempt.state not in OPEN - {State.CREATED, State.IN_FLIGHT}:
        return False
    await attempts.check_now(tx, attempt_id)
    tx.wake(CHECK)
    return True


async def _tell(tx: Transaction, attempt: Attempt, *, outcome: Outcome, source: Source) -> None:
    step = outcome.step
    await tx.record(
        f"attempt.{step.state.value.replace('_', '-')}",
        f"payment/{attempt.attempt_id}",
        before={"state": attempt.state.value},
        after={
            "state": step.state.value,
            "provider_payment_id": step.provider_payment_id,
            "source": source.value,
            "decline_code": None if step.decline is None else step.decline.code,
        },
    )
    if step.state is State.SUCCEEDED:
        await _succeeded(tx, attempt, outcome)
    elif step.state is State.FAILED and step.decline is not None:
        await _failed(tx, attempt, payment_id=step.provider_payment_id, decline=step.decline)


async def _succeeded(tx: Transaction, attempt: Attempt, outcome: Outcome) -> None:
    await attempts.withdraw_unsent(tx, attempt.invoice_id, attempt.attempt_id)
    if await attempts.is_paid_twice(tx, attempt.invoice_id, attempt.attempt_id):
        twice = "another attempt for this invoice was paid as well"
        await attempts.set_problem(tx, attempt.attempt_id, problem="collected_twice", detail=twice)
    event = PaymentSucceeded(
        attempt_id=attempt.attempt_id,
        invoice_id=attempt.invoice_id,
        invoice_number=attempt.invoice_number,
        account_id=attempt.account_id,
        amount=attempt.amount.amount,
        currency=attempt.amount.currency,
        provider=attempt.provider,
        provider_payment_id=outcome.step.provider_payment_id or "",
        succeeded_at=outcome.ended_at or tx.now,
    )
    await tx.publish(event, id=derived_id("payment-succeeded", attempt.attempt_id))


async def _failed(
    tx: Transaction, attempt: Attempt, *, payment_id: str | None, decline: Decline
) -> None:
    event = PaymentFailed(
        attempt_id=attempt.attempt_id,
        invoice_id=attempt.invoice_id,
        invoice_number=attempt.invoice_number,
        account_id=attempt.account_id,
        amount=attempt.amount.amount,
        currency=attempt.amount.currency,
        provider=attempt.provider,
        provider_payment_id=payment_id,
        decline_code=decline.code,
        decline_class=decline.decline_class,
    )
    await tx.publish(event, id=derived_id("payment-failed", attempt.attempt_id))
    if forbids_method(decline):
        await _forbid_method(tx, attempt, decline)


async def _forbid_method(tx: Transaction, attempt: Attempt, decline: Decline) -> None:
    """Unless the account has another method by now."""
    profile = await billing.lock_profile(tx, attempt.account_id)
    if profile is None or profile.provider_method_id != attempt.provider_method_id:
        return
    await billing.put_profile(tx, replace(profile, usable=False, unusable_reason=decline.code))
    await tx.record(
        "profile.unusable",
        f"account/{attempt.account_id}",
        before={"usable": profile.usable},
        after={"usable": False},
        reason=decline.code,
    )


async def _look_again(tx: Transaction, attempt: Attempt, confirm_after: timedelta) -> None:
    wait = next_check(attempt.state, attempt.checks, confirm_after=confirm_after)
    await attempts.schedule(tx, attempt.attempt_id, None if wait is None else tx.now + wait)
    if wait is None:
        unknown = attempt.state is State.UNKNOWN
        problem = "unknown_outcome" if unknown else "confirmation_overdue"
        detail = f"{attempt.checks} looks at the provider did not settle it"
        await attempts.set_problem(tx, attempt.attempt_id, problem=problem, detail=detail)


async def _locked(tx: Transaction, attempt_id: str) -> Kept:
    kept = await attempts.lock(tx, attempt_id)
    if kept is None:
        raise RuntimeError(f"attempt {attempt_id} is gone")
    return kept
