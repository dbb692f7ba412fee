"""What `tieout play` says about a file that is no story, and what its report holds."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from e2e.theatre import Theatre
from stack.play import show

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack"), pytest.mark.timeout(600)]

WRONG = """\
story: wrong
starts: 2026-04-01
sellers:
  us: {name: Harbor Cloud Inc., country: US, tax: per_line, invoice_prefix: X-}
customers:
  acme: {name: Acme, seller: them, country: US, jurisdiction: US-WA, currency: usd}
contracts:
  ACME-1:
    customer: acme
    timing: later
    starts: 2026-04-31
"""
DOCUMENTED = {
    "stories", "ok", "checked", "differences", "invoices", "psa", "payments", "seats", "holds",
    "dead_letters", "refused", "usage_files", "audit", "latencies", "seconds",
}  # fmt: skip
AMOUNTS = {
    "net", "tax", "total", "net_exact", "cost", "unit_price", "unit_cost", "amount", "quantity",
    "extended", "tax_rate", "base",
}  # fmt: skip


def test_a_file_that_is_no_story_is_refused_with_line_and_column(tmp_path: Path) -> None:
    """Every mistake at once, before anything is asked of a stack; exit code 64."""
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)

    result = play(path)

    assert result.returncode == 64
    assert f"{path}:6:" in result.stderr  # the currency in small letters
    assert f"{path}:10:" in result.stderr  # neither advance nor arrears
    assert f"{path}:11:" in result.stderr  # no such day
    assert "Traceback" not in result.stdout + result.stderr


def test_a_name_that_leads_nowhere_is_refused_by_its_name(tmp_path: Path) -> None:
    """A customer of an unknown seller."""
    path = tmp_path / "nowhere.yaml"
    text = WRONG.replace("usd", "USD").replace("later", "advance").replace("04-31", "04-30")
    path.write_text(text)

    result = play(path)

    assert result.returncode == 64
    assert "there is no seller them" in result.stderr


async def test_the_report_has_the_documented_keys_and_amounts_as_text(
    stage: Theatre, tmp_path: Path
) -> None:
    """Nothing is rounded on its way through JSON."""
    path = tmp_path / "report.json"
    played = await stage.played("birch-logistics")

    show(Console(file=io.StringIO(), width=200), played, path)

    report = json.loads(path.read_text(), parse_float=refuse_float)
    assert set(report) == DOCUMENTED
    assert report["ok"] is True
    assert report["invoices"][0]["total"] == "292.99"
    found = list(amounts(report))
    assert found
    assert [pair for pair in found if not isinstance(pair[1], str | None)] == []


def play(path: Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "stack", "play", str(path))
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def amounts(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value under a key that means an amount."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from amounts(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from amounts(inner, name)
    elif name in AMOUNTS:
        yield name, value


def refuse_float(text: str) -> None:
    raise AssertionError(f"a number with a fraction: {text}")
