"""Revisions are SQL with a reason, in one line of descent, and lint against careless DDL."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import pytest

from migrations.revisions import Revision, all_revisions, own_revisions
from shared.contracts.topics import SERVICES
from shared.runtime.postgres import schema_of

SQUAWK = Path(sysconfig.get_path("scripts")) / "squawk"
# Of squawk's rules: widths are chosen per column; timeouts are set by the migration environment.
NOT_FOR_US = ("prefer-bigint-over-int", "require-lock-timeout", "require-statement-timeout")


def findings(revisions: Iterable[tuple[str, str]], folder: Path) -> list[str]:
    """What the linter has to say about named pieces of SQL."""
    paths = []
    for number, (name, sql) in enumerate(revisions):
        path = folder / f"{number:03d}-{name.replace('/', '~')}.sql"
        path.write_text(sql)
        paths.append(str(path))
    command = [
        str(SQUAWK), "--assume-in-transaction", "--pg-version=15", "--reporter=json",
        f"--exclude={','.join(NOT_FOR_US)}", *paths,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout.startswith("["), done.stderr
    return [
        f"{Path(found['file']).stem[4:].replace('~', '/')}:{found['line']}: {found['rule_name']}"
        for found in json.loads(done.stdout)
    ]


@pytest.mark.parametrize("revision", all_revisions(), ids=lambda revision: revision.name)
def test_a_revision_says_why_and_is_plain_sql(revision: Revision) -> None:
    """The reason is the docstring, the change one block of SQL."""
    assert revision.reason
    assert len(revision.reason) > 30
    assert revision.sql.strip()
    assert "down_revision" in revision.constants
    assert re.fullmatch(r"\d{4}_[a-z0-9_]+|runtime_\d{4}", revision.path.stem)


@pytest.mark.parametrize("service", SERVICES)
def test_revisions_follow_one_another(service: str) -> None:
    """One line from the runtime's revision to the newest, in the order of the file names."""
    own = own_revisions(service)
    names = [str(revision.constants["revision"]) for revision in own]

    assert own, f"{service} has no migrations"
    assert [revision.constants["down_revision"] for revision in own] == [
        "runtime_0001",
        *names[:-1],
    ]
    assert [revision.path.stem[:4] for revision in own] == [
        f"{number:04d}" for number in range(1, len(own) + 1)
    ]
    assert [name[-4:] for name in names] == [revision.path.stem[:4] for revision in own]


def test_no_revision_names_a_schema() -> None:
    """The search path decides where a service's tables are; `public` belongs to nobody."""
    schemas = "|".join(["public", *(schema_of(service) for service in SERVICES)])
    named = re.compile(rf"\b(?:TABLE|INTO|FROM|JOIN|REFERENCES|ON|UPDATE)\s+(?:{schemas})\.\w")

    assert [r.name for r in all_revisions() if named.search(r.sql)] == []
    assert named.search("CREATE INDEX i ON rating.charge (id)")


def test_the_sql_of_all_revisions_lints(tmp_path: Path) -> None:
    """Locks that stall a fleet, types that surprise, drops that break running code."""
    assert findings(((r.name, r.sql) for r in all_revisions()), tmp_path) == []


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("ALTER TABLE rate ADD COLUMN note text NOT NULL;", "adding-required-field"),
        ("DROP TABLE rate;", "ban-drop-table"),
        ("ALTER TABLE rate DROP COLUMN name;", "ban-drop-column"),
        ("CREATE INDEX late ON rate (name);", "require-concurrent-index-creation"),
        ("ALTER TABLE rate ALTER COLUMN name TYPE integer;", "changing-column-type"),
        ("ALTER TABLE rate RENAME COLUMN name TO label;", "renaming-column"),
        ("CREATE TABLE t (at timestamp);", "prefer-timestamp-tz"),
        ("CREATE TABLE t (name varchar(20));", "prefer-text-field"),
        ("CREATE TABLE t (id serial);", "prefer-identity"),
        ("CREATE TABLE t (id text", "syntax-error"),
    ],
)
def test_the_linter_sees_careless_ddl(tmp_path: Path, sql: str, rule: str) -> None:
    """Each of these has stalled or broken somebody's production."""
    assert any(found.endswith(rule) for found in findings([("planted", sql)], tmp_path))
