"""What Stripe's answers mean for the attempt, whichever way a request ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from payments.clients.gateway import NoAnswer, NotSent, Unclear
from payments.clients.stripe import VERSION, Stripe, charge_form, money_of, stripe_amount
from payments.domain.attempt import Attempt, Decline, Report, State
from shared.kernel.errors import Invalid
from shared.kernel.money import Money
from shared.runtime.http import HttpClient

TOTAL = Money(Decimal("1430.77"), "USD")
ATTEMPT = Attempt(
    attempt_id="a-1",
    invoice_id="inv-1",
    invoice_number="T-2026/1 & Söhne",
    account_id="acc-1",
    amount=TOTAL,
    provider="stripe",
    provider_customer_id="cus_1",
    provider_method_id="pm_1",
    state=State.IN_FLIGHT,
    sent_at=datetime(2026, 5, 1, tzinfo=UTC),
)


def intent(status: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "amount": 143077,
        "currency": "usd",
        "metadata": {"attempt_id": "a-1"},
        "last_payment_error": None,
        "a_field_of_tomorrow": {"deep": [1.5]},
    } | changes


def failure(type: str, code: str | None, **changes: Any) -> dict[str, Any]:
    return {"error": {"type": type, "code": code, "message": "no", **changes}}


Answer = httpx.Response | Exception


def stripe(*answers: Answer) -> tuple[Stripe, list[httpx.Request]]:
    """A client whose requests are answered in order."""
    requests: list[httpx.Request] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    http = HttpClient("https://stripe.test", name="stripe", transport=httpx.MockTransport(answer))
    return Stripe(http), requests


def replied(status: int, body: Any) -> httpx.Response:
    return httpx.Response(status, content=json.dumps(body))


def report(state: State, status: str | None, decline: Decline | None = None) -> Report:
    return Report("pi_1", state, TOTAL, "a-1", status, decline)


async def test_a_charge_is_one_confirmed_off_session_intent() -> None:
    """Every parameter of the request, and the key that makes a repeat harmless."""
    client, requests = stripe(replied(200, intent("succeeded")), replied(200, intent("succeeded")))

    await client.charge(ATTEMPT)
    await client.charge(ATTEMPT)

    first, second = requests
    assert parse_qs(first.content.decode(), strict_parsing=True) == {
        "amount": ["143077"],
        "currency": ["usd"],
        "customer": ["cus_1"],
        "payment_method": ["pm_1"],
        "confirm": ["true"],
        "off_session": ["true"],
        "error_on_requires_action": ["true"],
        "description": ["Invoice T-2026/1 & Söhne"],
        "metadata[attempt_id]": ["a-1"],
        "metadata[invoice_id]": ["inv-1"],
        "metadata[invoice_number]": ["T-2026/1 & Söhne"],
    }
    assert first.headers["idempotency-key"] == "pay_a-1"
    assert first.content == second.content
    assert first.url.path == "/v1/payment_intents"


DECLINED = Decline("insufficient_funds", "soft_funds")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (replied(200, intent("succeeded")), report(State.SUCCEEDED, "succeeded")),
        (replied(200, intent("processing")), report(State.PENDING, "processing")),
        (replied(200, intent("requires_action")), report(State.REQUIRES_ACTION, "requires_action")),
        (replied(200, intent("of_tomorrow")), report(State.PENDING, "of_tomorrow")),
        (
            replied(200, intent("requires_payment_method")),
            replace(report(State.PENDING, "requires_payment_method"), stalled=True),
        ),
        (
            replied(200, intent("requires_confirmation")),
            replace(report(State.PENDING, "requires_confirmation"), stalled=True),
        ),
        (
            replied(200, intent("canceled")),
            report(State.FAILED, "canceled", Decline("canceled", "config")),
        ),
        (
            replied(
                402,
                failure(
                    "card_error",
                    "card_declined",
                    decline_code="insufficient_funds",
                    payment_intent=intent("requires_payment_method"),
                ),
            ),
            report(State.FAILED, "requires_payment_method", DECLINED),
        ),
        (
            replied(402, failure("card_error", "card_declined", decline_code="insufficient_funds")),
            Report(None, State.FAILED, None, None, None, DECLINED),
        ),
        (
            replied(
                402,
                failure(
                    "card_error",
                    "authentication_required",
                    payment_intent=intent("requires_payment_method"),
                ),
            ),
            report(
                State.FAILED,
                "requires_payment_method",
                Decline("authentication_required", "needs_auth"),
            ),
        ),
        (
            replied(400, failure("invalid_request_error", "amount_too_small")),
            Report(None, State.FAILED, None, None, None, Decline("amount_too_small", "config")),
        ),
        (
            replied(404, failure("invalid_request_error", "resource_missing")),
            Report(None, State.FAILED, None, None, None, Decline("resource_missing", "config")),
        ),
    ],
)
async def test_an_answer_that_settles_the_matter(answer: httpx.Response, expected: Report) -> None:
    """Each status and each decline, in our words."""
    client, _ = stripe(answer)

    assert expected == await client.charge(ATTEMPT)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ReadTimeout("late"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("closed"),
        httpx.WriteError("half sent"),
        replied(500, failure("api_error", None)),
        replied(500, failure("api_error", None, payment_intent=intent("succeeded"))),
        httpx.Response(502, text="<html>Bad Gateway</html>"),
        httpx.Response(200, text="<html>a proxy</html>"),
        replied(200, {"id": "pi_1"}),
        httpx.Response(302, headers={"location": "https://elsewhere.test"}),
        replied(409, failure("invalid_request_error", "idempotency_key_in_use")),
        replied(409, failure("invalid_request_error", "lock_timeout")),
        replied(400, failure("idempotency_error", None)),
        httpx.Response(402, text=""),
        replied(404, {"message": "no such route"}),
    ],
    ids=lambda a: repr(a)[:40],
)
async def test_an_ending_that_settles_nothing_is_unclear(answer: Answer) -> None:
    """A wrong "it failed" would charge twice, so whatever is not sure is not decided."""
    client, requests = stripe(answer)

    assert isinstance(await client.charge(ATTEMPT), Unclear)
    assert len(requests) == 1, "the client never repeats a charge on its own"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (httpx.ConnectError("refused"), None),
        (httpx.ConnectTimeout("no route"), None),
        (replied(429, failure("invalid_request_error", "rate_limit")), None),
        (replied(401, failure("invalid_request_error", None)), "provider_refuses_credentials"),
        (replied(403, failure("invalid_request_error", None)), "provider_refuses_credentials"),
    ],
)
async def test_what_was_not_taken_may_be_sent_again(answer: Answer, problem: str | None) -> None:
    """Nothing happened at the provider; wrong credentials are a person's to mend."""
    client, _ = stripe(answer)

    ending = await client.charge(ATTEMPT)

    assert isinstance(ending, NotSent)
    assert problem == ending.problem


