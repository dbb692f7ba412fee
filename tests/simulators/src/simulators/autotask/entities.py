"""The entities of the simulated API: names, child collections, and what one may do with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entity:
    """`name` is the root collection, `schema` the object, `rows` where the state keeps it.

    `child` is its collection below `/Contracts/{id}/`. Writes go to the child where there is one.
    """

    name: str
    schema: str
    rows: str
    child: str = ""
    can_create: bool = False
    can_update: bool = False
    can_delete: bool = False
    can_query: bool = True


_ALL = (
    Entity("Companies", "Company", "companies", can_create=True, can_update=True),
    Entity("Contracts", "Contract", "contracts", can_create=True, can_update=True),
    Entity("Services", "Service", "services", can_create=True, can_update=True),
    Entity("Products", "Product", "products", can_create=True, can_update=True),
    Entity("BillingCodes", "BillingCode", "billing_codes"),
    Entity("Currencies", "Currency", "currencies"),
    Entity(
        "ContractServices",
        "ContractService",
        "contract_services",
        child="Services",
        can_create=True,
        can_update=True,
    ),
    Entity("ContractServiceUnits", "ContractServiceUnit", "units", child="ServiceUnits"),
    Entity(
        "ContractServiceAdjustments",
        "ContractServiceAdjustment",
        "adjustments",
        child="ServiceAdjustments",
        can_create=True,
        can_query=False,
    ),
    Entity(
        "ContractCharges",
        "ContractCharge",
        "charges",
        child="Charges",
        can_create=True,
        can_update=True,
        can_delete=True,
    ),
    Entity("ContractNotes", "ContractNote", "notes", child="Notes"),
    Entity("BillingItems", "BillingItem", "billing_items"),
    Entity("Invoices", "Invoice", "invoices"),
)
ROOTS: Mapping[str, Entity] = {e.name.lower(): e for e in _ALL}
CHILDREN: Mapping[str, Entity] = {e.child.lower(): e for e in _ALL if e.child}

PICKLISTS: Mapping[str, Mapping[str, str]] = {
    "Contracts.contractType": {
        "1": "Time and Materials",
        "3": "Fixed Price",
        "4": "Block Hours",
        "6": "Retainer",
        "7": "Recurring Service",
        "8": "Per Ticket",
    },
    "Contracts.status": {"0": "Inactive", "1": "Active"},
    "Contracts.contractPeriodType": {
        "1": "Monthly",
        "2": "Quarterly",
        "3": "Semi-Annual",
        "4": "Yearly",
    },
    "Contracts.contractCategory": {"12": "Standard", "15": "Cloud"},
    "Contracts.billingPreference": {"1": "Immediately", "2": "On timesheet approval"},
    "Contracts.timeReportingRequiresStartAndStopTimes": {"0": "No", "1": "Yes"},
    "Services.periodType": {
        "1": "Monthly",
        "2": "Quarterly",
        "3": "Semi-Annual",
        "4": "Yearly",
        "5": "One Time",
    },
    "Products.periodType": {"1": "Monthly", "4": "Yearly", "5": "One Time"},
    "ContractCharges.chargeType": {"31": "Operational", "32": "Capitalized"},
    "ContractCharges.status": {"7": "Pending", "8": "Delivered/Shipped Full"},
    "BillingItems.billingItemType": {"4": "Charge", "11": "Recurring Service"},
    "BillingItems.subType": {"1": "Standard", "2": "Prorated"},
}
"""A fresh tenant's picklists. The ids are tenant data: a client that hard-codes them is wrong."""
