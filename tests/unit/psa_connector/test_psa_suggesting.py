"""Suggestions of mappings: what names say, what identifiers say, and when a person must look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa_connector.domain.discovery import Company, Offer, Places, Target
from psa_connector.domain.likeness import likeness
from psa_connector.domain.operations import OperationKind
from psa_connector.domain.suggesting import (
    OurContract,
    OurProduct,
    carrier,
    suggest_contracts,
    suggest_products,
)

ALDER = Company("250", "Alder Dental, Inc.", ("AlderDental",))
ASH = Company("251", "Ash Dental", ("AshDental",))
OURS = OurContract("ALD-1", "alder", "Alder Dental", "USD")
ADDITIONS = frozenset({OperationKind.ADDITION})


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("Alder Dental", "ALDER DENTAL, Inc.", 100),
        ("Dental Alder", "Alder Dental", 100),
        ("Café Köln GmbH", "Cafe Koln", 100),
        ("Eik B.V.", "Eik", 100),
        ("The Company", "Company", 77),
        ("", "Alder", 0),
        ("Alder", "???", 0),
    ],
)
def test_what_people_write_differently_is_alike_g5(ours: str, theirs: str, expected: int) -> None:
    """Case, accents, order, punctuation and legal form do not count."""
    assert likeness(ours, theirs) == expected


@given(st.text(max_size=40), st.text(max_size=40))
def test_likeness_is_symmetric_and_a_percentage_g5(one: str, other: str) -> None:
    """Whoever is asked first."""
    assert likeness(one, other) == likeness(other, one)
    assert 0 <= likeness(one, other) <= 100


@given(st.text(min_size=1, max_size=40))
def test_a_name_is_like_itself_g5(name: str) -> None:
    """Unless there is no word in it."""
    assert likeness(name, name) in {0, 100}


def test_a_name_is_never_certain_g5() -> None:
    """Equal names of two companies occur; 100 is for identifiers."""
    (found,) = suggest_contracts([OURS], Places((ALDER, ASH), ()), at_least=60)
    assert (found.company, found.confidence, found.target) == (ALDER, 99, None)


def test_an_identifier_set_to_ours_is_certain_g5() -> None:
    """Our account id as company number beats a better name."""
    numbered = Company("9", "AD Holding", ("alder",))
    (found,) = suggest_contracts([OURS], Places((ALDER, numbered), ()), at_least=60)
    assert (found.company, found.confidence) == (numbered, 100)


def test_an_agreement_that_carries_our_contract_id_decides_g5() -> None:
    """Whatever the company is called."""
    target = Target("7001", "Cloud", "251", ("ald-1",), "USD")
    (found,) = suggest_contracts([OURS], Places((ALDER, ASH), (target,)), at_least=60)
    assert (found.company, found.target, found.confidence) == (ASH, target, 100)


def test_two_companies_alike_are_ambiguous_g5() -> None:
    """A recycled company of the same name, for instance."""
    twin = Company("252", "Alder Dental LLC")
    (found,) = suggest_contracts([OURS], Places((ALDER, twin), ()), at_least=60)
    assert found.ambiguous


def test_an_agreement_in_another_currency_is_not_suggested_c1() -> None:
    """It could never take the invoice."""
    euro = Target("7002", "Cloud EUR", "250", (), "EUR")
    dollar = Target("7003", "Cloud", "250", (), "USD")
    (found,) = suggest_contracts([OURS], Places((ALDER,), (euro, dollar)), at_least=60)
    assert found.target == dollar


def test_several_agreements_of_a_company_are_ambiguous_g5() -> None:
    """Unless one looks like the contract."""
    targets = (Target("1", "Support", "250"), Target("2", "Backup", "250"))
    (found,) = suggest_contracts([OURS], Places((ALDER,), targets), at_least=60)
    assert found.ambiguous


def test_nothing_alike_suggests_nothing_g5() -> None:
    """Below the wanted confidence there is silence."""
    assert suggest_contracts([OURS], Places((Company("1", "Zebra Zoo"),), ()), at_least=60) == []


def test_commitment_terms_are_told_apart_by_identifier_c6() -> None:
    """Two catalog items of one name: the key decides, the name cannot."""
    product = OurProduct("CFQ:0002:P1Y:monthly", "Business Premium", "recurring")
    annual = Offer("501", "Business Premium", ADDITIONS, ("CFQ:0002:P1Y:monthly",))
    monthly = Offer("502", "Business Premium", ADDITIONS)
    (by_key,) = suggest_products([product], [monthly, annual], kinds=ADDITIONS, at_least=60)
    unmarked = [Offer("501", "Business Premium", ADDITIONS), monthly]
    (by_name,) = suggest_products([product], unmarked, kinds=ADDITIONS, at_least=60)

    assert (by_key.offer, by_key.confidence, by_key.ambiguous) == (annual, 100, False)
    assert (by_name.confidence, by_name.ambiguous) == (99, True)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("recurring", "service_adjustment"), ("usage", "contract_charge"),
     ("one_time", "contract_charge")],
)  # fmt: skip
def test_usage_is_never_suggested_as_a_service_a6(kind: str, expected: str) -> None:
    """Services carry licences, products and billing codes carry charges."""
    kinds = frozenset({OperationKind.SERVICE_ADJUSTMENT, OperationKind.CONTRACT_CHARGE})
    service = Offer("77", "Azure", frozenset({OperationKind.SERVICE_ADJUSTMENT}))
    product = Offer("301", "Azure", frozenset({OperationKind.CONTRACT_CHARGE}))
    wanted = {"service_adjustment": service, "contract_charge": product}[expected]
    ours = OurProduct("azure", "Azure", kind)
    (found,) = suggest_products([ours], [service, product], kinds=kinds, at_least=60)

    assert (carrier(kind, kinds), found.offer) == (expected, wanted)
