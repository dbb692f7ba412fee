"""All revisions of a service add up to its snapshot; a change of the schema is read as a diff.

After a migration: `python -m tests.migrations.snapshot`.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path

import asyncpg
import pytest

from shared.contracts.topics import SERVICES
from shared.runtime.postgres import schema_of
from support.schema_dump import PG_DUMP, RUNTIME_TABLES, schema_text
from support.servers import FreshDatabase, PostgresServer, ServiceDatabase

ROOT = Path(__file__).parents[2]
WRITE = "TIEOUT_WRITE_SNAPSHOTS"
DRIFT = (
    "ALTER TABLE rate ADD COLUMN note text",
    "ALTER TABLE rate ALTER COLUMN name DROP NOT NULL",
    "DROP INDEX draft_held",
    "DROP TRIGGER rate_is_append_only ON rate",
    "CREATE TABLE extra (id text PRIMARY KEY)",
    "ALTER TABLE rate DROP CONSTRAINT rate_version_check",
)
_NOISE = re.compile(r"--|SET |SELECT pg_catalog|\\")  # of the server and of the moment


def committed(path: str, found: str) -> str:
    """The snapshot in the tree; when asked to write, what was found becomes it."""
    if os.environ.get(WRITE):
        (ROOT / path).write_text(found)
    return (ROOT / path).read_text()


@pytest.mark.parametrize("service", SERVICES)
async def test_the_revisions_add_up_to_the_snapshot(
    fresh_database: FreshDatabase, service: str
) -> None:
    """What reviewers read is what the database gets."""
    found = await schema_text(await fresh_database(service))

    assert found == committed(f"services/{service}/schema.sql", found)


async def test_the_runtimes_tables_are_those_of_its_snapshot(
    fresh_database: FreshDatabase,
) -> None:
    """The same in every service, so one snapshot is enough."""
    found = await _runtime_text(await fresh_database("tax"))

    assert found == committed("shared/schema.sql", found)


@pytest.mark.parametrize("service", sorted({*SERVICES} - {"tax"}))
async def test_no_service_changes_the_runtimes_tables(
    fresh_database: FreshDatabase, service: str
) -> None:
    """They belong to the runtime's own revisions."""
    found = await _runtime_text(await fresh_database(service))

    assert found == (ROOT / "shared/schema.sql").read_text()


async def test_a_schema_that_drifted_is_told_from_its_snapshot(
    fresh_database: FreshDatabase,
) -> None:
    """The comparison sees tables, columns, constraints, indexes and triggers."""
    made = await fresh_database("tax")
    texts = [await schema_text(made)]
    connection = await asyncpg.connect(made.migrate_dsn)
    for change in DRIFT:
        await connection.execute(change)
        texts.append(await schema_text(made))
    await connection.close()

    assert len(set(texts)) == len(DRIFT) + 1


async def test_two_databases_have_the_same_text(
    fresh_database: FreshDatabase, postgres_server: PostgresServer
) -> None:
    """Nothing of the server, the role or the moment is in it."""
    one, other = await fresh_database("payments"), await fresh_database("payments")
    text = await schema_text(one)

    assert text == await schema_text(other)
    assert postgres_server.admin_dsn not in text
    assert "OWNER" not in text


async def _runtime_text(made: ServiceDatabase) -> str:
    """The runtime's tables as DDL, under one name whatever the schema."""
    schema = schema_of(made.service)
    tables = [f"--table={schema}.{name}" for name in RUNTIME_TABLES]
    command = [str(PG_DUMP), made.migrate_dsn, "--schema-only", "--no-owner", *tables]
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, "--no-privileges"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [line for line in done.stdout.splitlines() if line.strip() and not _NOISE.match(line)]
    text = re.sub(rf"\b{schema}\.", "service.", "\n".join(lines))
    return re.sub(r";\n", ";\n\n", text).strip() + "\n"
