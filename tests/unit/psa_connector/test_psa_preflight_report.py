"""Preflight as a report: each finding with a level and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from psa_connector.domain.discovery import Offer
from psa_connector.domain.mapping import Reason
from psa_connector.domain.operations import OperationKind
from psa_connector.domain.preflight import BillingCycle, Expectation, TargetFacts
from psa_connector.domain.preflight_report import (
    Level,
    Probe,
    Right,
    report_connection,
    report_products,
    report_target,
    worst,
)
from support.psa_facts import day

NOW = datetime(2026, 5, 1, 6, tzinfo=UTC)
EXPECTED = Expectation("7001", "250", "USD", ())
SOUND = TargetFacts(company_id="250", currency="USD")
ADDITIONS = frozenset({OperationKind.ADDITION})


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (None, Reason.UNMAPPED_AGREEMENT),
        (replace(SOUND, company_id="251"), Reason.AGREEMENT_COMPANY_MISMATCH),
        (replace(SOUND, active=False), Reason.AGREEMENT_INACTIVE),
        (replace(SOUND, currency="EUR"), Reason.CURRENCY_MISMATCH),
        (replace(SOUND, prorates=True), Reason.AGREEMENT_PRORATES),
        (replace(SOUND, cycle=BillingCycle.OTHER), Reason.BILLING_CYCLE_UNSUPPORTED),
    ],
)
def test_what_would_stop_a_push_is_found_before_with_advice_c1(
    facts: TargetFacts | None, code: Reason
) -> None:
    """The same checks as at the push, and a sentence for who can repair it."""
    (found, *_) = report_target(EXPECTED, facts, "ALD-1", today=NOW.date())
    assert (found.level, found.code, found.object) == (Level.BLOCKS, code, "contract/ALD-1")
    assert found.advice


def test_a_sound_agreement_is_ready_c1() -> None:
    """One line, nothing to do."""
    (found,) = report_target(EXPECTED, SOUND, "ALD-1", today=NOW.date())
    assert (found.level, found.code) == (Level.OK, "target_ready")


def test_posted_periods_and_ends_are_told_a3() -> None:
    """They stop nothing today."""
    facts = replace(SOUND, invoiced_before=day("2026-06-01"), ends_on=day("2026-07-30"))
    found = report_target(EXPECTED, facts, "ALD-1", today=NOW.date())
    assert [one.code for one in found] == ["target_ready", "posted_period", "target_ends"]
    assert worst(found) is Level.WARNING
    later = replace(facts, ends_on=day("2026-07-31"))
    assert worst(report_target(EXPECTED, later, "ALD-1", today=NOW.date())) is Level.OK


def test_a_right_that_is_missing_stops_g5() -> None:
    """The vendor shows nothing instead of refusing."""
    probe = Probe((Right("companies", granted=True), Right("catalog", granted=False)))
    found = report_connection(probe, NOW)
    assert [(one.object, one.level) for one in found][:2] == [
        ("companies", Level.OK),
        ("catalog", Level.BLOCKS),
    ]


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(None, "clock_unknown"), (-60, "clock_agrees"), (121, "clock_differs")],
)
def test_a_clock_apart_is_told_a3(seconds: int | None, code: str) -> None:
    """Days of changes depend on it, in both directions."""
    told = None if seconds is None else NOW + timedelta(seconds=seconds)
    (found,) = report_connection(Probe((), server_time=told, time_zone="UTC"), NOW)
    assert (found.code, "UTC" in found.detail) == (code, True)


def test_mapped_products_are_checked_c1() -> None:
    """Gone, re-priced by the catalog, or fine."""
    offers = [Offer("501", "A", ADDITIONS), Offer("502", "B", ADDITIONS, reprices=True)]
    found = report_products({"a": "501", "b": "502", "c": "503"}, offers)
    assert [(one.object, one.code) for one in found] == [
        ("product/b", "product_auto_reprice"),
        ("product/c", "product_inactive"),
    ]
    assert [one.code for one in report_products({"a": "501"}, offers)] == ["products_ready"]
    assert report_products({}, offers) == []
