"""A consolidated invoice reaches a PSA contract by contract, in each contract's currency."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from psa_connector.domain.planner import by_contract
from shared.contracts.invoicing import InvoiceFinalised, SiteAmount, TaxTotal
from support.psa_facts import invoice, line


def site(contract_id: str, currency: str, net: str, rate: str = "1") -> SiteAmount:
    return SiteAmount(
        contract_id=contract_id,
        account_id=contract_id,
        account_name=contract_id,
        tax_jurisdiction="FR",
        currency=currency,
        net=Decimal(net),
        unit_price=None,
        fx_rate=Decimal(rate),
        fx_on=date(2026, 10, 1),
        fx_source="ECB",
    )


def consolidated() -> InvoiceFinalised:
    vat = TaxTotal(name="VAT", rate=Decimal("0.2"), taxable=Decimal("418.67"), tax=Decimal("83.73"))
    return invoice(
        "HEU-1",
        "2026-10-01",
        line(1, "418.67", site=site("LYON", "EUR", "418.67")),
        line(2, "561.05", site=site("GENEVA", "CHF", "527.20", "1.0642")),
        contract_id="GENEVA",
        currency="EUR",
        taxes=(vat,),
        tax=Decimal("83.73"),
    )


def test_each_contract_gets_its_lines_in_its_currency() -> None:
    """Numbers stay the invoice's; taxes go with the contract in the invoice's currency."""
    parts = [part for part in by_contract(consolidated()) if isinstance(part, InvoiceFinalised)]
    told = [(p.contract_id, p.currency, p.net, p.tax, [x.number for x in p.lines]) for p in parts]
    assert told == [
        ("LYON", "EUR", Decimal("418.67"), Decimal("83.73"), [1]),
        ("GENEVA", "CHF", Decimal("527.20"), Decimal(0), [2]),
    ]
    assert len({part.invoice_id for part in parts}) == 2


def test_any_other_invoice_stays_whole() -> None:
    """Without sites there is one part, the invoice itself."""
    plain = invoice("ALD-1", "2026-05-01", line(1, "10.00"))
    assert by_contract(plain) == [plain]
