"""The revision a service expects is read without Alembic and must be the one Alembic would find."""

from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.script import ScriptDirectory

from shared.contracts.topics import SERVICES
from shared.runtime.migrate import _config, head_revision
from shared.runtime.postgres import schema_of

ASK = "import sys; from shared.runtime.migrate import head_revision; head_revision('tax'); "
LOADED = "print([m for m in ('alembic', 'sqlalchemy', 'psycopg') if m in sys.modules])"


@pytest.mark.parametrize("package", [schema_of(service) for service in SERVICES])
def test_the_head_read_from_the_text_is_alembics_head(package: str) -> None:
    """Else a service would refuse a schema that `migrate` calls up to date."""
    expected = ScriptDirectory.from_config(_config("", package)).get_current_head()

    assert head_revision(package) == expected


def test_asking_for_the_head_loads_no_migration_tool() -> None:
    """A running service carries neither Alembic nor SQLAlchemy."""
    done = subprocess.run(
        (sys.executable, "-c", ASK + LOADED), capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
