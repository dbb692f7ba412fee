"""What the provider should bill, by the API, from facts that came over the bus."""

from __future__ import annotations

import pytest

from shared.contracts.ingest import ChangeKind
from support.in_process import InProcess
from support.rating_facts import PREMIUM, change, contract, day, sheet
from support.rating_service import tell

TERMS = {"term_start": day("2026-06-01"), "term_end": day("2027-06-01")}
BOUGHT = change(
    "bought", (0, 25), "2026-06-01T09:00:00", kind=ChangeKind.PURCHASED, product=PREMIUM, **TERMS
)
MORE = change("more", (25, 32), "2026-06-13T09:00:00", version=2, product=PREMIUM, **TERMS)
PATH = "/v1/subscriptions/A/expected-provider-lines"


async def test_lines_of_a_subscription_with_their_causes(rating: InProcess) -> None:
    """Cost prices of the price book; the rounding can be named."""
    await tell(rating, [sheet([(PREMIUM, "18.04", "22.00")]), contract(), BOUGHT, MORE])

    told = await rating.ok("GET", f"{PATH}?through=2026-07-31")
    by_unit = await rating.ok("GET", f"{PATH}?through=2026-07-31&rounding=unit")

    assert [(x["charge_type"], x["amount"], x["source_change_ids"]) for x in told["lines"]] == [
        ("new", "451.00", ["bought"]),
        ("addQuantity", "-270.60", ["more"]),
        ("addQuantity", "346.36", ["more"]),
        ("cycleCharge", "577.28", ["more"]),
    ]
    assert (told["rounding"], told["seats"]) == ("provider-rounding/v1", 32)
    assert told["by_invoice_month"] == {"2026-06": "526.76", "2026-07": "577.28"}
    assert by_unit["lines"][2]["amount"] == "346.24"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/subscriptions/B/expected-provider-lines?through=2026-07-31", 404,
         "subscription_unknown"),
        (f"{PATH}?through=2026-07-31&currency=NOK", 409, "no_price_in_currency"),
        (f"{PATH}?through=2026-07-31&rounding=up", 422, "request_invalid"),
        (f"{PATH}?through=soon", 422, "request_invalid"),
    ],
)  # fmt: skip
async def test_what_cannot_be_answered_says_why(
    rating: InProcess, path: str, status: int, code: str
) -> None:
    """Stable codes, and no line that was invented."""
    await tell(rating, [sheet([(PREMIUM, "18.04", "22.00")]), contract(), BOUGHT])

    answer = await rating.http.request("GET", path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
