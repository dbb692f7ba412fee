"""How an invoice line is named and described in a PSA: for people, without keys or secrets."""

from __future__ import annotations

from shared.contracts.invoicing import InvoiceFinalised, InvoiceLine


def line_id(invoice: InvoiceFinalised, line: InvoiceLine) -> str:
    """The source id of what one line causes: `<invoice number>/<line>`."""
    return f"{invoice.number}/{line.number}"


def service_days(line: InvoiceLine) -> str:
    """The service period as people print it, first and last day."""
    period = line.service_period.period()
    return f"{period.start} to {period.last_day}"
