"""Autotask for a person who maps: companies, contracts, and the three lists a line can be billed
from. Services carry licences; products and billing codes carry charges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psa_connector.clients.autotask.fields import BILLING_CODE, INACTIVE
from psa_connector.clients.autotask.transport import Document, Transport
from psa_connector.clients.psa import Unavailable, understood
from psa_connector.domain.discovery import Company, Offer, Places, Target
from psa_connector.domain.operations import OperationKind

_ACTIVE: Document = {"op": "eq", "field": "isActive", "value": True}
_CHARGES = frozenset({OperationKind.CONTRACT_CHARGE})
_SERVICES = frozenset({OperationKind.SERVICE_ADJUSTMENT})


async def places(transport: Transport) -> Places:
    companies = await transport.query(
        "Companies", [_ACTIVE], fields=("companyName", "companyNumber")
    )
    contracts = await transport.query(
        "Contracts",
        [{"op": "noteq", "field": "status", "value": INACTIVE}],
        fields=("contractName", "contractNumber", "companyID"),
    )
    with understood(Unavailable):
        return Places(
            companies=tuple(
                Company(str(one["id"]), str(one["companyName"]), _codes(one.get("companyNumber")))
                for one in companies
            ),
            targets=tuple(_target(one) for one in contracts),
        )


async def offers(transport: Transport) -> tuple[Offer, ...]:
    services = await transport.query("Services", [_ACTIVE], fields=("name",))
    products = await transport.query(
        "Products",
        [_ACTIVE],
        fields=("name", "externalProductID", "sku", "vendorProductNumber"),
    )
    codes = await transport.query("BillingCodes", [_ACTIVE], fields=("name",))
    with understood(Unavailable):
        return (
            *(Offer(str(one["id"]), str(one["name"]), _SERVICES) for one in services),
            *(_product(one) for one in products),
            *(Offer(f"{BILLING_CODE}{one['id']}", str(one["name"]), _CHARGES) for one in codes),
        )


def _target(shown: Mapping[str, Any]) -> Target:
    return Target(
        id=str(shown["id"]),
        name=str(shown["contractName"]),
        company_id=str(shown["companyID"]),
        codes=_codes(shown.get("contractNumber"), shown["contractName"]),
    )


def _product(shown: Mapping[str, Any]) -> Offer:
    return Offer(
        external_id=str(shown["id"]),
        name=str(shown["name"]),
        serves=_CHARGES,
        codes=_codes(
            shown.get("externalProductID"), shown.get("sku"), shown.get("vendorProductNumber")
        ),
    )


def _codes(*values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in values if value)
