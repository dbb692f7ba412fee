"""What payments does with a final invoice; the rest is called by HTTP routes and jobs."""

from __future__ import annotations

from payments.handlers.charges import on_invoice_finalised
from shared.contracts.invoicing import InvoiceFinalised
from shared.runtime.handlers import Handlers

HANDLERS: Handlers = {InvoiceFinalised: on_invoice_finalised}
