"""What `tieout psa preflight` prints."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from stack.psa import preflight


def told(*levels: str) -> list[str]:
    text = StringIO()
    findings = [
        {"level": one, "code": f"code_{one}", "object": "x", "detail": "seen", "advice": "do this"}
        for one in levels
    ]
    preflight.tell(Console(width=200, file=text), {"level": levels[0], "findings": findings})
    return text.getvalue().splitlines()


def test_what_stops_a_push_comes_first_with_advice() -> None:
    """Whatever order the checks ran in."""
    lines = told("ok", "blocks", "warning")
    rows = [line for line in lines if "code_" in line]
    assert ["STOP" in rows[0], "look" in rows[1], "ok" in rows[2]] == [True, True, True]
    assert "do this" in rows[0]
    assert lines[-1] == "1 of 3 checks would stop a push."


def test_a_clean_report_says_so() -> None:
    """Warnings stop nothing."""
    assert told("ok", "warning")[-1] == "Nothing stops a push."
