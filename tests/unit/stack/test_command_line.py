"""What the command says without a stack, on a terminal or into a pipe."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from stack import output


def tieout(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "stack", *map(str, arguments))
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_it_says_which_version_it_is() -> None:
    """For whoever reports a defect."""
    result = tieout("--version")

    assert (result.returncode, result.stdout) == (0, f"tieout {version('tieout-stack')}\n")


def test_a_missing_story_is_a_sentence(tmp_path: Path) -> None:
    """Exit code 64, no traceback."""
    result = tieout("play", tmp_path / "none.yaml")

    assert (result.returncode, result.stderr) == (64, f"no such file: {tmp_path / 'none.yaml'}\n")


def test_a_negative_number_of_seats_is_no_option() -> None:
    """It is told what is wrong with the number."""
    result = tieout("order", "seats", "9cd520c8", "-2")

    assert result.returncode == 2
    assert "at least one seat" in result.stderr


def test_a_pipe_has_no_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are as wide as they need; `COLUMNS` still decides where it is set."""
    monkeypatch.delenv("COLUMNS", raising=False)
    assert output.console().width == output.PIPED_WIDTH
    monkeypatch.setenv("COLUMNS", "72")
    assert output.console().width == 72
