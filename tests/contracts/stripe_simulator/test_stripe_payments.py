"""Payment intents of the simulated Stripe: outcomes steered by tokens, declines, settling."""

from __future__ import annotations

from typing import Any

import pytest


async def test_stored_card_is_charged_off_session(client: Any) -> None:
    """Succeeded at once, with a charge and the fee booked."""
    answer = await client.pay()

    intent = answer.json()
    charge = await client.ok("GET", f"/charges/{intent['latest_charge']}")
    booked = await client.ok("GET", f"/balance_transactions/{charge['balance_transaction']}")
    assert (answer.status_code, intent["status"], intent["amount_received"]) == (
        200,
        "succeeded",
        143_077,
    )
    assert intent["metadata"] == {"attempt_id": "a-1"}
    assert (charge["paid"], booked["fee"], booked["net"]) == (True, 4_179, 138_898)
    assert await client.violations() == []


@pytest.mark.parametrize(
    ("token", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "card_declined",
            "insufficient_funds",
        ),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
        (
            "pm_card_authenticationRequired",
            "authentication_required",
            "authentication_required",
        ),
    ],
)
async def test_decline_is_a_402_with_the_intent_inside(
    client: Any, token: str, code: str, decline_code: str
) -> None:
    """The token's name says what the issuer answers."""
    answer = await client.pay(payment_method=token)

    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (402, "card_error")
    assert (error["code"], error["decline_code"]) == (code, decline_code)
    intent = error["payment_intent"]
    assert (intent["status"], intent["last_payment_error"]["decline_code"]) == (
        "requires_payment_method",
        decline_code,
    )


async def test_outcomes_of_a_method_can_be_scripted(client: Any) -> None:
    """Two declines, then success; the last outcome stays."""
    script = {"outcomes": ["decline:insufficient_funds", "decline:lost_card", "succeed"]}
    await client.control("PATCH", "/payment-methods/pm_alder", script)

    answers = [await client.pay() for _ in range(4)]

    assert [a.status_code for a in answers] == [402, 402, 200, 200]
    advice = [a.json()["error"]["advice_code"] for a in answers[:2]]
    assert advice == ["try_again_later", "do_not_try_again"]


async def test_declined_intent_succeeds_when_confirmed_with_another_method(client: Any) -> None:
    """failed → succeeded on the same intent is legal."""
    intent = (await client.pay(payment_method="pm_poor")).json()["error"]["payment_intent"]

    after = await client.ok(
        "POST", f"/payment_intents/{intent['id']}/confirm", payment_method="pm_alder"
    )

    assert (after["status"], after["last_payment_error"]) == ("succeeded", None)


