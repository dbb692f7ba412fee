"""Who may do what in the database: one schema and two roles per service, and nothing across.

`<schema>_migrate` owns the schema and runs DDL; `<schema>_app` reads and writes its tables. Neither
can enter another service's schema. Running this again changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import asyncpg

from shared.runtime.postgres import schema_of
from stack.errors import StackError, disk_full
from stack.keyring import Keyring

DATABASE_EXISTS = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
ROLE_EXISTS = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
IS_SUPERUSER = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
# Two stacks on one server take turns instead of tripping over each other's GRANTs.
LOCK = "SELECT pg_advisory_xact_lock(47000)"
PASSWORD_LITERAL = "SELECT quote_literal($1)"  # noqa: S105  # a query, not a password

CREATE_DATABASE = "CREATE DATABASE {database}"
CLOSE_DATABASE = """
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE TEMPORARY, CREATE ON DATABASE {database} FROM PUBLIC;
"""
LOGIN_ROLE = """
ALTER ROLE {role} WITH LOGIN PASSWORD {password};
ALTER ROLE {role} SET search_path = {schema};
GRANT CONNECT ON DATABASE {database} TO {role};
"""
OWN_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {migrate};
REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;
GRANT USAGE ON SCHEMA {schema} TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {migrate} IN SCHEMA {schema}
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {migrate} IN SCHEMA {schema}
    GRANT USAGE, SELECT ON SEQUENCES TO {app};
"""


@dataclass(frozen=True, slots=True)
class ServiceRoles:
    """The names of one service in the database; all are plain identifiers."""

    service: str

    @property
    def schema(self) -> str:
        return schema_of(self.service)

    @property
    def app(self) -> str:
        return f"{self.schema}_app"

    @property
    def migrate(self) -> str:
        return f"{self.schema}_migrate"


@dataclass(frozen=True, slots=True)
class Access:
    """DSNs into one database: the administrator's, and each service's two."""

    admin_dsn: str
    passwords: Keyring

    def app(self, service: str) -> str:
        return self._as(ServiceRoles(service).app)

    def migrate(self, service: str) -> str:
        return self._as(ServiceRoles(service).migrate)

    def password(self, role: str) -> str:
        return self.passwords.get(f"postgres-{role}")

    def in_database(self, name: str) -> Access:
        """The same roles in another database of the server."""
        return Access(urlsplit(self.admin_dsn)._replace(path=f"/{name}").geturl(), self.passwords)

    def _as(self, role: str) -> str:
        parts = urlsplit(self.admin_dsn)
        address = parts.netloc.rpartition("@")[2]
        login = f"{role}:{quote(self.password(role), safe='')}"
        return parts._replace(netloc=f"{login}@{address}").geturl()


async def ensure_database(admin_dsn: str, name: str) -> None:
    """Create the database where it is missing."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        if not await connection.fetchval(DATABASE_EXISTS, name):
            await connection.execute(CREATE_DATABASE.format(database=name))
    finally:
        await connection.close()


async def provision(access: Access, services: Sequence[str]) -> None:
    """Make roles and schemas of `services` in the database that `access` administers.

    Raises:
        StackError: when the server does not answer or the administrator may not do it.
    """
    try:
        connection = await asyncpg.connect(access.admin_dsn)
    except (OSError, asyncpg.PostgresError) as error:
        raise StackError(
            f"Postgres at {_address(access)} refused the administrator: {error}. Set DATABASE_URL "
            "to an account that may create roles and schemas, or unset it for the embedded one."
        ) from error
    try:
        async with connection.transaction():
            await connection.execute(LOCK)
            await _provision(connection, access, services)
    except asyncpg.DiskFullError as error:
        raise disk_full(f"Postgres at {_address(access)}") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise StackError(
            f"The account in DATABASE_URL may not prepare {_address(access)}: {error}. "
            "Give it CREATEROLE and ownership of the database."
        ) from error
    finally:
        await connection.close()


async def _provision(
    connection: asyncpg.Connection[asyncpg.Record], access: Access, services: Sequence[str]
) -> None:
    database = _quoted(await connection.fetchval("SELECT current_database()"))
    is_superuser: bool = await connection.fetchval(IS_SUPERUSER)
    await connection.execute(CLOSE_DATABASE.format(database=database))
    for service in services:
        roles = ServiceRoles(service)
        for role in (roles.migrate, roles.app):
            if not await connection.fetchval(ROLE_EXISTS, role):
                await connection.execute(f"CREATE ROLE {role}")
            password = await connection.fetchval(PASSWORD_LITERAL, access.password(role))
            await connection.execute(
                LOGIN_ROLE.format(
                    role=role, password=password, schema=roles.schema, database=database
                )
            )
        if not is_superuser:  # to create a schema for a role one must be able to become it
            await connection.execute(f"GRANT {roles.migrate} TO current_user")
        await connection.execute(
            OWN_SCHEMA.format(schema=roles.schema, migrate=roles.migrate, app=roles.app)
        )


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _address(access: Access) -> str:
    return urlsplit(access.admin_dsn).netloc.rpartition("@")[2]
