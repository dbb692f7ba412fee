"""Usage files, their batches, and the groups and lines concluded from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import repeat

from rating.domain.fx import ProviderRate
from rating.domain.usage import Decision, Group, GroupKey, Outcome
from rating.domain.usage_charges import UsageSum
from shared.contracts.usage_frame import FrameHeader
from shared.runtime.postgres import Reader, Record, Transaction

ADD_BATCH = """
INSERT INTO usage_batch (src, file_id, lines, frame, recorded_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (src) DO NOTHING RETURNING id
"""
FRAME = "SELECT src, file_id, frame FROM usage_batch WHERE id = $1"
LOCK_BATCH = "SELECT true FROM usage_batch WHERE id = $1 FOR NO KEY UPDATE"
BATCHES_OF_CUSTOMER = """
SELECT DISTINCT d.batch FROM usage_delta d
JOIN usage_batch b ON b.id = d.batch JOIN usage_file f USING (file_id)
WHERE d.customer_id = $1 AND f.state <> 'superseded' ORDER BY d.batch
"""
NEXT_POSITION = "SELECT coalesce(max(position) + 1, 0) FROM usage_delta WHERE batch = $1"
DROP_LINES = """
DELETE FROM rated_usage_line l USING usage_delta d
WHERE l.batch = $1 AND d.batch = l.batch AND d.position = l.position AND d.customer_id = $2
"""
DROP_DELTAS = "DELETE FROM usage_delta WHERE batch = $1 AND customer_id = $2"

SUMS = """
SELECT contract_id, outcome, rule_id, rule_version, customer_id, azure_subscription_id,
       meter_category, meter_id, meter_name, product_key, unit, usage_month, unit_price,
       effective_unit_price, pec_rate, pricing_currency, billing_currency, provider_rate,
       provider_rate_on, f.billing_month, sum(d.lines)::bigint AS lines,
       sum(d.quantity) AS quantity, array_agg(DISTINCT f.file_id) AS files
FROM usage_delta d JOIN usage_batch b ON b.id = d.batch JOIN usage_file f USING (file_id)
WHERE d.contract_id = $1 AND f.state = 'current' AND NOT f.estimate
GROUP BY contract_id, outcome, rule_id, rule_version, customer_id, azure_subscription_id,
         meter_category, meter_id, meter_name, product_key, unit, usage_month, unit_price,
         effective_unit_price, pec_rate, pricing_currency, billing_currency, provider_rate,
         provider_rate_on, f.billing_month
"""
UNOWNED = """
SELECT azure_subscription_id, sum(d.lines)::bigint AS lines, min(usage_month) AS usage_month
FROM usage_delta d JOIN usage_batch b ON b.id = d.batch JOIN usage_file f USING (file_id)
WHERE d.customer_id = $1 AND d.outcome = 'no_contract' AND f.state = 'current' AND NOT f.estimate
GROUP BY azure_subscription_id ORDER BY azure_subscription_id
"""
CUSTOMERS_IN = """
SELECT DISTINCT d.customer_id FROM usage_delta d JOIN usage_batch b ON b.id = d.batch
WHERE b.file_id = ANY($1::text[])
"""
# Customers whose usage a new rule or rate may price differently.
CUSTOMERS_SINCE = """
SELECT DISTINCT d.customer_id
FROM usage_delta d JOIN usage_batch b ON b.id = d.batch JOIN usage_file f USING (file_id)
WHERE f.state <> 'superseded' AND d.usage_month >= $1
  AND ($2::text IS NULL OR d.customer_id = $2) AND ($3::text IS NULL OR d.contract_id = $3)
  AND ($4::text IS NULL OR d.azure_subscription_id = $4)
"""
LINES = """
SELECT l.batch, l.row_no, l.line_number, l.line_id, l.usage_date, l.quantity, b.src, f.file_id,
       d.contract_id, d.outcome, d.rule_id, d.rule_version, d.customer_id,
       d.azure_subscription_id, d.meter_category, d.meter_id, d.meter_name, d.product_key, d.unit,
       d.usage_month, d.unit_price, d.effective_unit_price, d.pec_rate, d.pricing_currency,
       d.billing_currency, d.provider_rate, d.provider_rate_on
FROM usage_delta d
JOIN usage_batch b ON b.id = d.batch JOIN usage_file f USING (file_id)
JOIN rated_usage_line l ON l.batch = d.batch AND l.position = d.position
WHERE d.contract_id = $1 AND d.azure_subscription_id = $2 AND d.meter_category = $3
  AND d.usage_month = $4 AND f.billing_month = $5 AND d.outcome = 'rated'
  AND f.state = 'current' AND NOT f.estimate AND (l.batch, l.row_no) > ($6, $7)
ORDER BY l.batch, l.row_no LIMIT $8
"""
LINE_OF_FILE = """
SELECT l.batch, l.row_no, l.line_number, l.line_id, l.usage_date, l.quantity, b.src, b.file_id,
       d.contract_id, d.outcome, d.rule_id, d.rule_version, d.customer_id,
       d.azure_subscription_id, d.meter_category, d.meter_id, d.meter_name, d.product_key, d.unit,
       d.usage_month, d.unit_price, d.effective_unit_price, d.pec_rate, d.pricing_currency,
       d.billing_currency, d.provider_rate, d.provider_rate_on
FROM usage_batch b
JOIN rated_usage_line l ON l.batch = b.id
JOIN usage_delta d ON d.batch = l.batch AND d.position = l.position
WHERE b.file_id = $1 AND l.line_number = $2
"""

PUT_NAME = """
INSERT INTO azure_subscription (customer_id, azure_subscription_id, name) VALUES ($1, $2, $3)
ON CONFLICT (customer_id, azure_subscription_id) DO UPDATE SET name = excluded.name
WHERE azure_subscription.name <> excluded.name
"""
NAMES = "SELECT azure_subscription_id, name FROM azure_subscription WHERE customer_id = $1"

DELTA_COLUMNS = (
    "batch", "position", "lines", "customer_id", "contract_id", "outcome", "rule_id",
    "rule_version", "azure_subscription_id", "meter_category", "meter_id", "meter_name",
    "product_key", "unit", "usage_month", "unit_price", "effective_unit_price", "pec_rate",
    "pricing_currency", "billing_currency", "provider_rate", "provider_rate_on", "quantity",
    "billing_pretax",
)  # fmt: skip
LINE_COLUMNS = (
    "batch", "line_number", "row_no", "position", "usage_date", "quantity", "line_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredLine:
    """One rated line at its address, with the key of its group."""

    batch: int
    src: str
    row: int
    file_id: str
    line_number: int
    line_id: str
    usage_date: date
    quantity: Decimal
    key: GroupKey


@dataclass(frozen=True, slots=True)
class LineColumns:
    """Lines as they are written, column by column; `places` are positions among the groups that
    are written with them."""

    line_numbers: Sequence[int]
    rows: Sequence[int]
    places: Sequence[int]
    usage_dates: Sequence[date]
    quantities: Sequence[Decimal]
    line_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Frame:
    src: str
    file_id: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Unowned:
    """Usage of a customer that no contract covers."""

    azure_subscription_id: str
    lines: int
    since: date


async def name_subscriptions(tx: Transaction, names: Iterable[tuple[str, str, str]]) -> None:
    """Keep what Azure subscriptions are called: (customer, subscription, name)."""
    await tx.executemany(PUT_NAME, sorted(names))


async def subscription_names(reader: Reader, customer_id: str) -> dict[str, str]:
    return {r["azure_subscription_id"]: r["name"] for r in await reader.fetch(NAMES, customer_id)}


async def add_batch(tx: Transaction, src: str, header: FrameHeader, frame: bytes) -> int | None:
    """Keep a frame. None when it is known already: nothing of it may count twice."""
    batch: int | None = await tx.fetchval(
        ADD_BATCH, src, header.file_id, header.lines, frame, tx.now
    )
    return batch


async def frame_of(reader: Reader, batch: int) -> Frame:
    row = await reader.fetchrow(FRAME, batch)
    assert row is not None  # deltas reference their batch
    return Frame(row["src"], row["file_id"], row["frame"])


async def add_conclusions(
    tx: Transaction, batch: int, groups: Sequence[Group], lines: LineColumns
) -> None:
    """Write lines and deltas of a batch behind those it has."""
    first = int(await tx.fetchval(NEXT_POSITION, batch))
    records = zip(
        repeat(batch, len(lines.rows)),
        lines.line_numbers,
        lines.rows,
        (first + place for place in lines.places),
        lines.usage_dates,
        lines.quantities,
        lines.line_ids,
        strict=True,
    )
    await tx.copy("rated_usage_line", LINE_COLUMNS, records)
    deltas = (_delta(batch, position, group) for position, group in enumerate(groups, first))
    await tx.copy("usage_delta", DELTA_COLUMNS, deltas)


async def drop_conclusions(tx: Transaction, batch: int, customer_id: str) -> None:
    """Forget what was concluded about a customer's lines of a batch, to conclude it again.

    The batch is held: two customers of one batch must not take the same positions.
    """
    await tx.fetchval(LOCK_BATCH, batch)
    await tx.execute(DROP_LINES, batch, customer_id)
    await tx.execute(DROP_DELTAS, batch, customer_id)


async def batches_of(reader: Reader, customer_id: str) -> list[int]:
    """The batches with lines of a customer in files that are not superseded."""
    return [row["batch"] for row in await reader.fetch(BATCHES_OF_CUSTOMER, customer_id)]


async def sums(reader: Reader, contract_id: str) -> list[UsageSum]:
    """The billed usage of a contract, from the deltas of current files."""
    return [
        UsageSum(
            key=_key(row),
            billing_month=row["billing_month"],
            lines=row["lines"],
            quantity=row["quantity"],
            file_ids=frozenset(row["files"]),
        )
        for row in await reader.fetch(SUMS, contract_id)
    ]


async def unowned(reader: Reader, customer_id: str) -> list[Unowned]:
    return [
        Unowned(row["azure_subscription_id"], row["lines"], row["usage_month"])
        for row in await reader.fetch(UNOWNED, customer_id)
    ]


async def customers_in(reader: Reader, file_ids: Sequence[str]) -> list[str]:
    rows = await reader.fetch(CUSTOMERS_IN, list(file_ids))
    return [row["customer_id"] for row in rows]


async def customers_since(
    reader: Reader,
    month: date,
    *,
    customer_id: str | None = None,
    contract_id: str | None = None,
    azure_subscription_id: str | None = None,
) -> list[str]:
    """The customers with usage in `month` or later, within a scope."""
    rows = await reader.fetch(
        CUSTOMERS_SINCE, month, customer_id, contract_id, azure_subscription_id
    )
    return [row["customer_id"] for row in rows]


async def lines_of(
    reader: Reader,
    contract_id: str,
    place: tuple[str, str, date, date],
    *,
    after: tuple[int, int],
    limit: int,
) -> list[StoredLine]:
    """The lines of one usage charge; `place` is Azure subscription, category, usage month and
    billing month."""
    rows = await reader.fetch(LINES, contract_id, *place, *after, limit)
    return [_line(row) for row in rows]


async def line_of_file(reader: Reader, file_id: str, line_number: int) -> StoredLine | None:
    row = await reader.fetchrow(LINE_OF_FILE, file_id, line_number)
    return _line(row) if row else None


def _delta(batch: int, position: int, group: Group) -> tuple[object, ...]:
    key, decision, provider = group.key, group.key.decision, group.key.provider
    return (
        batch, position, group.lines, key.customer_id, decision.contract_id,
        decision.outcome.value, decision.rule_id, decision.rule_version,
        key.azure_subscription_id, key.meter_category, key.meter_id, key.meter_name,
        key.product_key, key.unit, key.usage_month, key.unit_price, key.effective_unit_price,
        key.pec_rate, provider.pricing_currency, provider.billing_currency, provider.rate,
        provider.on, group.quantity, group.billing_pretax,
    )  # fmt: skip


def _key(row: Record) -> GroupKey:
    decision = Decision(
        Outcome(row["outcome"]), row["contract_id"], row["rule_id"], row["rule_version"]
    )
    provider = ProviderRate(
        row["pricing_currency"],
        row["billing_currency"],
        row["provider_rate"],
        row["provider_rate_on"],
    )
    return GroupKey(
        decision=decision,
        customer_id=row["customer_id"],
        azure_subscription_id=row["azure_subscription_id"],
        meter_category=row["meter_category"],
        meter_id=row["meter_id"],
        meter_name=row["meter_name"],
        product_key=row["product_key"],
        unit=row["unit"],
        usage_month=row["usage_month"],
        unit_price=row["unit_price"],
        effective_unit_price=row["effective_unit_price"],
        pec_rate=row["pec_rate"],
        provider=provider,
    )


def _line(row: Record) -> StoredLine:
    return StoredLine(
        batch=row["batch"],
        src=row["src"],
        row=row["row_no"],
        file_id=row["file_id"],
        line_number=row["line_number"],
        line_id=row["line_id"],
        usage_date=row["usage_date"],
        quantity=row["quantity"],
        key=_key(row),
    )
