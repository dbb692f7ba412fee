"""Tells the services what a person would tell them: rates, sellers, contracts, prices, payers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from stack.player.names import Names
from stack.player.services import Services
from stack.story.format import PriceRule, Promotion

RATES_FROM = "2020-01-01"


async def set_up_billing(services: Services, plays: Sequence[Names]) -> None:
    """Tax rates, selling entities, accounts, contracts, customer prices."""
    for names in plays:
        await _tax_rates(services, names)
        await _sellers_and_accounts(services, names)
        await _contracts(services, names)
        await _fx_rates(services, names)
        await _openings(services, names)
        for name, contract in names.story.contracts.items():
            for rule in contract.prices:
                await put_price(services, names, name, rule)
            for number, promotion in enumerate(contract.promotions, start=1):
                await _promotion(services, names, (name, number), promotion)


async def set_up_payers(services: Services, plays: Sequence[Names], payments_url: str) -> None:
    """Stored payment methods at the simulated Stripe, and profiles that point at them."""
    payers = [
        (names, name, customer.pays_by.stripe)
        for names in plays
        for name, customer in names.story.customers.items()
        if customer.pays_by is not None
    ]
    if not payers:
        return
    state = await services.simulator("GET", "/stripe/_control/state")
    for names, name, token in payers:
        customer_id = f"cus_{_stripe_id(names.own(name))}"
        method_id = f"pm_{_stripe_id(names.own(name))}"
        state["customers"].append(
            {
                "id": customer_id,
                "name": names.story.customers[name].name,
                "payment_methods": [{"id": method_id, "token": token}],
            }
        )
        profile = {
            "provider": "stripe",
            "provider_customer_id": customer_id,
            "provider_method_id": method_id,
        }
        await services.put("payments", f"/v1/profiles/{names.own(name)}", profile)
    receiver = f"{payments_url}/webhooks/stripe"
    if not any(endpoint["url"] == receiver for endpoint in state["webhook_endpoints"]):
        state["webhook_url"] = receiver
    await services.simulator("PUT", "/stripe/_control/state", state)


async def put_price(services: Services, names: Names, contract: str, rule: PriceRule) -> None:
    """A customer price; the same subject again is a new version of the same rule."""
    starts = names.story.contracts[contract].starts
    body: dict[str, Any] = {
        "valid_from": (rule.from_ or starts).isoformat(),
        "priority": rule.priority,
        "scope": {"contract_id": names.own(contract), **_subject(names, rule)},
        "price": _price(names, contract, rule),
    }
    if rule.until is not None:
        body["valid_until"] = rule.until.isoformat()
    await services.put("rating", f"/v1/price-rules/{_rule_id(names, contract, rule)}", body)


async def _promotion(
    services: Services, names: Names, place: tuple[str, int], promotion: Promotion
) -> None:
    """The promotion of a contract; it has no name of its own in a story."""
    contract, number = place
    promotion_id = _slug(f"{names.own(contract)}-promotion-{number}")
    body = {
        "name": promotion_id,
        "scope": {
            "contract_id": names.own(contract),
            "product_key": names.product_key(promotion.product),
        },
        "percent": f"{promotion.percent_off * 100:f}",
        "starts": promotion.from_.isoformat(),
        "ends": promotion.until.isoformat() if promotion.until else None,
        "keeps": promotion.keeps,
        "seat_cap": promotion.first_seats,
    }
    await services.put("rating", f"/v1/promotions/{promotion_id}", body)


async def _tax_rates(services: Services, names: Names) -> None:
    for rate in names.story.tax_rates:
        rate_id = _slug(f"{rate.jurisdiction}-{rate.category}")
        body = {
            "jurisdiction": rate.jurisdiction,
            "category": rate.category,
            "name": rate.name,
            "rate": f"{rate.rate:f}",
            "valid_from": rate.from_.isoformat() if rate.from_ else RATES_FROM,
        }
        await services.put("tax", f"/v1/rates/{rate_id}", body)


async def _sellers_and_accounts(services: Services, names: Names) -> None:
    for name, seller in names.story.sellers.items():
        body = {
            "name": seller.name,
            "country": seller.country,
            "tax_mode": seller.tax,
            "invoice_prefix": names.prefix(seller.invoice_prefix),
            "payment_terms_days": seller.payment_terms_days,
        }
        await services.put("invoicing", f"/v1/selling-entities/{names.own(name)}", body)
    groups_first = sorted(names.story.customers.items(), key=lambda item: item[1].group is not None)
    for name, customer in groups_first:
        body = {
            "name": customer.name,
            "parent_account_id": names.own(customer.group) if customer.group else None,
            "selling_entity_id": names.own(customer.seller),
            "country": customer.country,
            "tax_jurisdiction": customer.jurisdiction,
            "currency": customer.currency,
        }
        await services.put("invoicing", f"/v1/accounts/{names.own(name)}", body)


async def _contracts(services: Services, names: Names) -> None:
    for name, contract in names.story.contracts.items():
        body: dict[str, Any] = {
            "account_id": names.own(contract.customer),
            "currency": names.story.customers[contract.customer].currency,
            "timing": contract.timing,
            "anchor_day": contract.anchor_day,
            "invoice_offset_days": contract.invoice_offset_days,
            "starts_on": contract.starts.isoformat(),
            "billed_through": (contract.billed_through or contract.starts).isoformat(),
            "ends_on": contract.ends.isoformat() if contract.ends else None,
            "provider_customer_id": names.customer(contract.customer),
        }
        if contract.subscriptions is not None:
            body["subscription_ids"] = [
                names.any_subscription(contract.customer, sub) for sub in contract.subscriptions
            ]
        if contract.shares:
            body["shared_subscription_ids"] = [names.subscription(x) for x in contract.shares]
            body.setdefault("subscription_ids", [])
        if contract.bill_to is not None:
            body["bill_to_account_id"] = names.own(contract.bill_to)
        if contract.convention is not None:
            body["convention"] = contract.convention
        await services.put("invoicing", f"/v1/contracts/{names.own(name)}", body)


async def _fx_rates(services: Services, names: Names) -> None:
    for rate in names.story.fx_rates:
        body = {"rate": f"{rate.rate:f}", "source": rate.source}
        await services.put("rating", f"/v1/fx-rates/{rate.from_}-{rate.to}/{rate.on}", body)


async def _openings(services: Services, names: Names) -> None:
    """What each contract begins with of the subscriptions that it shares."""
    for name, contract in names.story.contracts.items():
        for number, (subscription, seats) in enumerate(contract.shares.items(), start=1):
            body = {
                "subscription_id": names.subscription(subscription),
                "kind": "opening",
                "effective_on": contract.starts.isoformat(),
                "sites": [{"contract_id": names.own(name), "seats": seats}],
                "cause": f"what {name} begins with",
            }
            identity = names.allocation(f"{name}-opening-{number}")
            await services.put("rating", f"/v1/allocations/{identity}", body)


def _subject(names: Names, rule: PriceRule) -> dict[str, str]:
    if rule.product is not None:
        return {"kind": "licence", "product_key": names.product_key(rule.product)}
    if rule.minimum is not None:
        assert rule.azure is not None
        return {"kind": "minimum", "azure_subscription_id": names.azure(rule.azure)}
    subject = {"kind": "purchase" if rule.purchase else "usage"}
    if rule.usage not in (None, "*"):
        subject["meter_category"] = str(rule.usage)
    if rule.azure is not None:
        subject["azure_subscription_id"] = names.azure(rule.azure)
    return subject


def _price(names: Names, contract: str, rule: PriceRule) -> dict[str, str]:
    currency = names.story.customers[names.story.contracts[contract].customer].currency
    if rule.fixed is not None:
        return {"kind": "fixed", "amount": f"{rule.fixed:f}", "currency": currency}
    if rule.minimum is not None:
        return {"kind": "minimum", "amount": f"{rule.minimum:f}", "currency": currency}
    if rule.cost_plus is not None:
        return {"kind": "cost_plus", "percent": f"{rule.cost_plus * 100:f}"}
    if rule.margin is not None:
        return {"kind": "margin", "percent": f"{rule.margin * 100:f}"}
    if rule.discount is not None:
        return {"kind": "discount", "percent": f"{rule.discount * 100:f}"}
    if rule.markup is not None:
        return {
            "kind": "usage_markup",
            "percent": f"{rule.markup * 100:f}",
            "pec_share": str(rule.pec_share),
            "base": rule.base,
        }
    return {"kind": "list"}


def _rule_id(names: Names, contract: str, rule: PriceRule) -> str:
    kind = _subject(names, rule)["kind"]
    subject = rule.product or rule.usage or rule.purchase or ""
    return _slug(f"{names.own(contract)}-{kind}-{rule.azure or ''}-{subject}")


def _stripe_id(name: str) -> str:
    """Letters, digits and `_`; different names stay different (`acme.2` is not `acme2`)."""
    return re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):x}_", name)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text.replace("*", "all")).strip("-")