async def test_customer_present_may_authenticate(client: Any) -> None:
    """On session the intent waits for the customer instead of failing."""
    answer = await client.pay(
        payment_method="pm_card_authenticationRequired",
        off_session=None,
        error_on_requires_action=None,
    )

    assert answer.json()["status"] == "requires_action"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("succeed", "succeeded"), ("decline:insufficient_funds", "requires_payment_method")],
)
async def test_bank_debit_is_processing_until_the_bank_speaks(
    client: Any, outcome: str, status: str
) -> None:
    """Days later by control; the charge follows."""
    intent = (await client.pay(payment_method="pm_sepa", currency="eur")).json()

    await client.control("POST", f"/payment-intents/{intent['id']}/settle", {"outcome": outcome})

    after = await client.ok("GET", f"/payment_intents/{intent['id']}")
    assert (intent["status"], after["status"]) == ("processing", status)


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        pytest.param({"amount": None}, "parameter_missing", "amount", id="no amount"),
        pytest.param({"amount": "14.30"}, "parameter_invalid_integer", "amount", id="major units"),
        pytest.param({"amount": "49"}, "amount_too_small", "amount", id="below the minimum"),
        pytest.param({"currency": "dollars"}, None, "currency", id="no currency"),
        pytest.param(
            {"payment_method_types[]": "card"},
            "parameter_unknown",
            "payment_method_types",
            id="the parameter of older versions",
        ),
        pytest.param({"customer": "cus_x"}, "resource_missing", "customer", id="no customer"),
        pytest.param(
            {"payment_method": "pm_x"}, "resource_missing", "payment_method", id="no method"
        ),
        pytest.param(
            {"payment_method": "pm_birch"},
            "payment_method_unexpected_state",
            "payment_method",
            id="a stranger's method",
        ),
        pytest.param({"confirm": None}, None, None, id="off session without confirm"),
        pytest.param({"confirm": "yes"}, None, "confirm", id="not a boolean"),
        pytest.param(
            {"payment_method": "pm_sepa"},
            "payment_method_currency_mismatch",
            None,
            id="SEPA in USD",
        ),
        pytest.param(
            {"allowed_payment_method_types[]": "sepa_debit"},
            "payment_intent_incompatible_payment_method",
            None,
            id="type not allowed",
        ),
        pytest.param({"metadata[x]": "y" * 501}, None, "metadata", id="metadata too long"),
    ],
)
async def test_invalid_request_is_refused(
    client: Any, changes: dict[str, Any], code: str | None, param: str | None
) -> None:
    """400 invalid_request_error; no intent comes into being."""
    answer = await client.pay(**changes)

    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error.get("code"), error.get("param")) == (code, param)
    listed = await client.ok("GET", "/payment_intents")
    assert listed["data"] == []


async def test_intents_are_listed_and_searched(client: Any) -> None:
    """By customer, newest first, in pages; by metadata."""
    ids = [(await client.pay(**{"metadata[attempt_id]": f"a-{n}"})).json()["id"] for n in range(3)]

    first = await client.ok("GET", "/payment_intents", customer="cus_alder", limit=2)
    rest = await client.ok("GET", "/payment_intents", limit=2, starting_after=ids[1])
    found = await client.ok("GET", "/payment_intents/search", query='metadata["attempt_id"]:"a-1"')
    other = await client.ok("GET", "/payment_intents", customer="cus_birch")

    assert ([i["id"] for i in first["data"]], first["has_more"]) == ([ids[2], ids[1]], True)
    assert ([i["id"] for i in rest["data"]], rest["has_more"]) == ([ids[0]], False)
    assert [i["id"] for i in found["data"]] == [ids[1]]
    assert other["data"] == []


async def test_created_window_filters(client: Any) -> None:
    """`created[gte]` in seconds of business time."""
    await client.pay()

    inside = await client.ok("GET", "/payment_intents", **{"created[gte]": 1_777_626_000})
    outside = await client.ok("GET", "/payment_intents", **{"created[gt]": 1_777_626_000})

    assert (len(inside["data"]), len(outside["data"])) == (1, 0)


async def test_open_intent_is_canceled_and_a_finished_one_is_not(client: Any) -> None:
    """400 payment_intent_unexpected_state on the second."""
    open_one = await client.ok("POST", "/payment_intents", amount=1_000, currency="usd")
    done = (await client.pay()).json()

    canceled = await client.ok("POST", f"/payment_intents/{open_one['id']}/cancel")
    refused = await client.api("POST", f"/payment_intents/{done['id']}/cancel")

    assert canceled["status"] == "canceled"
    assert refused.json()["error"]["code"] == "payment_intent_unexpected_state"


async def test_refund_is_bounded_by_what_was_captured(client: Any) -> None:
    """Part of it, then no more than the rest."""
    intent = (await client.pay()).json()

    part = await client.ok("POST", "/refunds", payment_intent=intent["id"], amount=100_000)
    too_much = await client.api("POST", "/refunds", payment_intent=intent["id"], amount=43_078)

    assert (part["status"], too_much.status_code) == ("succeeded", 400)


async def test_unknown_object_is_missing(client: Any) -> None:
    """404 resource_missing."""
    answer = await client.api("GET", "/payment_intents/pi_x")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_missing")