@pytest.mark.parametrize(
    ("money", "expected"),
    [
        (Money(Decimal("1430.77"), "USD"), 143077),
        (Money(Decimal("124589"), "JPY"), 124589),
        (Money(Decimal("5.120"), "KWD"), 5120),
        (Money(Decimal("5"), "ISK"), 500),
        (Money(Decimal("12.00"), "MGA"), 12),
    ],
)
def test_amounts_are_counted_as_stripe_counts_them(money: Money, expected: int) -> None:
    """Zero, two and three decimals, and the currencies Stripe counts in a way of its own."""
    assert expected == stripe_amount(money)
    assert money == money_of(expected, money.currency.lower())


@pytest.mark.parametrize(
    ("money", "code"),
    [
        (Money(Decimal("5.124"), "KWD"), "amount_not_representable"),
        (Money(Decimal("12.50"), "MGA"), "amount_not_representable"),
        (Money(Decimal("1.005"), "USD"), "amount_not_representable"),
        (Money(Decimal("5000"), "UGX"), "currency_not_chargeable"),
    ],
)
async def test_an_amount_that_stripe_cannot_express_is_not_sent(money: Money, code: str) -> None:
    """Rounding it would collect another sum than the invoice says."""
    client, requests = stripe()
    attempt = replace(ATTEMPT, amount=money)

    with pytest.raises(Invalid) as refused:
        charge_form(attempt)
    ending = await client.charge(attempt)

    assert code == refused.value.code
    assert isinstance(ending, Report)
    assert (State.FAILED, Decline(code, "config")) == (ending.state, ending.decline)
    assert requests == []


