"""docs/psa.md says what is: methods, commands and paths exist under the names it uses."""

from __future__ import annotations

import re
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_command

from contracts.psa_adapter_suite import PsaAdapterSuite
from psa_connector.clients.psa import PsaClient
from psa_connector.domain.mapping_sheet import COLUMNS
from psa_connector.domain.previewing import Action
from stack.cli import app

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "psa.md").read_text()


def test_the_methods_of_the_protocol_exist() -> None:
    """In the table that whoever adds a PSA works through."""
    table = PAGE[PAGE.index("| method |") : PAGE.index("A failure is one of")]
    named = {
        name
        for row in table.splitlines()
        for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    }
    assert len(named) >= 10
    assert [name for name in named if not hasattr(PsaClient, name)] == []


def test_the_commands_exist() -> None:
    """Each `tieout psa …` of the page leads somewhere."""
    said = re.findall(r"tieout (psa(?: (?:mappings|adopt|drift))? [a-z]+)", PAGE)
    assert len(set(said)) >= 9
    for words in said:
        command: object = get_command(app)
        for word in words.split():
            assert isinstance(command, TyperGroup), words
            assert word in command.commands, words
            command = command.commands[word]


def test_paths_columns_and_actions_are_those_of_the_code() -> None:
    """Files that are named are there."""
    for path in re.findall(r"`((?:services|tests)/[^`]+)`", PAGE):
        assert "halopsa" in path or (ROOT / path).exists(), path
    assert [name for name in COLUMNS if f"`{name}`" not in PAGE] == []
    assert [action for action in Action if f"`{action.value}`" not in PAGE] == []
    assert PsaAdapterSuite.__name__ in PAGE
