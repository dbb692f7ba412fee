"""The trail cannot be rewritten unseen, whatever an intruder does to the table."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.kernel.clock import FrozenClock
from shared.runtime import audit
from shared.runtime.audit import GENESIS, Verdict
from shared.runtime.postgres import Connection, Database, Reader
from support.harness import START, opened
from support.servers import PostgresServer, ServiceDatabase

RECORDS = 7
COLUMNS = (
    "seq", "at", "actor", "action", "object", "before", "after", "reason",
    "correlation_id", "causation_id", "prev_hash", "hash",
)  # fmt: skip
# One changed byte (or the smallest change the type has) in each column of record 4.
FLIPS = {
    "seq": "seq + 100",
    "at": "at + interval '1 microsecond'",
    "actor": "'Nobody'",
    "action": "action || ' '",
    "object": "replace(object, 'a', 'b')",
    "before": """'{"amount": "1.01"}'""",
    "after": """jsonb_set(after, '{amount}', '"1.11"')""",
    "reason": "NULL",
    "correlation_id": "upper(correlation_id)",
    "causation_id": "''",
    "prev_hash": "translate(prev_hash, '0123456789abcdef', '123456789abcdef0')",
    "hash": "translate(hash, '0123456789abcdef', '123456789abcdef0')",
}


async def write(database: Database, count: int = RECORDS) -> None:
    for number in range(1, count + 1):
        async with database.transaction(actor="nobody", correlation_id=f"c-{number}") as tx:
            await tx.record(
                "price.changed",
                f"rule/a{number}",
                before={"amount": "1.00"},
                after={"amount": f"1.{number:02d}", "lines": [1, None, True, "ü"]},
                reason="indexation",
            )


async def verified(database: Database) -> Verdict:
    async with database.snapshot() as reader:
        return await audit.verify(reader)


class Intruder:
    """Has every right in the database, no trigger fires for it; what it does is undone later."""

    def __init__(self, connection: Connection) -> None:
        self.execute = connection.execute
        self.fetch = connection.fetch
        self.fetchval = connection.fetchval
        self._reader = Reader(connection, START)

    async def is_found(self) -> Verdict:
        """The verdict on the trail as it is now."""
        return await audit.verify(self._reader)

    async def rehash(self, first: int, *, head: bool) -> None:
        """Make the chain consistent again, as a thorough intruder does after a change."""
        previous = await self.fetchval("SELECT hash FROM audit WHERE seq = $1", first - 1)
        previous = previous or GENESIS
        for row in await self.fetch("SELECT * FROM audit WHERE seq >= $1 ORDER BY seq", first):
            fields = {c: row[c] for c in COLUMNS if c not in {"prev_hash", "hash"}}
            fields["at"] = row["at"].isoformat(timespec="microseconds")
            text = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
            digest = hashlib.sha256(previous.encode() + text).hexdigest()
            await self.execute(
                "UPDATE audit SET prev_hash = $2, hash = $3 WHERE seq = $1",
                row["seq"],
                previous,
                digest,
            )
            previous = digest
        if head:
            await self.execute("UPDATE audit_head SET hash = $1", previous)


@pytest.fixture(scope="module")
async def written(postgres_server: PostgresServer) -> AsyncIterator[ServiceDatabase]:
    """A trail of seven records that each test finds as it was written."""
    made = await postgres_server.create("tax")
    async with opened(made.app_dsn, "tax") as database:
        await write(database)
    yield made
    await postgres_server.drop(made)


@pytest.fixture
async def intruder(written: ServiceDatabase) -> AsyncIterator[Intruder]:
    database = Database(written.admin_dsn, service="tax", clock=FrozenClock(START))
    async with database.dedicated() as connection:
        await connection.execute("SET session_replication_role = replica")
        transaction = connection.transaction()
        await transaction.start()
        yield Intruder(connection)
        await transaction.rollback()


async def test_an_untouched_trail_is_intact(intruder: Intruder) -> None:
    """Every record is counted."""
    assert Verdict(RECORDS, None, None) == await intruder.is_found()


async def test_an_empty_trail_is_intact(database: Database) -> None:
    """A new service has nothing to prove."""
    assert Verdict(0, None, None) == await verified(database)


@pytest.mark.parametrize("column", COLUMNS)
async def test_a_changed_byte_is_found(intruder: Intruder, column: str) -> None:
    """In any column, at the record it is in."""
    await intruder.execute(f"UPDATE audit SET {column} = {FLIPS[column]} WHERE seq = 4")

    assert (await intruder.is_found()).broken_at == 4


@pytest.mark.parametrize("seq", range(1, RECORDS + 1))
async def test_a_deleted_record_is_missed(intruder: Intruder, seq: int) -> None:
    """The first, the last, any."""
    await intruder.execute("DELETE FROM audit WHERE seq = $1", seq)

    assert (await intruder.is_found()).broken_at == seq


@pytest.mark.parametrize(("one", "other"), [(1, 2), (3, 6), (6, 7)])
async def test_swapped_records_are_found(intruder: Intruder, one: int, other: int) -> None:
    """The contents are all there, in another order."""
    await intruder.execute(
        "UPDATE audit SET seq = CASE seq WHEN $1 THEN -$2 ELSE -$1 END WHERE seq IN ($1, $2)",
        one,
        other,
    )
    await intruder.execute("UPDATE audit SET seq = -seq WHERE seq < 0")

    assert (await intruder.is_found()).broken_at == one


@pytest.mark.parametrize("left", [0, 1, 5])
async def test_a_cut_off_tail_is_missed(intruder: Intruder, left: int) -> None:
    """What is left is consistent in itself; the head remembers how long it was."""
    await intruder.execute("DELETE FROM audit WHERE seq > $1", left)

    assert (await intruder.is_found()).broken_at == left + 1


async def test_a_cut_off_tail_with_its_head_is_missed(intruder: Intruder) -> None:
    """The published copies remember what the head forgot."""
    await intruder.execute("DELETE FROM audit WHERE seq > 5")
    await intruder.execute(
        "UPDATE audit_head SET seq = 5, hash = (SELECT hash FROM audit WHERE seq = 5)"
    )

    assert (await intruder.is_found()).broken_at == 6


@pytest.mark.parametrize("seq", [1, 4, RECORDS])
@pytest.mark.parametrize("head", [False, True], ids=["head kept", "head rewritten"])
async def test_a_rehashed_chain_is_found_where_it_was_changed(
    intruder: Intruder, seq: int, head: bool
) -> None:
    """Recomputing every hash makes it another chain than the one that was published."""
    await intruder.execute("UPDATE audit SET actor = 'somebody-else' WHERE seq = $1", seq)
    await intruder.rehash(seq, head=head)

    assert (await intruder.is_found()).broken_at == seq


async def test_a_rehashed_chain_without_copies_still_contradicts_its_head(
    intruder: Intruder,
) -> None:
    """Pruned or deleted copies leave the head; where the change was is no longer known."""
    await intruder.execute("UPDATE audit SET actor = 'somebody-else' WHERE seq = 3")
    await intruder.rehash(3, head=False)
    await intruder.execute("DELETE FROM outbox")

    verdict = await intruder.is_found()

    assert verdict.broken_at == RECORDS
    assert "head" in str(verdict.reason)


async def test_a_record_added_behind_the_services_back_is_found(intruder: Intruder) -> None:
    """A forged end that chains on correctly."""
    await intruder.execute(
        """INSERT INTO audit SELECT 8, at, actor, 'price.approved', object, before, after, reason,
           correlation_id, causation_id, hash, hash FROM audit WHERE seq = 7"""
    )
    await intruder.rehash(8, head=False)

    assert (await intruder.is_found()).broken_at == RECORDS + 1


async def test_records_written_meanwhile_are_no_tampering(database: Database) -> None:
    """Verification of a busy service: no false alarm, ever."""
    await write(database, 3)
    writing = asyncio.create_task(write(database, 60))
    verdicts = []
    while not writing.done():
        verdicts.append(await verified(database))
    await writing

    assert all(verdict.intact for verdict in verdicts)
    assert (await verified(database)).links == 63


async def test_parallel_writers_leave_no_gap(database: Database) -> None:
    """One chain, whoever commits first."""
    await asyncio.gather(*(write(database, 4) for _ in range(8)))

    assert Verdict(32, None, None) == await verified(database)


async def test_a_transaction_that_fails_leaves_no_record(database: Database) -> None:
    """The trail tells what happened, and nothing else."""
    await write(database, 2)

    async def failing() -> None:
        async with database.transaction() as tx:
            await tx.record("price.changed", "rule/never")
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await failing()

    assert Verdict(2, None, None) == await verified(database)


async def test_what_a_savepoint_undoes_leaves_no_record_and_no_event(database: Database) -> None:
    """Work that was taken back did not happen, also where the transaction goes on."""

    async def refused() -> None:
        async with tx.savepoint():
            await tx.record("invoice.finalised", "invoice/1")
            tx.wake("send")
            raise RuntimeError("changed my mind")

    async with database.transaction() as tx:
        await tx.record("first", "a/1")
        with pytest.raises(RuntimeError, match="changed my mind"):
            await refused()
        async with tx.savepoint():
            await tx.record("second", "a/2")

    async with database.read() as reader:
        rows = await reader.fetch("SELECT action FROM audit ORDER BY seq")
    assert [row["action"] for row in rows] == ["first", "second"]
    assert not tx.commit.jobs


async def test_a_record_is_published_as_it_is_stored(
    database: Database, clock: FrozenClock
) -> None:
    """The copy on the bus is the witness against the table."""
    clock.advance(timedelta(microseconds=123456))
    await write(database, 1)

    async with database.read() as reader:
        row = await reader.fetchrow("SELECT * FROM audit")
        value = await reader.fetchval("SELECT value FROM outbox")
    copy = json.loads(value)
    assert row is not None
    assert {"after", "before", "hash", "prev_hash", "seq", "actor"} <= set(copy)
    for column in set(COLUMNS) - {"at"}:
        assert row[column] == copy[column], column
    assert copy["service"] == "tax"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.tuples(json_values, json_values), min_size=1, max_size=4))
async def test_any_value_verifies_after_the_database_had_it(
    database: Database, values: list[tuple[Any, Any]]
) -> None:
    """jsonb has its own spelling of numbers; the digest must not depend on it."""
    async with database.transaction() as tx:
        for before, after in values:
            await tx.record("changed", "thing/1", before=before, after=after)

    assert (await verified(database)).intact
