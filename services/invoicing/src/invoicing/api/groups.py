"""What a group of accounts was invoiced, in one currency."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from invoicing.api.fields import Day, KeyPath
from invoicing.domain.consolidate import converted, pinned
from invoicing.store import fx_rates, invoices, parties
from shared.contracts.envelope import Currency, Exact
from shared.kernel.periods import Period
from shared.runtime.postgres import Database
from shared.runtime.web import Reads


class GroupInvoice(BaseModel):
    """One invoice: its net as invoiced, and converted by the rate pinned for its date."""

    number: str
    account_id: str
    selling_entity_id: str
    invoice_date: date
    currency: str
    net: Exact
    fx_rate: Exact
    fx_on: date | None
    fx_source: str | None
    net_converted: Exact


class GroupReport(BaseModel):
    """`net` is the sum of the rounded lines; it is never rounded again."""

    account_id: str
    currency: str
    start: date
    end: date
    invoices: list[GroupInvoice]
    net: Exact


def router(database: Database) -> APIRouter:
    """Routes under /v1."""
    routes = APIRouter(prefix="/v1", tags=["groups"])

    @routes.get("/accounts/{account_id}/group-report", operation_id="accounts.group-report")
    async def group_report(
        account_id: KeyPath,
        caller: Reads,
        start: Annotated[Day, Query(description="first invoice date")],
        end: Annotated[Day, Query(description="the day after the last")],
        currency: Annotated[Currency, Query()],
    ) -> GroupReport:
        """Net of every invoice of the account and of the accounts below it. A missing rate is said
        (`no_fx_rate`), never guessed."""
        within = Period(start, end)
        async with database.read() as reader:
            await parties.get_account(reader, account_id)
            found = await invoices.of_group(reader, account_id, within.start, within.end)
            rates = await fx_rates.into(reader, currency)
        rows = []
        for invoice in found:
            rate = pinned(rates, invoice.currency, currency, on=invoice.invoice_date)
            rows.append(
                GroupInvoice(
                    number=invoice.number or "",
                    account_id=invoice.account_id,
                    selling_entity_id=invoice.selling_entity_id,
                    invoice_date=invoice.invoice_date,
                    currency=invoice.currency,
                    net=invoice.net,
                    fx_rate=rate.rate if rate else Decimal(1),
                    fx_on=rate.on if rate else None,
                    fx_source=rate.source if rate else None,
                    net_converted=converted(invoice.net, rate, currency)[1],
                )
            )
        net = sum((row.net_converted for row in rows), Decimal(0))
        return GroupReport(
            account_id=account_id,
            currency=currency,
            start=start,
            end=end,
            invoices=rows,
            net=net,
        )

    return routes
