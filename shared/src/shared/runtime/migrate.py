"""Schema migrations under Alembic: run by `python -m <service> migrate`, never while serving.

A running service only compares the version table with the revisions it was built with.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from shared.runtime.settings import SettingsError

if TYPE_CHECKING:
    from alembic.config import Config

    from shared.runtime.postgres import Reader

MIGRATION_LOCK = 0x7E0A1EB1
_ENVIRONMENT = Path(__file__).parent / "migration_environment"
_RUNTIME = Path(__file__).parent / "migrations"

CURRENT_VERSION = "SELECT version_num FROM alembic_version"


class SchemaMismatch(SettingsError):
    """The database is at another version than this code."""


def upgrade(url: str, package: str) -> None:
    """Bring the schema of `package` to the newest revision. `url` is the migrating role's DSN."""
    from alembic import command  # the command line of operators; not loaded by a running service

    command.upgrade(_config(url, package), "head")


def head_revision(package: str) -> str:
    """The revision the code of `package` expects."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_config("", package)).get_current_head()
    if head is None:
        raise RuntimeError(f"{package} has no migrations")
    return head


async def require_head(reader: Reader, package: str) -> None:
    """Refuse to run on an older or newer schema.

    Raises:
        SchemaMismatch: saying which command brings them together.
    """
    found, wanted = await reader.fetchval(CURRENT_VERSION), head_revision(package)
    if found != wanted:
        raise SchemaMismatch(
            f"schema {package} is at {found}, this code needs {wanted}: "
            f"run `python -m {package} migrate` with the same version of the code"
        )


def _config(url: str, package: str) -> Config:
    from alembic.config import Config

    service = importlib.import_module(package)
    if service.__file__ is None:
        raise RuntimeError(f"{package} is not a regular package")
    own = Path(service.__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(_ENVIRONMENT))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{_RUNTIME}\n{own}")
    config.attributes["url"] = _psycopg(url)
    config.attributes["schema"] = package
    return config


def _psycopg(url: str) -> str:
    """SQLAlchemy's spelling: psycopg takes several statements at once, asyncpg prepares each."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url
