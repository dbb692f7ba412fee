"""An order's way to the provider: checked, sent, read back. Each step leaves its mark in the row.

What was sent and not answered is read back before anything is repeated; a repetition carries the
same request id and the same ETag, so the provider does it once. A new id is used only after an
answer came.
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import JsonValue

from ingest.clients.errors import ProviderBusy, ProviderError, ProviderRefused, words_of
from ingest.domain.audit_records import SUCCEEDED
from ingest.domain.order_errors import Then, offer_for, reaction_to
from ingest.domain.order_rules import Done, Refused
from ingest.domain.order_wishes import OrderKind, OrderState
from ingest.handlers import CHECKS, ORDERS
from ingest.handlers.context import Context, retry_after
from ingest.handlers.heartbeat import LeaseLost, kept
from ingest.handlers.order_acts import Finding, Seen, act_for
from ingest.handlers.records import read_records
from ingest.store import checks, subscription_orders
from ingest.store.checks import Wanted
from ingest.store.subscription_orders import End, Move, Order
from shared.kernel.errors import Invalid
from shared.kernel.periods import utc_day
from shared.runtime.http import OutcomeUnknown, Response, Unreachable

LONGEST_WAIT_S = 24 * 3600.0
RECORDED_WITHIN_S = 3600.0  # how far the activity log lags is documented nowhere
ORDER = "order"
MADE_ONCE = frozenset({OrderKind.PURCHASE, OrderKind.UPGRADE})  # each call makes another one


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
        await _finish(context, order, end)
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
        await _later(context, order, End(OrderState.CHECKED, f"not sent: {error}"), answered=0)
    except OutcomeUnknown as error:
        await _later(context, order, End(OrderState.UNKNOWN, f"no answer: {error}"), answered=0)
    else:
        await _answered(context, order, response)


async def _answered(context: Context, order: Order, response: Response) -> None:
    refused_in_full = response.status == 207
    if response.ok and not refused_in_full:
        words = f"answered {response.status}; it has to show in a read"
        move = Move(OrderState.UNKNOWN, words, accepted=True, restores=order.restores)
        await _move(context, order, move)
        return
    code, words = _words(response)
    reaction = reaction_to(400 if refused_in_full else response.status, code)
    told = f"HTTP {response.status} {code} {words}".strip()
    match reaction.then:
        case Then.PAUSE:
            end = End(OrderState.CHECKED, told, "throttled", None, code, words)
            await _later(context, order, end, answered=1, asked_s=response.retry_after_s)
        case Then.READ_AGAIN if not order.restores:
            end = End(OrderState.PLANNED, told)
            await _later(context, order, end, answered=1, asked_s=0.0)
        case Then.WAIT if order.waited_s < LONGEST_WAIT_S:
            state = OrderState.CHECKED if order.restores else OrderState.PLANNED
            end = End(state, told, reaction.code, None, code, words)
            wait = context.choices.busy_wait_s
            await _later(context, order, end, answered=1, asked_s=wait)
        case Then.ASK_BACK | Then.FIND:
            await _later(context, order, End(OrderState.UNKNOWN, told), answered=0)
        case _:
            await _refused(context, order, End(
                OrderState.REFUSED, told, reaction.code, offer_for(reaction.code, order.wish),
                code, words,
            ), alert=reaction.alert)  # fmt: skip


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
    elif seen.finding is Finding.UNTOUCHED and not order.accepted:
        words = "nothing happened: the same request again"
        await _later(context, order, End(OrderState.CHECKED, words), answered=0)
    elif seen.finding is Finding.UNTOUCHED:
        await _later(context, order, End(OrderState.UNKNOWN, "does not show yet"), answered=0)
    elif order.restores:
        await _restore_met_news(context, order)
    elif order.kind in MADE_ONCE:
        await _made_and_not_listed(context, order)
    else:
        await _met_news(context, order, seen)


async def _restore_met_news(context: Context, order: Order) -> None:
    """The record knows our first call and so says nothing of this one."""
    if order.accepted and order.waited_s < RECORDED_WITHIN_S:
        await _later(context, order, End(OrderState.UNKNOWN, "does not show yet"), answered=0)
        return
    words = "somebody changed the subscription before what was dropped was back"
    await _refused(context, order, End(OrderState.REFUSED, words), alert=True)


async def _made_and_not_listed(context: Context, order: Order) -> None:
    """Never made a second time, however long the lists and the record take."""
    is_made = order.accepted or await _on_record(context, order)
    if is_made and order.waited_s >= LONGEST_WAIT_S:
        words = "made, and not listed for a day: look there for what came of it"
        await _finish(context, order, End(OrderState.CONFIRMED, words, "not_listed"), alert=True)
        return
    words = "made; not listed yet" if is_made else "it moved; nothing of ours is on record yet"
    await _later(context, order, End(OrderState.UNKNOWN, words), answered=0)


async def _met_news(context: Context, order: Order, seen: Seen) -> None:
    """Ours and then somebody else's, or somebody else's alone; what they did stays as it is."""
    is_over = order.waited_s >= RECORDED_WITHIN_S
    if await _on_record(context, order) or (order.accepted and is_over):
        end = End(OrderState.CONFIRMED, "done, and changed by somebody since", "overtaken")
        await _finish(context, order, end, subscription_ids=seen.subscription_ids)
    elif not is_over:
        words = "it moved, and nothing of ours is on record yet"
        await _later(context, order, End(OrderState.UNKNOWN, words), answered=0)
    else:
        words = "somebody changed the subscription and our request is not on record; order again"
        offer = {"kind": order.kind.value, **order.wish.to_json()}
        end = End(OrderState.REFUSED, words, "changed_meanwhile", offer)
        await _finish(context, order, end, alert=True, subscription_ids=seen.subscription_ids)


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


async def _on_record(context: Context, order: Order) -> bool:
    """Whether the provider's activity log has our call as done."""
    start = utc_day(order.requested_at) - timedelta(days=1)
    today = utc_day(context.database.clock.now())
    pages = context.partner_center.audit_records(start, today, customer_id=order.customer_id)
    async for page in pages:
        for record in read_records(page):
            if record.correlation_id == order.correlation_id and record.status == SUCCEEDED:
                return True
    return False


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
