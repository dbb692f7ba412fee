"""Migrating repeats safely, also at once; no service runs on a schema it does not know."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from shared.contracts.topics import SERVICES
from shared.runtime import migrate
from shared.runtime.migrate import SchemaMismatch, head_revision, require_head
from shared.runtime.postgres import schema_of
from support.harness import opened
from support.schema_dump import schema_text
from support.servers import FreshDatabase, PostgresServer, ServiceDatabase

RECORD = """
INSERT INTO audit (seq, at, actor, action, object, prev_hash, hash)
VALUES (1, now(), 'a', 'b', 'c', 'd', 'e')
"""
EXIT_OK, EXIT_CONFIG = 0, 78


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def command(made: ServiceDatabase, word: str, dsn: str) -> tuple[int, str]:
    """`python -m <service> <word>` as an operator runs it: exit code and what it printed."""
    own = {
        "DATABASE_URL": dsn,
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "TIEOUT_AUTH_ISSUER": "https://login.example",
        "TIEOUT_AUTH_JWKS_URL": "https://login.example/keys",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", schema_of(made.service), word,
        env={"PATH": os.environ["PATH"], **own},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.parametrize("service", SERVICES)
async def test_migrating_again_changes_nothing(fresh_database: FreshDatabase, service: str) -> None:
    """Every start of a release runs it: data and schema stay, and the service accepts them."""
    made = await fresh_database(service)
    async with session(made.migrate_dsn) as connection:
        await connection.execute(RECORD)
        before = await schema_text(made)

        await asyncio.to_thread(migrate.upgrade, made.migrate_dsn, schema_of(service))

        assert await schema_text(made) == before
        assert await connection.fetchval("SELECT count(*) FROM audit") == 1
    async with opened(made.app_dsn, service) as database, database.read() as reader:
        await require_head(reader, schema_of(service))


async def test_replicas_that_migrate_at_once_do_it_once(postgres_server: PostgresServer) -> None:
    """The advisory lock lets the others find everything done."""
    made = await postgres_server.create_empty("tax")

    done = await asyncio.gather(*(command(made, "migrate", made.migrate_dsn) for _ in range(2)))

    assert {code for code, _ in done} == {EXIT_OK}, done
    async with session(made.admin_dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM tax.audit_head") == 1
    await postgres_server.drop(made)


async def test_a_service_refuses_a_schema_that_was_never_migrated(
    postgres_server: PostgresServer,
) -> None:
    """The message names the command; the exit code says it is not the network."""
    made = await postgres_server.create_empty("tax")

    code, output = await command(made, "check", made.app_dsn)

    assert code == EXIT_CONFIG
    assert "python -m tax migrate" in output
    assert "Traceback" not in output
    await postgres_server.drop(made)


@pytest.mark.parametrize("version", ["runtime_0001", "9999"])
async def test_a_service_refuses_an_older_and_a_newer_schema(
    fresh_database: FreshDatabase, version: str
) -> None:
    """During a release both happen: new code first, or a rollback."""
    made = await fresh_database("tax")
    async with session(made.migrate_dsn) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = $1", version)

    async with opened(made.app_dsn, "tax") as database, database.read() as reader:
        with pytest.raises(SchemaMismatch) as refused:
            await require_head(reader, "tax")

    assert version in str(refused.value)
    assert head_revision("tax") in str(refused.value)


@pytest.mark.parametrize("service", SERVICES)
async def test_the_audit_trail_is_append_only_for_a_service(
    fresh_database: FreshDatabase, service: str
) -> None:
    """By right for the service's role, by trigger for the role that owns the table."""
    made = await fresh_database(service)
    async with session(made.app_dsn) as app, session(made.migrate_dsn) as owner:
        await app.execute(RECORD)
        for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await app.execute(statement)
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await owner.execute(statement)
        assert await app.fetchval("SELECT actor FROM audit") == "a"


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE audit",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "CREATE TABLE own_table (id text)",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT 1'",
        "SET session_replication_role = replica",
    ],
)
async def test_a_service_cannot_lift_its_own_limits(
    fresh_database: FreshDatabase, statement: str
) -> None:
    """The role that serves requests owns nothing and changes no schema."""
    made = await fresh_database("tax")
    async with session(made.app_dsn) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_a_service_cannot_grant_itself_a_right(fresh_database: FreshDatabase) -> None:
    """Postgres only warns about such a GRANT; it has no effect."""
    made = await fresh_database("tax")
    async with session(made.app_dsn) as connection:
        await connection.execute("GRANT UPDATE ON audit TO CURRENT_USER")

        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE audit SET actor = 'x'")


async def test_a_service_sees_no_other_services_schema(postgres_server: PostgresServer) -> None:
    """Data of another service comes as events, never by a query."""
    made = await postgres_server.create("tax")
    async with session(made.admin_dsn) as admin:
        await admin.execute("CREATE SCHEMA other; CREATE TABLE other.secret (id text)")
    async with session(made.app_dsn) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM other.secret")
    await postgres_server.drop(made)
