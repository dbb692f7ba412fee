"""Getting in: keys, the pinned version, encoding, and card data that must never come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulators.card_numbers import contains_card_number, without_card_numbers
from simulators.exact_json import dumps, loads
from simulators.stripe.contract import StripeContract
from simulators.stripe.forms import FormError, decoded

SAMPLES = Path(__file__).parents[1] / "vendors" / "samples" / "stripe"
TEST_NUMBER = "4242424242424242"  # the vendor's documented test number


@pytest.mark.parametrize(
    "headers",
    [{"authorization": "Bearer pk_test_x"}, {"authorization": "Basic x"}, {"authorization": ""}],
)
async def test_only_a_secret_key_opens(client: Any, headers: dict[str, str]) -> None:
    """401 for anything else."""
    assert (await client.api("GET", "/events", headers=headers)).status_code == 401


async def test_other_api_version_is_refused(client: Any) -> None:
    """One version is pinned."""
    headers = {"stripe-version": "2019-01-01"}

    answer = await client.api("GET", "/events", headers=headers)

    assert answer.status_code == 400
    assert "Invalid Stripe API version" in answer.json()["error"]["message"]


async def test_forgotten_version_works_but_is_recorded(client: Any) -> None:
    """The account's default answers; our contract remembers."""
    url = "/stripe/v1/events"

    answer = await client.http.get(url, headers={"authorization": "Bearer sk_test_x"})

    assert answer.headers["stripe-version"] == "2026-10-28.endive"
    assert "not pinned" in (await client.violations())[0]


async def test_json_body_is_refused(client: Any) -> None:
    """Requests are form-encoded."""
    headers = {"authorization": "Bearer sk_test_x", "stripe-version": "2026-10-28.endive"}

    answer = await client.http.post("/stripe/v1/customers", json={"name": "x"}, headers=headers)

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"description": f"card {TEST_NUMBER}"}, id="in a text"),
        pytest.param({"metadata[note]": "4242 4242 4242 4242"}, id="with blanks"),
        pytest.param({"payment_method_options[card][number]": "x"}, id="a field of that name"),
        pytest.param({"payment_method_options[card][cvc]": "123"}, id="a security code"),
    ],
)
async def test_card_data_is_refused_and_kept_nowhere(client: Any, changes: dict[str, str]) -> None:
    """Refused, recorded as our violation, and the number is in no journal."""
    answer = await client.pay(**changes)

    journal = dumps(await client.control("GET", "/journal")).decode()
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert any("card" in v for v in await client.violations())
    assert TEST_NUMBER not in journal
    assert not contains_card_number(journal)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEST_NUMBER, True),
        ("4242-4242-4242-4242", True),
        ("378282246310005", True),
        ("4242424242424241", False),
        ("1777626000000", False),
        ("a4242424242424242", False),
        ("01957a3c-4242-4242-8242-424242424242", False),
    ],
)
def test_card_numbers_are_told_from_other_digits(text: str, expected: bool) -> None:
    """Luhn, length and the networks' first digits; never inside an identifier."""
    assert contains_card_number(f"x {text} y") is expected


def test_card_number_is_masked() -> None:
    """The rest of the text stays."""
    assert without_card_numbers(f"paid by {TEST_NUMBER}.") == "paid by [card number]."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("m[x]=1&m[y]=2", {"m": {"x": "1", "y": "2"}}),
        ("e[]=a&e[]=b", {"e": ["a", "b"]}),
        ("e[0]=a&e[1]=b", {"e": ["a", "b"]}),
        ("a[b][c]=1", {"a": {"b": {"c": "1"}}}),
    ],
)
def test_form_encoding(text: str, expected: dict[str, Any]) -> None:
    """Maps, lists both ways, depth."""
    assert decoded(text) == expected


@pytest.mark.parametrize("text", ["a=1&a=2", "a=1&a[b]=2", "[a]=1", "a[b=1"])
def test_contradictory_form_is_refused(text: str) -> None:
    """Values sent twice, values that are also objects, broken brackets."""
    with pytest.raises(FormError):
        decoded(text)


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("balance_transaction", "BalanceTransaction"),
        ("charge", "Charge"),
        ("customer", "Customer"),
        ("dispute", "Dispute"),
        ("event", "Event"),
        ("mandate", "Mandate"),
        ("payment_intent", "PaymentIntent"),
        ("payment_method", "PaymentMethod"),
        ("payout", "Payout"),
        ("refund", "Refund"),
        ("setup_intent", "SetupIntent"),
        ("webhook_endpoint", "WebhookEndpoint"),
    ],
)
def test_recorded_object_fits_its_schema(name: str, schema: str) -> None:
    """The vendor's own fixtures, except enum values newer than our document."""
    sample = loads((SAMPLES / f"{name}.json").read_bytes())

    problems = StripeContract().sample_problems(schema, sample)

    assert [str(p) for p in problems if p.kind != "enum"] == []


async def test_state_dump_is_a_seed(client: Any) -> None:
    """What was dumped can be loaded and dumps the same again, keys and webhooks included."""
    await client.pay(key="pay_1")
    await client.stripe.deliveries.settle()
    before = await client.control("GET", "/state")

    after = await client.control("PUT", "/state", before)

    assert after == before
    assert (await client.pay(key="pay_1")).headers["idempotent-replayed"] == "true"
