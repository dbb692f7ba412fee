"""Six services with one anatomy."""

from __future__ import annotations

from pathlib import Path

import pytest

from architecture.rules.anatomy import (
    HEADINGS,
    missing_handler_tables,
    missing_parts,
    wrong_headings,
)
from architecture.rules.sources import ROOT
from architecture.trees import listed, planted, production
from shared.contracts.topics import SERVICES
from shared.runtime.postgres import schema_of


def test_the_services_are_those_of_the_topic_table() -> None:
    """No folder without a service, no service without a folder."""
    assert {path.name for path in (ROOT / "services").iterdir() if path.is_dir()} == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_every_part(service: str) -> None:
    """Who knows one knows where to look in the others."""
    found = list(missing_parts(ROOT / "services" / service, schema_of(service)))

    assert not found, listed(found)


@pytest.mark.parametrize("service", SERVICES)
def test_a_readme_has_the_seven_headings(service: str) -> None:
    """What it decides, and as important: what it does not own."""
    path = ROOT / "services" / service / "README.md"
    text = path.read_text() if path.is_file() else ""
    found = list(wrong_headings(f"services/{service}/README.md", text))

    assert not found, listed(found)


def test_every_service_says_in_one_table_what_it_handles() -> None:
    """Subscribing is editing that table."""
    found = list(missing_handler_tables(production()))

    assert not found, listed(found)


def complete(folder: Path) -> Path:
    """A service with everything."""
    package = folder / "services/tax/src/tax"
    files = [
        *(package / name for name in ("__init__.py", "__main__.py", "main.py", "settings.py")),
        *(package / name for name in ("py.typed", "store.py", "handlers.py")),
        package / "api/__init__.py", package / "domain/__init__.py",
        package / "migrations/0001_init.py",
        folder / "services/tax/README.md", folder / "services/tax/pyproject.toml",
    ]  # fmt: skip
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return folder / "services/tax"


def test_a_complete_service_is_left_alone(tmp_path: Path) -> None:
    """`api` may be a package; the others are modules here."""
    assert list(missing_parts(complete(tmp_path), "tax")) == []


@pytest.mark.parametrize(
    "part",
    [
        "README.md", "pyproject.toml", "src/tax/main.py", "src/tax/__main__.py",
        "src/tax/settings.py", "src/tax/store.py", "src/tax/handlers.py", "src/tax/py.typed",
        "src/tax/api/__init__.py", "src/tax/migrations/0001_init.py",
    ],
)  # fmt: skip
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    """One finding, with the path that is not there."""
    service = complete(tmp_path)
    (service / part).unlink()

    found = list(missing_parts(service, "tax"))

    assert len(found) == 1
    name = part.replace("0001_init", "0001_*").replace("api/__init__.py", "api.py")
    assert found[0].message == f"no {name}"


def readme(*headings: str, body: str = "Something.") -> str:
    return "# tax\n\n" + "\n\n".join(f"## {heading}\n\n{body}" for heading in headings) + "\n"


def test_the_seven_headings_in_order_are_left_alone() -> None:
    """Text before them and sub-headings are free."""
    assert list(wrong_headings("README.md", readme(*HEADINGS))) == []
    assert list(wrong_headings("README.md", readme(*HEADINGS, body="### Details\n\nx"))) == []


@pytest.mark.parametrize(
    "text",
    [
        readme(*HEADINGS[:-1]),
        readme(*HEADINGS, "See also"),
        readme(*reversed(HEADINGS)),
        readme(*(heading.lower() for heading in HEADINGS)),
        readme(*HEADINGS, body=""),
        "",
    ],
    ids=["one missing", "one more", "another order", "another spelling", "empty", "no text"],
)
def test_other_headings_are_caught(text: str) -> None:
    """The same seven everywhere, or one has to search after all."""
    assert list(wrong_headings("README.md", text))


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        "HANDLERS = build()",
        "HANDLERS = {}\nHANDLERS = {}",
        "HANDLERS: Handlers",
        "def f():\n    HANDLERS = {}",
    ],
    ids=["none", "computed", "twice", "only declared", "inside a function"],
)
def test_a_service_without_its_table_is_caught(text: str) -> None:
    """Exactly one literal table, at module level, among the handlers."""
    source = planted(text, "services/tax/src/tax/handlers.py")

    assert list(missing_handler_tables([source]))


@pytest.mark.parametrize("path", ["handlers.py", "handlers/__init__.py", "handlers/table.py"])
def test_a_table_among_the_handlers_is_left_alone(path: str) -> None:
    """A module, or somewhere in the package."""
    source = planted("HANDLERS: Handlers = {A: on_a}", f"services/tax/src/tax/{path}")

    assert not list(missing_handler_tables([source]))
