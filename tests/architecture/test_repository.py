"""The repository stands for itself, and its lint configuration bans what the rules cannot see."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import pytest

from architecture.rules.repository import (
    foreign_providers,
    incomplete_decision,
    mentions_of_elsewhere,
)
from architecture.rules.sources import ROOT
from architecture.trees import listed
from shared.contracts.topics import SERVICES
from shared.runtime.postgres import schema_of

OUR_PACKAGES = ("shared", "simulators", "stack", *map(schema_of, SERVICES))
DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))


def tracked() -> Iterator[tuple[str, str]]:
    """Every text file that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in done.stdout.splitlines():
        path = ROOT / name
        if path.is_file():
            data = path.read_bytes()
            if b"\0" not in data:
                yield name, data.decode(errors="replace")


def test_no_file_depends_on_where_it_was_written() -> None:
    """No address of a package registry, no path of a developer's machine."""
    found = [f for path, text in tracked() for f in mentions_of_elsewhere(path, text)]

    assert not found, listed(found)


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://" + "pypi" + ".org/simple",
        "https://files." + "pythonhosted" + ".org/packages/x.whl",
        "registry = https://" + "registry.npmjs" + ".org",
        "https://repo1." + "maven" + ".org/maven2/org/apache",
        "cd /" + "home/ada/tieout && make test",
        "PYTHONPATH=/" + "Users/ada/src",
        "see /" + "work/project/notes.md",
        '"/' + 'root/.cache/jgo"',
    ],
)
def test_a_mention_of_elsewhere_is_caught(line: str) -> None:
    """With the line it is in."""
    found = list(mentions_of_elsewhere("README.md", f"first\n{line}\n"))

    assert [finding.line for finding in found] == [2]


@pytest.mark.parametrize(
    "line",
    [
        "https://learn.microsoft.com/en-us/partner-center/developer/",
        "GET https://api.partnercenter.microsoft.com/v1/home/customers",
        "cd ~/tieout",
        "$HOME/.cache/tieout",
        "the home/of something",
        "a network/work/flow",
        "USER tieout /home/tieout/",
    ],
)
def test_ordinary_text_is_left_alone(line: str) -> None:
    """Vendors' documents and the image's own user are no machines of ours."""
    assert not list(mentions_of_elsewhere("README.md", line))


def test_our_top_level_names_are_ours_alone() -> None:
    """`tax` and `shared` are generic words: no installed distribution may provide them, too."""
    assert foreign_providers(OUR_PACKAGES, distributions()) == {}


def test_a_distribution_that_takes_one_of_our_names_is_caught(tmp_path: Path) -> None:
    """Whichever comes first on the path would win, silently."""
    info = tmp_path / "taxes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: taxes\nVersion: 1.0\n")
    (info / "RECORD").write_text("tax/__init__.py,,\ntaxes-1.0.dist-info/METADATA,,\n")

    found = foreign_providers(OUR_PACKAGES, [Distribution.at(info)])

    assert found == {"tax": {"taxes"}}


@pytest.mark.skipif(not DECISIONS, reason="no decisions are written down yet")
@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem[:4])
def test_a_decision_tells_all_of_it(path: Path) -> None:
    """Context, decision, consequences, and what enforces it; on one page."""
    found = list(incomplete_decision(path.relative_to(ROOT).as_posix(), path.read_text()))

    assert not found, listed(found)


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    """The list is where a reader begins."""
    contents = (ROOT / "docs/decisions/README.md").read_text()

    assert [path.name[:4] for path in DECISIONS] == [
        f"{number:04d}" for number in range(1, len(DECISIONS) + 1)
    ]
    assert [path.name for path in DECISIONS if f"({path.name})" not in contents] == []


WHOLE = """# 0042 Something is so

**Context.** Why.

**Decision.** What.

**Consequences.** Then what.

**Enforced by** a test.
"""


@pytest.mark.parametrize(
    "text",
    [
        WHOLE.replace("# 0042 Something", "# Something"),
        WHOLE.replace("0042", "0041"),
        *(
            WHOLE.replace(f"**{part}**", part)
            for part in ("Context.", "Decision.", "Consequences.", "Enforced by")
        ),
        WHOLE + "\nmore" * 60,
    ],
)
def test_an_incomplete_decision_is_caught(text: str) -> None:
    """A decision that nothing enforces is an opinion."""
    assert list(incomplete_decision("docs/decisions/0042-x.md", text))
    assert not list(incomplete_decision("docs/decisions/0042-x.md", WHOLE))


@pytest.fixture(scope="module")
def lint() -> dict[str, Any]:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found: dict[str, Any] = configuration["tool"]["ruff"]["lint"]
    return found


@pytest.mark.parametrize(
    "name",
    [
        "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today", "time.time",
        "uuid.uuid4",
    ],
)  # fmt: skip
def test_calls_that_no_import_rule_sees_are_banned(lint: dict[str, Any], name: str) -> None:
    """Each with a message that says what to do instead."""
    assert lint["flake8-tidy-imports"]["banned-api"][name]["msg"]


def test_the_bans_hold_in_production_code(lint: dict[str, Any]) -> None:
    """Only tests, the local stack and the system clock itself may look at the real time."""
    excused = {path for path, rules in lint["per-file-ignores"].items() if "TID251" in rules}

    assert "TID" in lint["select"]
    assert excused == {
        "tests/**", "tests/simulators/**", "deploy/local/**", "shared/src/shared/runtime/clock.py",
    }  # fmt: skip


CARELESS = """
import uuid
from datetime import UTC, date, datetime
from time import time


def careless(table: str) -> object:
    print(table)
    return [uuid.uuid4(), datetime.now(UTC), date.today(), time(), f"SELECT * FROM {table}"]
"""


def test_the_linter_catches_what_the_configuration_bans() -> None:
    """The configuration as it is, on a file as if it were a service's."""
    path = "services/tax/src/tax/domain/planted.py"
    command = [sys.executable, "-m", "ruff", "check", "--output-format=json", "--no-cache"]
    done = subprocess.run(
        [*command, f"--stdin-filename={path}", "-"],
        input=CARELESS,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {(entry["code"], entry["location"]["row"]) for entry in json.loads(done.stdout)}

    assert {("TID251", 9), ("T201", 8), ("S608", 9)} <= found
    assert len([entry for entry in json.loads(done.stdout) if entry["code"] == "TID251"]) >= 4
