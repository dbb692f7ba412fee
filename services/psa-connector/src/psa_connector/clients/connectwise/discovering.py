"""ConnectWise for a person who maps: companies, agreements and catalog items, deleted ones left
out (the recycle bin shows companies a second time)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psa_connector.clients.connectwise.transport import Transport
from psa_connector.clients.psa import Unavailable, understood
from psa_connector.domain.discovery import Company, Offer, Places, Target
from psa_connector.domain.operations import OperationKind

_COMPANIES = {
    "conditions": "deletedFlag = False",
    "fields": "id,identifier,name,accountNumber",
}
_AGREEMENTS = {
    "conditions": "cancelledFlag = False",
    "fields": "id,name,company,currency,agreementStatus",
}
_CATALOG = {
    "conditions": 'inactiveFlag = False and productClass != "Bundle"',
    "fields": "id,identifier,description,integrationXRef,vendorSku,manufacturerPartNumber,"
    "autoUpdateUnitPriceFlag",
}
_SERVES = frozenset({OperationKind.ADDITION})


async def places(transport: Transport) -> Places:
    companies = await transport.scan("/company/companies", _COMPANIES)
    agreements = await transport.scan("/finance/agreements", _AGREEMENTS)
    with understood(Unavailable):
        return Places(
            companies=tuple(_company(one) for one in companies),
            targets=tuple(
                _target(one)
                for one in agreements
                if one.get("agreementStatus", "Active") == "Active"
            ),
        )


async def offers(transport: Transport) -> tuple[Offer, ...]:
    items = await transport.scan("/procurement/catalog", _CATALOG)
    with understood(Unavailable):
        return tuple(_offer(one) for one in items)


def _company(shown: Mapping[str, Any]) -> Company:
    return Company(
        id=str(shown["id"]),
        name=str(shown["name"]),
        codes=_codes(shown.get("identifier"), shown.get("accountNumber")),
    )


def _target(shown: Mapping[str, Any]) -> Target:
    currency = shown.get("currency") or {}
    return Target(
        id=str(shown["id"]),
        name=str(shown["name"]),
        company_id=str(shown["company"]["id"]),
        codes=_codes(shown["name"]),
        currency=currency.get("currencyCode") or currency.get("currencyIdentifier"),
    )


def _offer(shown: Mapping[str, Any]) -> Offer:
    return Offer(
        external_id=str(shown["id"]),
        name=str(shown.get("description") or shown["identifier"]),
        serves=_SERVES,
        codes=_codes(
            shown.get("integrationXRef"),
            shown.get("identifier"),
            shown.get("vendorSku"),
            shown.get("manufacturerPartNumber"),
        ),
        reprices=bool(shown.get("autoUpdateUnitPriceFlag")),
    )


def _codes(*values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in values if value)
