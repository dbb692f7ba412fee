"""The embedded servers as tests and services meet them."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import pytest

from shared.contracts.topics import Topic
from shared.runtime.kafka_admin import create_topics, wait_for_groups
from stack.roles import Access, provision
from support.servers import FreshDatabase, KafkaServer, PostgresServer

OTHER_SCHEMA = "SELECT * FROM ingest.secret_mirror"
CREATE_SECRET = """
CREATE TABLE ingest.secret_mirror (id bigint GENERATED ALWAYS AS IDENTITY, note text NOT NULL);
"""


@pytest.fixture
async def shared_database(postgres_server: PostgresServer) -> Access:
    """One database with two services in it, as the local stack has it."""
    database = await postgres_server.create_empty("ingest")
    access = postgres_server.access.in_database(database.name)
    await provision(access, ["ingest", "rating"])
    return access


async def test_an_app_role_reads_and_writes_what_its_migrate_role_made(
    shared_database: Access,
) -> None:
    """Tables made later by the migrate role are usable without another grant."""
    owner = await asyncpg.connect(shared_database.migrate("ingest"))
    await owner.execute(CREATE_SECRET)
    await owner.close()

    app = await asyncpg.connect(shared_database.app("ingest"))
    await app.execute("INSERT INTO secret_mirror (note) VALUES ('licence added')")
    found = await app.fetchval("SELECT note FROM secret_mirror")
    await app.close()

    assert found == "licence added"


async def test_a_service_cannot_read_the_schema_of_another(shared_database: Access) -> None:
    """rating must take its facts from events, not from ingest's tables."""
    owner = await asyncpg.connect(shared_database.migrate("ingest"))
    await owner.execute(CREATE_SECRET)
    await owner.close()

    for dsn in (shared_database.app("rating"), shared_database.migrate("rating")):
        stranger = await asyncpg.connect(dsn)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="schema ingest"):
            await stranger.fetch(OTHER_SCHEMA)
        await stranger.close()


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE rating.smuggled (id text)",
        "CREATE TABLE public.smuggled (id text)",
        "CREATE SCHEMA smuggled",
        "CREATE TEMPORARY TABLE smuggled (id text)",
    ],
)
async def test_an_app_role_has_no_ddl(shared_database: Access, ddl: str) -> None:
    """Schema changes go through migrations, also when a service is taken over."""
    app = await asyncpg.connect(shared_database.app("rating"))

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(ddl)

    await app.close()


async def test_an_administrator_without_superuser_rights_can_provision(
    postgres_server: PostgresServer,
) -> None:
    """Managed Postgres offers an account with CREATEROLE that owns its database, and no more."""
    admin = await asyncpg.connect(postgres_server.admin_dsn)
    await admin.execute("CREATE ROLE landlord LOGIN CREATEROLE PASSWORD 'landlord'")
    await admin.execute("CREATE DATABASE rented OWNER landlord")
    await admin.close()
    address = postgres_server.admin_dsn.rpartition("@")[2].rpartition("/")[0]
    access = Access(
        f"postgresql://landlord:landlord@{address}/rented", postgres_server.access.passwords
    )

    await provision(access, ["lodger"])
    await provision(access, ["lodger"])

    owner = await asyncpg.connect(access.migrate("lodger"))
    assert await owner.fetchval("SELECT current_schema()") == "lodger"
    await owner.close()


async def test_the_audit_trail_of_a_fresh_database_is_insert_only(
    fresh_database: FreshDatabase,
) -> None:
    """The template carries the revoked rights over to its clones."""
    database = await fresh_database("tax")
    app = await asyncpg.connect(database.app_dsn)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute("DELETE FROM audit")

    await app.close()


async def test_topics_are_created_once_and_groups_can_form(kafka_server: KafkaServer) -> None:
    """The launcher may run again over topics that are there."""
    options = {"bootstrap_servers": kafka_server.bootstrap_servers}
    topic = Topic(f"test.{uuid4()}", "rating", "nothing", partitions=12)

    first = await create_topics(options, [topic], partitions_max=3)
    second = await create_topics(options, [topic], partitions_max=3)
    await wait_for_groups(options)

    assert [topic.name, topic.dead_letters] == sorted(first)
    assert second == []
