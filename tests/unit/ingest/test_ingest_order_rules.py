"""What may be sent to the provider, from a fresh resource: allowed, refused with an offer, done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.order_rules import Done, Refused, Send, dropped_by, examine, overruled
from ingest.domain.order_wishes import Actual, OrderKind, Wish, is_so, read_actual
from unit.ingest.history import CUSTOMER, resource

NOW = datetime(2026, 4, 20, 12, tzinfo=UTC)
LATER, EARLIER = "2026-04-20T12:00:01Z", "2026-04-20T11:59:59Z"
RENEWS = [{"scheduleType": "TermEnd", "actionType": "RenewToNewTerm"}]
ENDS = [{"scheduleType": "TermEnd", "actionType": "Cancel"}]
NEXT = {
    "quantity": 33,
    "product": {
        "productId": "CFQ7TTC0LCHC", "skuId": "0002", "billingCycle": "monthly",
        "termDuration": "P1Y",
    },
}  # fmt: skip
NEXT_TERM = "scheduledNextTermInstructions"
THREE = {"termDuration": "P3Y"}


def actual(**changes: Any) -> Actual:
    return read_actual(resource(**changes), customer_id=CUSTOMER)


def refundable(count: int) -> dict[str, Any]:
    return {"refundableQuantity": {"totalQuantity": count}}


ALLOWED: list[tuple[str, OrderKind, Wish, dict[str, Any], dict[str, Any]]] = [
    ("more seats", OrderKind.QUANTITY, Wish(quantity=45), {}, {"quantity": 45}),
    ("fewer in the window", OrderKind.QUANTITY, Wish(quantity=38), refundable(2), {"quantity": 38}),
    ("cancel in time", OrderKind.CANCEL, Wish(), {"cancellationAllowedUntilDate": LATER},
     {"status": "deleted"}),
    ("suspend", OrderKind.SUSPEND, Wish(), {}, {"status": "suspended"}),
    ("resume", OrderKind.RESUME, Wish(), {"status": "suspended"}, {"status": "active"}),
    ("cancel while suspended", OrderKind.CANCEL, Wish(),
     {"status": "suspended", "cancellationAllowedUntilDate": LATER}, {"status": "deleted"}),
    ("a longer term", OrderKind.TERM, Wish(term="P3Y"), {},
     {"termDuration": "P3Y", "billingCycle": "monthly"}),
    ("a longer term, another plan", OrderKind.TERM, Wish(term="P3Y", billing_plan="triennial"), {},
     {"termDuration": "P3Y", "billingCycle": "triennial"}),
    ("three years, yearly charges", OrderKind.BILLING_PLAN, Wish(billing_plan="annual"), THREE,
     {"billingCycle": "annual"}),
    ("cancel at the end", OrderKind.RENEWAL_INSTRUCTION, Wish(ending="cancel_at_term_end"), {},
     {"autoRenewEnabled": False, "scheduledActions": ENDS, "scheduledNextTermInstructions": None}),
    ("renew again", OrderKind.RENEWAL_INSTRUCTION, Wish(ending="renew"),
     {"autoRenewEnabled": False, "scheduledActions": ENDS},
     {"autoRenewEnabled": True, "scheduledActions": RENEWS}),
    ("take a schedule back", OrderKind.SCHEDULE, Wish(clear=True),
     {"scheduledNextTermInstructions": NEXT}, {"scheduledNextTermInstructions": None}),
]  # fmt: skip

REFUSED: list[tuple[str, OrderKind, Wish, dict[str, Any], str, object]] = [
    ("more than the window", OrderKind.QUANTITY, Wish(quantity=37), refundable(2),
     "seats_not_removable", {"kind": "schedule", "quantity": 37}),
    ("no seat at all", OrderKind.QUANTITY, Wish(quantity=0), refundable(40),
     "quantity_out_of_range", None),
    ("a second too late", OrderKind.CANCEL, Wish(), {"cancellationAllowedUntilDate": EARLIER},
     "cancellation_window_closed",
     {"kind": "renewal_instruction", "ending": "cancel_at_term_end"}),
    ("no window", OrderKind.CANCEL, Wish(), {}, "cancellation_window_closed",
     {"kind": "renewal_instruction", "ending": "cancel_at_term_end"}),
    ("seats while suspended", OrderKind.QUANTITY, Wish(quantity=45), {"status": "suspended"},
     "subscription_suspended", {"kind": "resume"}),
    ("seats of what is gone", OrderKind.QUANTITY, Wish(quantity=45), {"status": "deleted"},
     "subscription_ended", None),
    ("a shorter term", OrderKind.TERM, Wish(term="P1M"), {}, "term_not_longer",
     {"kind": "schedule", "term": "P1M"}),
    ("a plan for a term too short", OrderKind.TERM, Wish(term="P1Y", billing_plan="triennial"),
     {"termDuration": "P1M"}, "billing_plan_longer_than_term", None),
    ("a plan in mid-term", OrderKind.BILLING_PLAN, Wish(billing_plan="annual"), {},
     "billing_plan_fixed", {"kind": "schedule", "billing_plan": "annual"}),
    ("three years at once", OrderKind.BILLING_PLAN, Wish(billing_plan="triennial"), THREE,
     "billing_plan_fixed", {"kind": "schedule", "billing_plan": "triennial"}),
    ("a schedule for no renewal", OrderKind.SCHEDULE, Wish(quantity=33),
     {"autoRenewEnabled": False}, "renewal_is_off",
     {"kind": "renewal_instruction", "ending": "renew"}),
    ("a schedule of nothing", OrderKind.SCHEDULE, Wish(quantity=0), {},
     "quantity_out_of_range", None),
    ("a schedule that does not fit", OrderKind.SCHEDULE, Wish(term="P1M", billing_plan="annual"),
     {}, "billing_plan_longer_than_term", None),
]  # fmt: skip

DONE: list[tuple[str, OrderKind, Wish, dict[str, Any]]] = [
    ("the same seats", OrderKind.QUANTITY, Wish(quantity=40), {}),
    ("cancelled", OrderKind.CANCEL, Wish(), {"status": "deleted"}),
    ("suspended", OrderKind.SUSPEND, Wish(), {"status": "suspended"}),
    ("active", OrderKind.RESUME, Wish(), {}),
    ("the term", OrderKind.TERM, Wish(term="P1Y"), {}),
    ("the plan", OrderKind.BILLING_PLAN, Wish(billing_plan="monthly"), {}),
    ("the ending", OrderKind.RENEWAL_INSTRUCTION, Wish(ending="renew"),
     {"scheduledActions": RENEWS}),
    ("the schedule", OrderKind.SCHEDULE, Wish(quantity=33),
     {"scheduledNextTermInstructions": NEXT}),
    ("no schedule", OrderKind.SCHEDULE, Wish(clear=True), {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "wish", "held", "changed"), [r[1:] for r in ALLOWED], ids=[r[0] for r in ALLOWED]
)
def test_what_is_allowed_is_the_whole_resource_with_one_thing_changed(
    kind: OrderKind, wish: Wish, held: dict[str, Any], changed: dict[str, Any]
) -> None:
    """A PATCH that leaves something out would take it away."""
    verdict = examine(kind, wish, actual(**held), NOW)

    assert Send({**resource(**held), **changed}) == verdict


@pytest.mark.parametrize(
    ("kind", "wish", "held", "code", "offer"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_what_the_provider_would_refuse_is_not_sent(
    kind: OrderKind, wish: Wish, held: dict[str, Any], code: str, offer: object
) -> None:
    """With a code, and an order that leads there another way, if there is one."""
    verdict = examine(kind, wish, actual(**held), NOW)

    assert isinstance(verdict, Refused)
    assert (code, offer) == (verdict.code, verdict.offer)
    assert verdict.detail


@pytest.mark.parametrize(("kind", "wish", "held"), [r[1:] for r in DONE], ids=[r[0] for r in DONE])
def test_what_is_so_already_is_not_sent(kind: OrderKind, wish: Wish, held: dict[str, Any]) -> None:
    """Ordering twice changes once."""
    assert Done() == examine(kind, wish, actual(**held), NOW)


@given(st.integers(1, 500), st.integers(0, 500), st.integers(0, 500))
def test_seats_are_taken_away_only_as_far_as_the_provider_refunds(
    held: int, wanted: int, free: int
) -> None:
    """More is always allowed, and what is allowed comes true when it is sent."""
    before = actual(quantity=held, **refundable(free))
    wish = Wish(quantity=wanted)

    verdict = examine(OrderKind.QUANTITY, wish, before, NOW)

    if wanted == held:
        assert verdict == Done()
    elif wanted >= 1 and held - wanted <= free:
        assert isinstance(verdict, Send)
        assert is_so(OrderKind.QUANTITY, wish, read_actual(verdict.body, customer_id=CUSTOMER))
    else:
        assert isinstance(verdict, Refused)


@given(st.timedeltas(min_value=timedelta(days=-9), max_value=timedelta(days=9)))
def test_the_window_is_the_providers_to_the_second(left: timedelta) -> None:
    """Its own date decides, whatever we might reckon."""
    until = (NOW + left).isoformat().replace("+00:00", "Z")

    verdict = examine(OrderKind.CANCEL, Wish(), actual(cancellationAllowedUntilDate=until), NOW)

    assert isinstance(verdict, Send) == (left >= timedelta(0))


@pytest.mark.parametrize(
    ("kind", "wish", "names"),
    [
        (OrderKind.QUANTITY, Wish(quantity=45), ["scheduledActions", NEXT_TERM]),
        (OrderKind.TERM, Wish(term="P3Y"), ["scheduledActions", NEXT_TERM]),
        (OrderKind.BILLING_PLAN, Wish(billing_plan="annual"), ["scheduledActions", NEXT_TERM]),
        (OrderKind.SUSPEND, Wish(), ["scheduledActions", NEXT_TERM]),
        (OrderKind.SCHEDULE, Wish(clear=True), ["scheduledActions"]),
        (OrderKind.RENEWAL_INSTRUCTION, Wish(ending="renew"), [NEXT_TERM]),
        (OrderKind.RENEWAL_INSTRUCTION, Wish(ending="cancel_at_term_end"), []),
        (OrderKind.CANCEL, Wish(), []),
    ],
)
def test_what_a_change_dropped_is_found(kind: OrderKind, wish: Wish, names: list[str]) -> None:
    """Schedules and end-of-term choices; what the order itself sets or ends is no loss."""
    before = actual(scheduledNextTermInstructions=NEXT, scheduledActions=ENDS).resource

    assert names == sorted(dropped_by(kind, wish, before, actual().resource))
    assert dropped_by(kind, wish, before, before) == {}


def test_only_the_very_thing_an_order_changes_can_overrule_it() -> None:
    """Another name is no matter; other seats are theirs, and the same order is offered again."""
    before, wish = actual().resource, Wish(quantity=45)
    renamed, taken = actual(friendlyName="Front desk"), actual(quantity=50)

    assert overruled(OrderKind.QUANTITY, wish, before, renamed) is None
    assert overruled(OrderKind.QUANTITY, wish, {}, taken) is None
    refused = overruled(OrderKind.QUANTITY, wish, before, taken)
    assert refused is not None
    assert (
        refused.code,
        refused.offer,
    ) == ("changed_meanwhile", {"kind": "quantity", "quantity": 45})
