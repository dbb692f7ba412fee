"""Who and what people name in commands, found before anything is asked: a name that nobody has is
a mistake, never an empty answer that looks like a clean one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated
from urllib.parse import quote

import typer

from stack.errors import Mistaken
from stack.player.services import CallFailed, Row, Services

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
PREFIX_MIN = 4
SHORT = 8
TOLD = 8
NOT_THERE = frozenset({404, 422})
WHERE_IDS_ARE = "`tieout changes` and `tieout renewals` show ids"


def day(text: str) -> date:
    """A day as it was typed.

    Raises:
        typer.BadParameter: it is none.
    """
    wrong = f"{text!r} is no day; write it as 2026-04-01"
    if not DAY.fullmatch(text):
        raise typer.BadParameter(wrong)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(wrong) from error


Customer = Annotated[
    str | None, typer.Option(help="only of this one: an account id, or Microsoft's tenant id")
]
Contract = Annotated[str | None, typer.Option(help="only of this one")]


def require_days(since: date | None, until: date | None) -> None:
    """Raises Mistaken: `period_empty` when no day is in `[since, until)`."""
    if since is not None and until is not None and until <= since:
        raise Mistaken(
            "period_empty", f"From {since} to before {until} is no day; the first comes first."
        )


async def narrowed(
    services: Services,
    *,
    customer: str | None = None,
    contract: str | None = None,
    subscription: str | None = None,
) -> dict[str, str]:
    """What is named, as the services' APIs want it.

    Raises:
        Mistaken: `contract_unknown`, `customer_unknown`, `customer_ambiguous`,
            `subscription_unknown`, `subscription_ambiguous`.
    """
    found: dict[str, str] = {}
    if contract is not None:
        found["contract_id"] = await contract_id(services, contract)
    if customer is not None:
        found["customer_id"] = await tenant_of(services, customer)
    if subscription is not None:
        found["subscription_id"] = await subscription_id(services, subscription)
    return found


async def contract_id(services: Services, name: str) -> str:
    """Raises Mistaken: `contract_unknown`, with some that there are."""
    if await _found(services, "invoicing", "/v1/contracts", name) is None:
        known = (await services.get("invoicing", "/v1/contracts", limit=TOLD + 1))["data"]
        words = _some([row["contract_id"] for row in known])
        raise Mistaken("contract_unknown", f"There is no contract {name}; there are {words}.")
    return name


async def tenant_of(services: Services, name: str) -> str:
    """The provider's id of a customer; an account is the customer that its contracts are for.

    Raises:
        Mistaken: `customer_unknown`, `customer_ambiguous`.
    """
    contracts = await services.pages("invoicing", "/v1/contracts", account_id=name)
    tenants = sorted({row["provider_customer_id"] for row in contracts})
    if len(tenants) == 1:
        return str(tenants[0])
    if tenants:
        words = ", ".join(tenants)
        raise Mistaken("customer_ambiguous", f"The contracts of {name} are for {words}: name one.")
    if await _is_tenant(services, name):
        return name
    known = (await services.get("invoicing", "/v1/accounts", limit=TOLD + 1))["data"]
    words = _some([row["account_id"] for row in known])
    raise Mistaken(
        "customer_unknown",
        f"No account with a contract, and no customer of the provider, is {name}; "
        f"accounts are {words}.",
    )


async def _is_tenant(services: Services, name: str) -> bool:
    mirrored = await services.get("ingest", "/v1/subscriptions", customer_id=name, limit=1)
    if mirrored["data"]:
        return True
    contracts = await services.pages("invoicing", "/v1/contracts")
    return any(row["provider_customer_id"] == name for row in contracts)


async def subscription_id(services: Services, name: str) -> str:
    """The whole id; its beginning is enough where no other begins like it.

    Raises:
        Mistaken: `subscription_unknown`, `subscription_ambiguous`.
    """
    if await _found(services, "ingest", "/v1/subscriptions", name) is not None:
        return name
    found: list[str] = []
    if len(name) >= PREFIX_MIN:
        rows = await services.pages("ingest", "/v1/subscriptions")
        ids = [str(row["subscription_id"]) for row in rows]
        found = [one for one in ids if one.lower().startswith(name.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        words = f"More than one subscription begins with {name}: {_some(found)}."
        raise Mistaken("subscription_ambiguous", words)
    words = f"No subscription is, or begins with, {name}; {WHERE_IDS_ARE}."
    raise Mistaken("subscription_unknown", words)


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """The beginning of each id that no other of them has; at least eight characters."""
    known = set(ids)
    for length in range(SHORT, max(map(len, known), default=SHORT) + 1):
        short = {one: one[:length] for one in known}
        if len(set(short.values())) == len(known):
            return short
    return {one: one for one in known}


async def _found(services: Services, service: str, path: str, name: str) -> Row | None:
    if not name or name in {".", ".."}:
        return None
    try:
        row: Row = await services.get(service, f"{path}/{quote(name, safe='')}")
    except CallFailed as error:
        if error.status in NOT_THERE:
            return None
        raise
    return row


def _some(names: list[str]) -> str:
    more = ", …" if len(names) > TOLD else ""
    return ", ".join(names[:TOLD]) + more if names else "none yet"
