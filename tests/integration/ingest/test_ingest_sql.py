"""Every SQL statement of ingest can be prepared on the migrated schema."""

from __future__ import annotations

import importlib
import pkgutil

import asyncpg
import pytest

from ingest import store
from support.servers import FreshDatabase

MODULES = [m.name for m in pkgutil.iter_modules(store.__path__)]


def statements() -> list[tuple[str, str]]:
    found = []
    for name in MODULES:
        module = importlib.import_module(f"ingest.store.{name}")
        for constant, value in vars(module).items():
            if constant.isupper() and isinstance(value, str) and " " in value.strip():
                found.append((f"{name}.{constant}", value))
    return found


@pytest.mark.parametrize("name", MODULES)
async def test_statements_fit_the_schema(fresh_database: FreshDatabase, name: str) -> None:
    """PREPARE checks names and types without running anything."""
    made = await fresh_database("ingest")
    connection = await asyncpg.connect(made.app_dsn, server_settings={"search_path": "ingest"})
    try:
        own = [(n, sql) for n, sql in statements() if n.startswith(f"{name}.")]
        assert own, f"{name} has no statements"
        for _, sql in own:
            await connection.prepare(sql)
    finally:
        await connection.close()
