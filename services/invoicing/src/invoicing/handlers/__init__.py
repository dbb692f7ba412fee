"""What invoicing does with facts; HTTP routes and jobs call the same functions."""

from __future__ import annotations

from invoicing.handlers import invoices, runs
from shared.contracts.payments import PaymentSucceeded
from shared.contracts.rating import ChargeRated, CycleRated, FxRateEntered
from shared.contracts.tax import TaxDetermined, TaxHeld
from shared.runtime.handlers import Handlers

HANDLERS: Handlers = {
    ChargeRated: runs.on_charge_rated,
    CycleRated: runs.on_cycle_rated,
    FxRateEntered: runs.on_fx_rate_entered,
    TaxDetermined: invoices.on_tax_determined,
    TaxHeld: invoices.on_tax_held,
    PaymentSucceeded: invoices.on_payment_succeeded,
}
