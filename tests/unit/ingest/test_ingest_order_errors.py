"""The provider's error table, row by row: what each code makes an order do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.order_errors import Then, offer_for, reaction_to
from ingest.domain.order_wishes import OrderKind, Wish

# HTTP status, code, what follows, our code, whether a person of the partner has to act. The codes
# are those of Microsoft's list, learn.microsoft.com/partner-center/developer/error-codes.
TABLE = [
    (400, "2055", Then.READ_AGAIN, "", False),
    (412, "", Then.READ_AGAIN, "", False),
    (400, "2001", Then.REFUSE, "subscription_suspended", False),
    (400, "800091", Then.REFUSE, "subscription_suspended", False),
    (400, "2002", Then.REFUSE, "quantity_out_of_range", False),
    (400, "900275", Then.REFUSE, "quantity_out_of_range", False),
    (403, "20002", Then.REFUSE, "customer_relationship_missing", True),
    (404, "20003", Then.REFUSE, "subscription_unknown_to_provider", False),
    (400, "800090", Then.REFUSE, "seats_not_removable", False),
    (400, "900213", Then.REFUSE, "cancellation_window_closed", False),
    (400, "900117", Then.REFUSE, "cancellation_window_closed", False),
    (400, "900214", Then.REFUSE, "seats_not_removable", False),
    (400, "900257", Then.REFUSE, "seats_not_removable", False),
    (409, "800060", Then.WAIT, "provider_busy", False),
    (409, "800064", Then.WAIT, "provider_busy", False),
    (400, "800065", Then.FIND, "", False),
    (409, "800082", Then.WAIT, "provider_busy", False),
    (409, "900278", Then.WAIT, "provider_busy", False),
    (400, "900277", Then.REFUSE, "subscription_ending", False),
    (400, "900279", Then.REFUSE, "subscription_not_updatable", False),
    (400, "900280", Then.REFUSE, "subscription_not_updatable", False),
    (400, "900311", Then.REFUSE, "too_many_changes", True),
    (400, "800121", Then.REFUSE, "term_invalid", False),
    (400, "900268", Then.REFUSE, "term_invalid", False),
    (400, "800122", Then.REFUSE, "term_not_longer", False),
    (400, "900267", Then.REFUSE, "term_not_longer", False),
    (400, "900269", Then.REFUSE, "billing_plan_invalid", False),
    (400, "900270", Then.REFUSE, "billing_plan_longer_than_term", False),
    (400, "800107", Then.REFUSE, "trial_term_fixed", False),
    (400, "900242", Then.REFUSE, "term_end_not_on_offer", False),
    (400, "900244", Then.REFUSE, "term_end_not_on_offer", False),
    (400, "900245", Then.REFUSE, "term_end_not_on_offer", False),
    (400, "900246", Then.REFUSE, "term_end_not_on_offer", False),
    (404, "400019", Then.REFUSE, "product_not_on_offer", False),
    (400, "400041", Then.REFUSE, "add_on_without_base", False),
    (403, "800023", Then.REFUSE, "credit_line_too_low", True),
    (400, "800025", Then.REFUSE, "credit_line_too_low", True),
    (400, "900121", Then.REFUSE, "credit_line_too_low", True),
    (403, "800066", Then.REFUSE, "subscription_limit", False),
    (403, "800067", Then.REFUSE, "seat_limit", False),
    (403, "800069", Then.REFUSE, "risk_check_failed", True),
    (403, "13605", Then.REFUSE, "customer_agreement_missing", False),
    (403, "900123", Then.REFUSE, "partner_agreement_missing", True),
    (403, "900124", Then.REFUSE, "partner_agreement_missing", True),
    (400, "900206", Then.REFUSE, "partner_attestation_missing", False),
    (400, "900236", Then.REFUSE, "upgrade_target_not_active", False),
    (400, "900258", Then.REFUSE, "upgrade_target_not_ready", False),
    (400, "900259", Then.REFUSE, "upgrade_target_term_shorter", False),
    (400, "900260", Then.REFUSE, "upgrade_target_ends_earlier", False),
    (400, "900261", Then.WAIT, "provider_busy", False),
    (403, "900308", Then.REFUSE, "access_denied", True),
    (403, "900309", Then.REFUSE, "access_denied", True),
    (401, "900421", Then.REFUSE, "mfa_missing", True),
    (429, "", Then.PAUSE, "", False),
    (408, "", Then.ASK_BACK, "", False),
    (500, "", Then.ASK_BACK, "", False),
    (503, "", Then.ASK_BACK, "", False),
]


@pytest.mark.parametrize(
    ("status", "code", "then", "ours", "alert"), TABLE, ids=[f"{s} {c}" for s, c, *_ in TABLE]
)
def test_every_row_of_the_table_has_its_reaction(
    status: int, code: str, then: Then, ours: str, alert: bool
) -> None:
    """What is done, under which stable code, and whether somebody is called."""
    reaction = reaction_to(status, code)

    assert (then, ours, alert) == (reaction.then, reaction.code, reaction.alert)


@given(st.integers(400, 599), st.from_regex(r"[0-9]{0,6}", fullmatch=True))
def test_no_answer_leaves_an_order_without_a_next_step(status: int, code: str) -> None:
    """A refusal always has a code; an unclear answer is never a refusal of the order."""
    reaction = reaction_to(status, code)

    assert (reaction.then is Then.REFUSE) <= bool(reaction.code)
    if status >= 500 and code not in {row[1] for row in TABLE}:
        assert reaction.then is Then.ASK_BACK


@pytest.mark.parametrize(
    ("reason", "offer"),
    [
        ("seats_not_removable", {"kind": "schedule", "quantity": 7}),
        (
            "cancellation_window_closed",
            {"kind": "renewal_instruction", "ending": "cancel_at_term_end"},
        ),
        ("term_not_longer", {"kind": "schedule", "term": "P1M"}),
        ("billing_plan_fixed", {"kind": "schedule", "billing_plan": "annual"}),
        ("renewal_is_off", {"kind": "renewal_instruction", "ending": "renew"}),
        ("subscription_suspended", {"kind": "resume"}),
        ("credit_line_too_low", None),
    ],
)
def test_a_refusal_offers_the_way_that_is_open(reason: str, offer: dict[str, Any] | None) -> None:
    """An order that may be placed as it stands, or nothing."""
    wish = Wish(quantity=7, term="P1M", billing_plan="annual")

    assert offer == offer_for(reason, wish)
    assert offer is None or OrderKind(offer["kind"])
