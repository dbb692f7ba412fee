"""The report of a play as JSON: every figure as a decimal string, in the words of the story.

Shape (docs/stories.md): stories, ok, checked, differences, invoices (with all line figures), psa,
payments, seats, holds, dead_letters, refused, usage_files, audit, latencies, seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stack.player.collecting import Findings, Row
from stack.player.comparing import Difference
from stack.player.names import Names

_LINE = (
    "number", "kind", "product_key", "product_name", "description", "subscription_id", "quantity",
    "unit_price", "net", "net_exact", "tax", "tax_rate", "cost", "cost_currency",
    "service_period", "recurring", "corrects", "charge_id", "item_id",
)  # fmt: skip
_INVOICE = (
    "story", "contract", "number", "invoice_id", "kind", "state", "currency", "invoice_date",
    "due_on", "net", "tax", "total", "taxes", "payments",
)  # fmt: skip


def report_of(
    plays: Sequence[Names],
    findings: Findings,
    *,
    checked: int,
    differences: Sequence[Difference],
    latencies: dict[str, Row],
) -> dict[str, Any]:
    """Everything a play found, ready for `json.dumps`."""
    return {
        "stories": [
            {"story": n.story.story, "title": n.story.title, "play": n.play} for n in plays
        ],
        "ok": not differences,
        "checked": checked,
        "differences": [
            {"where": d.where, "expected": d.expected, "found": d.found} for d in differences
        ],
        "invoices": [_invoice(invoice) for invoice in findings.invoices],
        "psa": findings.psa,
        "payments": findings.payments,
        "seats": findings.seats,
        "holds": findings.holds,
        "dead_letters": findings.dead_letters,
        "refused": [
            {"story": o.story, "event": o.event, "answer": o.answer}
            for o in findings.outcomes
            if o.refused
        ],
        "usage_files": findings.usage_files,
        "audit": findings.audit,
        "latencies": latencies,
        "seconds": f"{findings.seconds:.1f}",
    }


def _invoice(invoice: Row) -> Row:
    lines = [{name: line.get(name) for name in _LINE} for line in invoice["lines"]]
    return {**{name: invoice.get(name) for name in _INVOICE}, "lines": lines}
