"""Schema migrations under Alembic: run by `python -m <service> migrate`, never while serving.

A running service only compares the version table with the revisions it was built with.
"""

from __future__ import annotations

import ast
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

IS_MIGRATED = "SELECT to_regclass('alembic_version') IS NOT NULL"
CURRENT_VERSION = "SELECT version_num FROM alembic_version"


class SchemaMismatch(SettingsError):
    """The database is at another version than this code."""


def upgrade(url: str, package: str) -> None:
    """Bring the schema of `package` to the newest revision. `url` is the migrating role's DSN."""
    from alembic import command  # the command line of operators; not loaded by a running service

    command.upgrade(_config(url, package), "head")


def head_revision(package: str) -> str:
    """The revision the code of `package` expects.

    Read from the text of the revisions: loading Alembic for one name would cost a starting service
    a second of processor time and 25 MB.
    """
    links = [_link(path) for path in (*_RUNTIME.glob("*.py"), *_migrations(package).glob("*.py"))]
    heads = {revision for revision, _ in links} - {parent for _, parent in links}
    if len(heads) != 1:
        raise RuntimeError(f"{package} has {len(heads)} newest revisions")
    return str(heads.pop())


def _link(path: Path) -> tuple[object, object]:
    """`revision` and `down_revision` of one file."""
    values = {
        target.id: ast.literal_eval(statement.value)
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id in {"revision", "down_revision"}
    }
    return values["revision"], values["down_revision"]


async def require_head(reader: Reader, package: str) -> None:
    """Refuse to run on an older or newer schema.

    Raises:
        SchemaMismatch: saying which command brings them together.
    """
    migrated = await reader.fetchval(IS_MIGRATED)
    found = await reader.fetchval(CURRENT_VERSION) if migrated else "no revision"
    wanted = head_revision(package)
    if found != wanted:
        raise SchemaMismatch(
            f"schema {package} is at {found}, this code needs {wanted}: "
            f"run `python -m {package} migrate` with the same version of the code"
        )


def _config(url: str, package: str) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_ENVIRONMENT))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{_RUNTIME}\n{_migrations(package)}")
    config.attributes["url"] = _psycopg(url)
    config.attributes["schema"] = package
    return config


def _migrations(package: str) -> Path:
    service = importlib.import_module(package)
    if service.__file__ is None:
        raise RuntimeError(f"{package} is not a regular package")
    return Path(service.__file__).parent / "migrations"


def _psycopg(url: str) -> str:
    """SQLAlchemy's spelling: psycopg takes several statements at once, asyncpg prepares each."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url
