"""Usage batches become decided lines and deltas; a file counts when all of it is here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

from rating.domain import frames
from rating.domain.completeness import Completeness, Received, compare
from rating.domain.desired import Hold
from rating.domain.frames import NumberedTable
from rating.domain.rules import RuleKind
from rating.domain.usage import HELD, NOT_BILLABLE, Decider, Group, Outcome, UsageBook
from rating.domain.usage_columns import group_table
from rating.store import due, facts, holds, locks, prices, usage, usage_files
from rating.store.due import DueKind
from rating.store.holds import Place
from rating.store.usage import LineColumns
from rating.store.usage_files import UsageFile
from shared.contracts.ingest import UsageBatchRecorded, UsageFileClosed
from shared.contracts.rating import UsageFileRated
from shared.contracts.usage_frame import FrameHeader, open_frame
from shared.kernel.ids import derived_id
from shared.kernel.money import EXACT
from shared.kernel.periods import month_of
from shared.runtime.postgres import Transaction

CONCLUDE = "conclude"  # the job that works off what is due


async def on_usage_batch_recorded(event: UsageBatchRecorded, tx: Transaction) -> None:
    """Decide the lines of a batch once: the batch's id first, then lines, deltas, counters."""
    header, table = open_frame(event.frame)
    await usage_files.add_file(tx, header)
    batch = await usage.add_batch(tx, event.src, header, event.frame)
    if batch is None:
        return
    await locks.share_customers(tx, frames.customers(table))
    await usage.name_subscriptions(tx, frames.subscription_names(table))
    groups = await _conclude(tx, batch, header, frames.numbered(table))
    file = await usage_files.count_in(
        tx,
        header.file_id,
        lines=table.num_rows,
        quantity=_sum(group.quantity for group in groups),
        billing_pretax=_sum(group.billing_pretax for group in groups),
    )
    await _judge(tx, file)


async def on_usage_file_closed(event: UsageFileClosed, tx: Transaction) -> None:
    """Keep what the file announces; it counts at once if everything came before."""
    closed_at: datetime = tx.cause.time if tx.cause else tx.now
    await _judge(tx, await usage_files.announce(tx, event, closed_at))


async def rerate(tx: Transaction, customer_id: str) -> None:
    """Decide every line of a customer again, from the frames. The caller holds the customer."""
    for batch in await usage.batches_of(tx, customer_id):
        frame = await usage.frame_of(tx, batch)
        header, table = open_frame(frame.content)
        await usage.drop_conclusions(tx, batch, customer_id)
        await _conclude(tx, batch, header, frames.of_customer(frames.numbered(table), customer_id))


async def _conclude(
    tx: Transaction, batch: int, header: FrameHeader, lines: NumberedTable
) -> Sequence[Group]:
    book = await _book(tx, frames.customers(lines.table))
    month = month_of(date.fromisoformat(f"{header.billing_month}-01"))
    grouped = group_table(lines.table, Decider(book, month.last_day))
    columns = LineColumns(
        line_numbers=lines.column("line_number"),
        rows=lines.rows,
        places=grouped.positions,
        usage_dates=lines.column("usage_date"),
        quantities=lines.column("quantity"),
        line_ids=lines.column("line_id"),
    )
    await usage.add_conclusions(tx, batch, grouped.groups, columns)
    return grouped.groups


async def _book(tx: Transaction, customer_ids: Iterable[str]) -> UsageBook:
    names = sorted(customer_ids)
    contracts = await facts.contracts_of(tx, names)
    known = [contract for group in contracts.values() for contract in group]
    rules = await prices.rules(
        tx, [RuleKind.USAGE], contract_ids=[c.contract_id for c in known], customer_ids=names
    )
    rates = await prices.rates(tx, {contract.currency for contract in known})
    return UsageBook(contracts, rules, rates)


async def _judge(tx: Transaction, file: UsageFile) -> None:
    """Let the file count if it is all here; else say what is missing."""
    if file.control is None or file.state == "superseded":
        return
    received = Received(file.batches, file.lines, file.quantity, file.billing_pretax)
    verdict, detail = compare(received, file.control.control)
    place = Place(f"file/{file.file_id}")
    if verdict is Completeness.COMPLETE:
        await holds.replace_holds(tx, place, [])
        if file.state != "current":
            await _count(tx, file)
        return
    is_short = verdict is Completeness.INCOMPLETE
    reason = "usage_incomplete" if is_short else "control_total_mismatch"
    hold = Hold(reason, f"usage-file/{file.file_id}", file.data_set, detail)
    await holds.replace_holds(tx, place, [hold])
    if file.state != "current":
        await usage_files.set_state(tx, file.file_id, verdict.value)


async def _count(tx: Transaction, file: UsageFile) -> None:
    """From now on this version of the data set counts, unless a newer one does already."""
    older = await usage_files.current_of(tx, file.data_set)
    if older and older.closed_at and file.closed_at and older.closed_at > file.closed_at:
        await usage_files.set_state(tx, file.file_id, "superseded")
        return
    if older:
        await usage_files.set_state(tx, older.file_id, "superseded")
    await usage_files.set_state(tx, file.file_id, "current")
    await _announce(tx, file, older)
    if not file.estimate:
        changed = [file.file_id, older.file_id] if older else [file.file_id]
        await due.make_due(tx, DueKind.SETTLE, await usage.customers_in(tx, changed))
        tx.wake(CONCLUDE)


async def _announce(tx: Transaction, file: UsageFile, older: UsageFile | None) -> None:
    totals = await usage_files.outcome_totals(tx, file.file_id)
    counts = {Outcome(total.outcome): total.lines for total in totals}
    event = UsageFileRated(
        file_id=file.file_id,
        data_set=file.data_set,
        lines=file.lines,
        rated=counts.get(Outcome.RATED, 0),
        held=sum(counts.get(outcome, 0) for outcome in HELD),
        not_billable=sum(counts.get(outcome, 0) for outcome in NOT_BILLABLE),
    )
    await tx.publish(event, id=derived_id("usage-file-rated", file.file_id))
    await tx.record(
        "usage_file.counts",
        event.subject(),
        before={"file_id": older.file_id} if older else None,
        after=event.model_dump(mode="json"),
    )


def _sum(values: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for value in values:
        total = EXACT.add(total, value)
    return total
