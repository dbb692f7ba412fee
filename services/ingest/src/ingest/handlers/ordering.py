"""An order's way to the provider: checked, sent, read back. Each step leaves its mark in the row.

What was sent and not answered is read back before anything is repeated; a repetition carries the
same request id and the same ETag, so the provider does it once. A new id is used only after an
answer came.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from pydantic import JsonValue

from ingest.clients.errors import ProviderBusy, ProviderError, ProviderRefused, words_of
from ingest.domain.audit_records import AuditRecord
from ingest.domain.order_errors import Reaction, Then, offer_for, reaction_to
from ingest.domain.order_outcomes import Outcome, made_by, outcome_of
from ingest.domain.order_rules import Done, Refused
from ingest.domain.order_wishes import OrderKind, OrderState
from ingest.handlers import CHECKS, ORDERS
from ingest.handlers.context import Context, retry_after
from ingest.handlers.heartbeat import LeaseLost, kept
from ingest.handlers.order_acts import Finding, MovedOn, Seen, act_for
from ingest.handlers.records import read_records
from ingest.store import checks, subscription_orders
from ingest.store.checks import Wanted
from ingest.store.subscription_orders import End, Move, Order, call_of
from shared.kernel.errors import Invalid
from shared.kernel.periods import utc_day
from shared.runtime.http import OutcomeUnknown, Response, Unreachable

LONGEST_WAIT_S = 24 * 3600.0
SHOWN_WITHIN_S = 3600.0  # an accepted change; how far reads lag is documented nowhere
ORDER = "order"
MADE_ONCE = frozenset({OrderKind.PURCHASE, OrderKind.UPGRADE})  # each call makes another one
_SO, _UNTOUCHED = Finding.SO, Finding.UNTOUCHED


async def advance_order(context: Context, order: Order) -> None:
    """Do the next step of a claimed order."""

    async def renew() -> bool:
        async with context.database.transaction(correlation_id=order.id) as tx:
            return await subscription_orders.beat_order(tx, order)

    try:
        async with kept(f"order {order.id}", renew, every_s=subscription_orders.LEASE_S / 3):
            if order.state is OrderState.PLANNED:
                await _check(context, order)
            elif order.state is OrderState.CHECKED:
                await _send(context, order)
            else:
                await _look(context, order)
    except LeaseLost:
        return
    except (ProviderError, OSError, Invalid) as error:
        await _no_answer(context, order, error)


async def _check(context: Context, order: Order) -> None:
    found = await act_for(order).prepare(context, order)
    if isinstance(found, Refused):
        end = End(OrderState.REFUSED, found.detail, code=found.code, offer=found.offer)
        await _finish(context, order, end, alert=found.code == "changed_meanwhile")
    elif isinstance(found, Done):
        await _finish(context, order, End(OrderState.CONFIRMED, "it was so already"))
    else:
        move = Move(OrderState.CHECKED, "allowed by what was read", found.baseline, found.body)
        await _move(context, order, move)


async def _send(context: Context, order: Order) -> None:
    mark = Move(
        OrderState.SENDING, f"request {order.request_id}", restores=order.restores, keeps=True
    )
    if not await _move(context, order, mark):
        return
    try:
        response = await act_for(order).send(context, order)
    except Unreachable as error:
        end = End(OrderState.CHECKED, f"not sent: {error}", sure=not order.unsure)
        await _later(context, order, end, answered=0)
    except MovedOn as moved:
        await _react(context, order, Reaction(Then.READ_AGAIN), End(order.state, str(moved)))
    except OutcomeUnknown as error:
        await _later(context, order, End(OrderState.UNKNOWN, f"no answer: {error}"), answered=0)
    else:
        await _answered(context, order, response)


async def _answered(context: Context, order: Order, response: Response) -> None:
    refused_in_full = response.status == 207
    if response.ok and not refused_in_full:
        words = f"answered {response.status}; it has to show in a read"
        result = {**order.result, **act_for(order).answer(response)}
        move = Move(
            OrderState.UNKNOWN, words, accepted=True, restores=order.restores, result=result
        )
        await _move(context, order, move)
        return
    code, words = _words(response)
    reaction = reaction_to(400 if refused_in_full else response.status, code)
    told = f"HTTP {response.status} {code} {words}".strip()
    end = End(order.state, told, reaction.code or None, None, code, words)
    await _react(context, order, reaction, end, asked_s=response.retry_after_s)


async def _react(
    context: Context, order: Order, reaction: Reaction, told: End, *, asked_s: float | None = None
) -> None:
    """Follow a no. While an earlier call is open, a no to its repetition decides nothing."""
    doubt, plain = order.unsure, End(OrderState.UNKNOWN, told.detail)
    match reaction.then:
        case Then.ASK_BACK | Then.FIND:
            await _later(context, order, plain, answered=0)
        case Then.PAUSE:
            state = OrderState.UNKNOWN if doubt else OrderState.CHECKED
            end = replace(told, state=state, code="throttled", sure=not doubt)
            await _later(context, order, end, answered=int(not doubt), asked_s=asked_s)
        case Then.WAIT if order.waited_s < LONGEST_WAIT_S:
            state = OrderState.CHECKED if order.restores else OrderState.PLANNED
            end = replace(told, state=OrderState.UNKNOWN if doubt else state, sure=not doubt)
            wait = context.choices.busy_wait_s
            await _later(context, order, end, answered=1, asked_s=wait)
        case Then.READ_AGAIN if doubt:
            await _later(context, order, plain, answered=1)
        case Then.READ_AGAIN if not order.restores:
            end = End(OrderState.PLANNED, told.detail, sure=True)
            await _later(context, order, end, answered=1, asked_s=0.0)
        case _ if doubt and (await act_for(order).look(context, order)).finding is not _UNTOUCHED:
            await _later(context, order, plain, answered=1, asked_s=0.0)
        case _:
            end = replace(
                told, state=OrderState.REFUSED, offer=offer_for(reaction.code, order.wish)
            )
            await _refused(context, order, end, alert=reaction.alert)


async def _refused(context: Context, order: Order, end: End, *, alert: bool) -> None:
    if order.restores:  # the change itself is done; only what it dropped is gone
        result = {**order.result, "not_restored": end.detail}
        end = End(OrderState.CONFIRMED, end.detail, "schedule_not_restored", result=result)
    await _finish(context, order, end, alert=alert)


async def _look(context: Context, order: Order) -> None:
    """After a send: what does the provider show?"""
    seen = await act_for(order).look(context, order)
    if seen.finding is Finding.SO:
        await _confirm(context, order, seen)
    elif seen.finding is Finding.MOVED and order.restores:
        await _restore_met_news(context, order)
    elif seen.finding is Finding.MOVED and order.kind in MADE_ONCE:
        await _find_made(context, order)
    elif seen.finding is Finding.MOVED:
        await _decide(context, order, seen)
    elif order.accepted:
        await _wait(context, order, End(OrderState.UNKNOWN, "does not show yet"))
    else:
        words = "nothing happened: the same request again"
        await _wait(context, order, End(OrderState.CHECKED, words))


async def _restore_met_news(context: Context, order: Order) -> None:
    """The record knows our first call and so says nothing of this one."""
    if order.accepted and (order.unsure_s or 0.0) < SHOWN_WITHIN_S:
        await _later(context, order, End(OrderState.UNKNOWN, "does not show yet"), answered=0)
        return
    words = "somebody changed the subscription before what was dropped was back"
    await _refused(context, order, End(OrderState.REFUSED, words), alert=True)


async def _decide(context: Context, order: Order, seen: Seen) -> None:
    """It is neither as it was nor as ordered: what does the activity log say?"""
    call = call_of(order, context.account.application_id, context.database.clock.now())
    outcome = outcome_of(call, seen.after or {}, await _records(context, order))
    if outcome is Outcome.OVERTAKEN:
        gone = {"not_restored": "changed by somebody since"} if seen.restore else {}
        result = {**order.result, **seen.result, **gone}
        words = "done, and changed by somebody since"
        end = End(OrderState.CONFIRMED, words, "overtaken", result=result)
        await _finish(context, order, end, subscription_ids=seen.subscription_ids)
    elif outcome is Outcome.UNDONE and not order.accepted:
        words = "not done, others changed it meanwhile: checked anew"
        end = End(OrderState.PLANNED, words, sure=True)
        await _later(context, order, end, answered=1, asked_s=0.0)
    else:
        words = "it moved, and the activity log does not tell yet by whom: looked for again"
        await _wait(context, order, End(OrderState.UNKNOWN, words))


async def _find_made(context: Context, order: Order) -> None:
    """Something moved: the log may lag, and a second one would be a second purchase."""
    call = call_of(order, context.account.application_id, context.database.clock.now())
    made = next((r for r in await _records(context, order) if made_by(r, call)), None)
    if made is not None and order.kind is OrderKind.PURCHASE and made.order_id:
        if order.result.get("provider_order_id") != made.order_id:
            result = {**order.result, "provider_order_id": made.order_id}
            words = f"the activity log has it as order {made.order_id}"
            await _move(context, order, Move(
                OrderState.UNKNOWN, words, accepted=True, result=result,
            ))  # fmt: skip
            return
    elif made is not None and len(made.related) == 2:
        result = {"to_subscription_id": made.related[1], "quantity": order.body["quantity"]}
        await _confirm(context, order, Seen(_SO, result, subscription_ids=made.related))
        return
    is_made = made is not None or order.accepted
    words = "made; not listed yet" if is_made else "it moved; nothing of ours is on record yet"
    await _wait(context, order, End(OrderState.UNKNOWN, words), is_made=is_made)


async def _wait(context: Context, order: Order, end: End, *, is_made: bool = False) -> None:
    """Come back later; after a day of looking in vain a person has to."""
    if (order.unsure_s or 0.0) < context.choices.order_look_s:
        await _later(context, order, end, answered=0)
        return
    words = f"looked for in vain; in the end: {end.detail}"
    if order.restores:
        await _refused(context, order, End(OrderState.REFUSED, words), alert=True)
        return
    last = End(OrderState.UNCLEAR, words, "outcome_unknown", result=order.result)
    if is_made:
        last = End(OrderState.CONFIRMED, words, "not_listed", result=order.result)
    ids = (order.subscription_id,) if order.subscription_id else ()
    await _finish(context, order, last, alert=True, subscription_ids=ids)


async def _confirm(context: Context, order: Order, seen: Seen) -> None:
    if seen.restore and seen.after is not None:
        move = Move(
            OrderState.CHECKED,
            f"confirmed; the provider dropped {', '.join(seen.restore)}: sent again",
            baseline=dict(seen.after),
            body={**seen.after, **seen.restore},
            restores=True,
            answered=1,
            result=seen.result,
        )
        await _move(context, order, move)
        return
    result = {**order.result, **seen.result, **({"restored": True} if order.restores else {})}
    end = End(OrderState.CONFIRMED, "it shows in a fresh read", result=result)
    await _finish(context, order, end, subscription_ids=seen.subscription_ids)


async def _records(context: Context, order: Order) -> list[AuditRecord]:
    """The customer's activity since the day before the order."""
    start = utc_day(order.requested_at) - timedelta(days=1)
    today = utc_day(context.database.clock.now())
    pages = context.partner_center.audit_records(start, today, customer_id=order.customer_id)
    return [record async for page in pages for record in read_records(page)]


