"""Reading back records with our key: absent, present, different, doubled, closed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from psa_connector.domain.adjustments import Services
from psa_connector.domain.mapping import Reason
from psa_connector.domain.operations import AdditionClose, ContractCharge, Product
from psa_connector.domain.outcomes import Done, Drift, Write
from psa_connector.domain.verdicts import Difference, Record, Records, judge
from support.psa_facts import day

CHARGE = ContractCharge(
    product=Product("azure", "301"),
    name="Storage",
    description="Storage",
    charged_on=day("2026-04-30"),
    amount=Decimal("30.38"),
    cost=None,
)
CLOSE = AdditionClose("intent", day("2026-04-30"))


def test_an_absent_record_is_written_g3() -> None:
    """The one case in which a POST leaves."""
    assert judge(CHARGE, Records(())) == Write()


def test_a_present_record_is_proof_g2() -> None:
    """Whoever wrote it: the key says it is ours."""
    assert judge(CHARGE, Records((Record("41"),))) == Done("41")


def test_a_record_with_other_values_is_drift() -> None:
    """The detail names the field, our value and theirs."""
    edited = Record("41", (Difference("unitPrice", "30.38", "31.00"),))

    verdict = judge(CHARGE, Records((edited,)))

    assert isinstance(verdict, Drift)
    assert verdict.block.reason is Reason.RECORD_DIFFERS
    assert verdict.block.detail == "record 41: unitPrice is 31.00, not 30.38"


def test_two_records_with_one_key_are_drift() -> None:
    """Never ours; a person decides which one stays."""
    verdict = judge(CHARGE, Records((Record("41"), Record("42"))))

    assert isinstance(verdict, Drift)
    assert verdict.block.reason is Reason.RECORD_DUPLICATED


def test_a_close_is_done_when_the_last_day_is_ours_c11() -> None:
    """Open, or with another last day: to be written."""
    assert judge(CLOSE, Records((Record("41", last_on=day("2026-04-30")),))) == Done("41")
    assert judge(CLOSE, Records((Record("41"),))) == Write()


def test_closing_a_deleted_addition_is_done_c8() -> None:
    """It bills nothing any more."""
    assert judge(CLOSE, Records(())) == Done("deleted")


def test_an_answer_to_another_question_is_a_defect() -> None:
    """Units say nothing about a charge."""
    with pytest.raises(TypeError):
        judge(CHARGE, Services(()))