async def test_a_payment_is_read_as_it_stands() -> None:
    """With the reason of its last failure, if it has one."""
    failed = intent(
        "requires_payment_method",
        last_payment_error={"type": "card_error", "code": "expired_card", "decline_code": None},
    )
    client, _ = stripe(replied(200, failed), replied(404, failure("invalid_request_error", None)))

    assert report(
        State.FAILED, "requires_payment_method", Decline("expired_card", "needs_update")
    ) == await client.read("pi_1")
    assert await client.read("pi_2") is None


async def test_a_stalled_payment_is_cancelled() -> None:
    """Under a key of its own; ours is told from a cancellation by somebody else."""
    client, requests = stripe(replied(200, intent("canceled", cancellation_reason="abandoned")))

    ending = await client.abandon(ATTEMPT, "pi_1")

    assert report(State.FAILED, "canceled", Decline("canceled", "transient")) == ending
    assert requests[0].url.path == "/v1/payment_intents/pi_1/cancel"
    assert requests[0].headers["idempotency-key"] == "cancel_a-1"


async def test_a_payment_that_woke_up_is_not_cancelled() -> None:
    """The provider refuses, and what it says of the payment then is the truth."""
    client, _ = stripe(
        replied(400, failure("invalid_request_error", "payment_intent_unexpected_state")),
        replied(200, intent("succeeded")),
    )

    assert report(State.SUCCEEDED, "succeeded") == await client.abandon(ATTEMPT, "pi_1")


@pytest.mark.parametrize("broken", [httpx.ReadTimeout("late"), httpx.ConnectError("refused")])
async def test_a_cancellation_without_an_answer_proves_nothing(broken: Exception) -> None:
    """It is looked at again later."""
    client, _ = stripe(broken)

    with pytest.raises(NoAnswer):
        await client.abandon(ATTEMPT, "pi_1")


async def test_a_search_goes_through_every_page() -> None:
    """By customer and time, page after page, until the payment with our metadata turns up."""
    others = [intent("succeeded", id=f"pi_x{n}", metadata={}) for n in range(2)]
    client, requests = stripe(
        replied(200, {"object": "list", "data": others, "has_more": True}),
        replied(200, {"object": "list", "data": [intent("processing")], "has_more": False}),
    )

    found = await client.search(ATTEMPT)

    assert report(State.PENDING, "processing") == found
    assert [r.url.params["customer"] for r in requests] == ["cus_1", "cus_1"]
    assert requests[1].url.params["starting_after"] == "pi_x1"
    assert (
        str(int(datetime(2026, 4, 30, tzinfo=UTC).timestamp()))
        == (requests[0].url.params["created[gte]"])
    )


async def test_a_complete_search_may_find_nothing() -> None:
    """Nothing found is an answer; a search that broke off is none."""
    client, _ = stripe(replied(200, {"object": "list", "data": [], "has_more": False}))

    assert await client.search(ATTEMPT) is None


@pytest.mark.parametrize(
    "call",
    [lambda c: c.read("pi_1"), lambda c: c.search(ATTEMPT)],
    ids=["read", "search"],
)
async def test_a_read_that_fails_proves_nothing(call: Callable[[Stripe], Any]) -> None:
    """Neither a refusal nor an unreadable answer says that there is no payment."""
    for answer in (replied(401, {}), replied(200, {"data": "?"}), httpx.Response(400, text="?")):
        client, _ = stripe(answer)

        with pytest.raises(NoAnswer):
            await call(client)


def test_the_api_version_is_pinned() -> None:
    """Parameters were renamed between versions; moving on is a decision."""
    assert VERSION == "2026-10-28.endive"