async def _no_answer(context: Context, order: Order, error: Exception) -> None:
    """A read failed, or the sign-in: the order stays where it is and is tried again."""
    final = isinstance(error, ProviderRefused) and order.state is OrderState.PLANNED
    if final and isinstance(error, ProviderRefused):
        reaction = reaction_to(error.status, error.code)
        if reaction.then is Then.REFUSE and error.status != 401:
            code, offer = reaction.code, offer_for(reaction.code, order.wish)
            end = End(OrderState.REFUSED, str(error), code, offer, error.code, error.words)
            await _finish(context, order, end, alert=reaction.alert)
            return
    state = OrderState.UNKNOWN if order.state is OrderState.SENDING else order.state
    asked = error.after_s if isinstance(error, ProviderBusy) else None
    await _later(context, order, End(state, str(error)[:500]), answered=0, asked_s=asked)


async def _move(context: Context, order: Order, move: Move) -> bool:
    async with context.database.transaction(correlation_id=order.id) as tx:
        moved = await subscription_orders.move_order(tx, order, move)
        tx.wake(context.job(ORDERS))
    return moved


async def _later(
    context: Context, order: Order, end: End, *, answered: int, asked_s: float | None = None
) -> None:
    wait = retry_after(order.attempts, asked_s) if asked_s != 0.0 else 0.0
    async with context.database.transaction(correlation_id=order.id) as tx:
        await subscription_orders.release_order(tx, order, end, after_s=wait, answered=answered)
        tx.wake(context.job(ORDERS))


async def _finish(
    context: Context,
    order: Order,
    end: End,
    *,
    alert: bool = False,
    subscription_ids: tuple[str, ...] = (),
) -> None:
    async with context.database.transaction(correlation_id=order.id) as tx:
        if not await subscription_orders.finish_order(tx, order, end):
            return
        action = "subscription-order.needs-a-person" if alert else f"subscription-order.{end.state}"
        after: dict[str, JsonValue] = {"code": end.code, "result": dict(end.result or {})}
        await tx.record(action, f"subscription-order/{order.id}", after=after, reason=end.detail)
        wanted = [Wanted(i, order.customer_id, context.account.id) for i in subscription_ids if i]
        if wanted:
            await checks.request_checks(tx, wanted, ORDER)
            tx.wake(context.job(CHECKS))
        tx.wake(context.job(ORDERS))


def _words(response: Response) -> tuple[str, str]:
    """Code and text; of a checkout that bought nothing, those of its first error."""
    if response.status != 207:
        return words_of(response)
    errors = response.json().get("orderErrors") or [{}]
    return str(errors[0].get("code", "")), str(errors[0].get("description", ""))[:300]
