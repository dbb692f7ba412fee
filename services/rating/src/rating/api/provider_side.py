"""The route that tells what the provider should bill for a subscription of ours."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from rating.api.paging import Named
from rating.domain.provider_lines import Rounding
from rating.handlers import expecting
from shared.runtime.postgres import Database
from shared.runtime.web import Reads

Through = Annotated[date, Query(ge=date(2000, 1, 1), le=date(2100, 1, 1))]
Mode = Annotated[
    Literal["provider-rounding/v1", "unit", "line", "month_fraction", "half_up"],
    Query(description="which amount is shown; the versioned default goes by charge type"),
]
InCurrency = Annotated[str | None, Query(pattern=r"^[A-Z]{3}$")]


def router(database: Database) -> APIRouter:
    routes = APIRouter()

    @routes.get(
        "/subscriptions/{subscription_id}/expected-provider-lines",
        operation_id="subscriptions.expected_provider_lines",
    )
    async def expected_provider_lines(
        subscription_id: Named,
        through: Through,
        caller: Reads,
        rounding: Mode = "provider-rounding/v1",
        currency: InCurrency = None,
    ) -> dict[str, Any]:
        """The lines of the provider's reconciliation file that this subscription should have until
        a day, at the cost prices of the price book, each with the changes that caused it."""
        mode = None if "/" in rounding else Rounding(rounding)
        async with database.read() as reader:
            return await expecting.expected_provider_lines(
                reader, subscription_id, through=through, rounding=mode, currency=currency
            )

    return routes
