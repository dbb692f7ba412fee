"""The one Alembic environment of all services; `shared.runtime.migrate` sets it up.

Takes an advisory lock so that replicas migrate once, bounds lock waits so that a busy table cannot
stall the fleet, and runs a service's revisions in one transaction inside its own schema.
"""

from alembic import context
from sqlalchemy import create_engine, pool, text

from shared.runtime.migrate import MIGRATION_LOCK

options = context.config.attributes
schema: str = options["schema"]
engine = create_engine(options["url"], poolclass=pool.NullPool)

with engine.connect() as connection:
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.execute(text("SELECT set_config('search_path', :schema, false)"), {"schema": schema})
    connection.commit()
    context.configure(connection=connection, version_table_schema=schema)
    with context.begin_transaction():
        context.run_migrations()
