"""Customers, payment methods and setup intents of the simulated Stripe."""

from __future__ import annotations

from typing import Any


async def test_customer_is_created_updated_and_read(client: Any) -> None:
    """The default method is set by update."""
    row = await client.ok("POST", "/customers", name="Cedar", **{"metadata[account]": "c-1"})
    await client.ok("POST", f"/customers/{row['id']}", email="cedar@example.com")

    after = await client.ok("GET", f"/customers/{row['id']}")

    assert (after["name"], after["email"], after["metadata"]) == (
        "Cedar",
        "cedar@example.com",
        {"account": "c-1"},
    )


async def test_seeded_customer_has_its_methods(client: Any) -> None:
    """Ids of the story, the first one as default."""
    row = await client.ok("GET", "/customers/cus_alder")
    listed = await client.ok("GET", "/customers/cus_alder/payment_methods", type="card")

    assert row["invoice_settings"]["default_payment_method"] == "pm_alder"
    assert [m["id"] for m in listed["data"]] == ["pm_poor", "pm_alder"]
    assert listed["data"][1]["card"]["brand"] == "visa"


async def test_attached_token_becomes_a_method_of_the_customer(client: Any) -> None:
    """A new id; attaching it elsewhere is refused; detached it is free."""
    row = await client.ok(
        "POST", "/payment_methods/pm_card_mastercard/attach", customer="cus_alder"
    )
    refused = await client.api("POST", f"/payment_methods/{row['id']}/attach", customer="cus_birch")
    free = await client.ok("POST", f"/payment_methods/{row['id']}/detach")

    assert row["id"] != "pm_card_mastercard"
    assert (row["customer"], row["card"]["brand"]) == ("cus_alder", "mastercard")
    assert (refused.status_code, free["customer"]) == (400, None)


async def test_hosted_page_completes_a_setup_intent(client: Any) -> None:
    """The method is the customer's and can be charged."""
    setup = await client.ok("POST", "/setup_intents", customer="cus_birch", usage="off_session")

    await client.control(
        "POST", f"/setup-intents/{setup['id']}/complete", {"token": "pm_card_amex"}
    )

    after = await client.ok("GET", f"/setup_intents/{setup['id']}")
    paid = await client.pay(customer="cus_birch", payment_method=after["payment_method"])
    assert (setup["status"], after["status"]) == ("requires_payment_method", "succeeded")
    assert paid.json()["status"] == "succeeded"


async def test_setup_intent_can_be_confirmed_with_a_token(client: Any) -> None:
    """Without a browser, as tests do."""
    data = {"customer": "cus_birch", "payment_method": "pm_card_visa", "confirm": "true"}

    setup = await client.ok("POST", "/setup_intents", data=data)

    assert setup["status"] == "succeeded"
