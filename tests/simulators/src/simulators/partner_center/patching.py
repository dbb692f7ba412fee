"""A PATCH body as a `Change`: what differs from the resource, and what was silently left out.

The vendor takes the whole resource. Leaving `autoRenewEnabled`, `scheduledNextTermInstructions` or
`nextChargeInstructions` out resets them, which is the trap this module sets.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from simulators.exact_json import Document
from simulators.partner_center import resources
from simulators.partner_center.records import Instructions, ScheduledAction, Subscription
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.rules import Change


def change_in(body: Document, current: Subscription) -> Change | None:
    """The change a body asks for; None when it asks for nothing.

    Raises:
        Refusal: the body is not of this subscription or a value is malformed.
    """
    body = {name[:1].lower() + name[1:]: value for name, value in body.items()}
    if str(body.get("id", "")).lower() != current.id:
        raise Refusal(3000)
    try:
        change = Change(
            **_immediate(body, current), **_renewal(body, current), **_end_of_term(body, current)
        )
    except (ValidationError, TypeError, AttributeError) as error:
        raise Refusal(800002) from error
    return None if change == Change() else change


def _immediate(body: Document, current: Subscription) -> dict[str, Any]:
    differing = {
        "quantity": (body.get("quantity"), current.quantity),
        "status": (_lower(body.get("status")), current.status),
        "friendly_name": (body.get("friendlyName"), current.friendly_name),
        "term": (body.get("termDuration"), current.term),
        "billing_plan": (_lower(body.get("billingCycle")), current.billing_plan),
    }
    return {
        name: wanted
        for name, (wanted, held) in differing.items()
        if wanted is not None and wanted != held
    }


def _renewal(body: Document, current: Subscription) -> dict[str, Any]:
    found: dict[str, Any] = {}
    auto_renew = bool(body.get("autoRenewEnabled", False))
    if auto_renew != current.auto_renew:
        found["auto_renew"] = auto_renew
    instructions = body.get("scheduledNextTermInstructions")
    held = _shown(current)
    if instructions is None:
        if current.next_term is not None:
            found["clear_next_term"] = True
    elif (wanted := _instructions(instructions)) != held:
        found["next_term"] = wanted
    if body.get("nextChargeInstructions") is None and current.next_charge_plan is not None:
        found["clear_next_charge"] = True
    return found


def _shown(current: Subscription) -> Instructions | None:
    """The instructions as the resource prints them, with what they leave unsaid filled in."""
    printed = resources.subscription(current, current.last_change_at)
    document = printed.get("scheduledNextTermInstructions")
    return None if document is None else _instructions(document)


def _end_of_term(body: Document, current: Subscription) -> dict[str, Any]:
    actions = [
        ScheduledAction(
            schedule_type=action.get("scheduleType", "TermEnd"),
            action_type=action["actionType"],
        )
        for action in body.get("scheduledActions") or ()
    ]
    return {} if actions == current.scheduled_actions else {"scheduled_actions": actions}


def _instructions(document: Document) -> Instructions:
    product = document.get("product") or {}
    end = document.get("customTermEndDate")
    return Instructions(
        product_id=product.get("productId"),
        sku_id=product.get("skuId"),
        availability_id=product.get("availabilityId"),
        billing_plan=product.get("billingCycle"),
        term=product.get("termDuration"),
        promotion_id=product.get("promotionId") or None,
        quantity=document.get("quantity"),
        custom_term_end=str(end)[:10] if end else None,
    )


def _lower(value: object) -> str | None:
    return None if value is None else str(value).lower()
