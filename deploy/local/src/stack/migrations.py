"""Brings the services' schemas up to date before they start, in this one process.

Six interpreters would take longer to start than the migrations take; where a schema is at its
newest revision already, not even Alembic is loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import asyncpg

from shared.runtime import migrate
from shared.runtime.postgres import schema_of
from stack.errors import StackError
from stack.roles import Access


async def bring_up_to_date(
    access: Access, services: Sequence[str], *, report: Callable[[str], None]
) -> None:
    """Migrate every schema that is not at the revision its code needs.

    Raises:
        StackError: naming the service whose schema could not be migrated.
    """
    for service in services:
        if await _revision(access.migrate(service)) != migrate.head_revision(schema_of(service)):
            report(f"migrating {service}")
            await asyncio.to_thread(_upgrade, access.migrate(service), service)


async def _revision(dsn: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(migrate.CURRENT_VERSION)
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()


def _upgrade(dsn: str, service: str) -> None:
    from alembic.util.exc import CommandError  # with SQLAlchemy a second of start-up
    from sqlalchemy.exc import SQLAlchemyError

    try:
        migrate.upgrade(dsn, schema_of(service))
    except (SQLAlchemyError, CommandError) as error:
        raise StackError(
            f"The schema of {service} could not be brought up to date: {error}. If its data comes "
            "from other code than this, `tieout reset` starts over with empty data."
        ) from error
