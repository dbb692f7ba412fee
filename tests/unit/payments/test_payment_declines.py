"""What a decline means for the method and for the next try."""

from __future__ import annotations

import pytest

from payments.domain.declines import classify, forbids_method, refusal


@pytest.mark.parametrize(
    ("code", "decline_code", "expected"),
    [
        ("card_declined", "insufficient_funds", ("insufficient_funds", "soft_funds")),
        ("card_declined", "generic_decline", ("generic_decline", "soft_issuer")),
        ("card_declined", "do_not_honor", ("do_not_honor", "soft_issuer")),
        ("card_declined", "stolen_card", ("stolen_card", "hard")),
        ("card_declined", "lost_card", ("lost_card", "hard")),
        ("card_declined", "fraudulent", ("fraudulent", "hard")),
        ("card_declined", "transaction_not_allowed", ("transaction_not_allowed", "hard")),
        ("expired_card", "expired_card", ("expired_card", "needs_update")),
        ("incorrect_cvc", None, ("incorrect_cvc", "needs_update")),
        ("authentication_required", None, ("authentication_required", "needs_auth")),
        (
            "authentication_required",
            "authentication_required",
            ("authentication_required", "needs_auth"),
        ),
        ("processing_error", "processing_error", ("processing_error", "transient")),
        ("card_declined", "try_again_later", ("try_again_later", "transient")),
        ("card_declined", "a_code_of_tomorrow", ("a_code_of_tomorrow", "soft_issuer")),
        ("expired_card", "a_code_of_tomorrow", ("a_code_of_tomorrow", "needs_update")),
        ("card_declined", "duplicate_transaction", ("duplicate_transaction", "config")),
        (None, None, ("unknown", "soft_issuer")),
    ],
)
def test_a_code_has_a_class(
    code: str | None, decline_code: str | None, expected: tuple[str, str]
) -> None:
    """The decline code names the reason; where it is unknown, the error code decides the class."""
    decline = classify(code=code, decline_code=decline_code)

    assert expected == (decline.code, decline.decline_class)


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        ({"advice_code": "do_not_try_again"}, "hard"),
        ({"advice_code": "try_again_later"}, "soft_funds"),
        ({"advice_code": "confirm_card_data"}, "needs_update"),
        ({"network_advice_code": "03"}, "hard"),
        ({"network_advice_code": "21"}, "hard"),
        ({"network_advice_code": "02"}, "soft_funds"),
        ({"network_decline_code": "R1"}, "hard"),
        ({"network_decline_code": "51"}, "soft_funds"),
        ({"network_decline_code": "14", "advice_code": "try_again_later"}, "hard"),
    ],
)
def test_what_the_network_says_overrides_the_code(signal: dict[str, str], expected: str) -> None:
    """A network that forbids another try is obeyed, whatever the code."""
    decline = classify(code="card_declined", decline_code="insufficient_funds", **signal)

    assert expected == decline.decline_class


def test_a_network_that_allows_another_try_softens_a_hard_code() -> None:
    """The issuer's advice is fresher than our table; a soft class keeps its own schedule."""
    softened = classify(
        code="card_declined", decline_code="restricted_card", advice_code="try_again_later"
    )

    assert (softened.code, softened.decline_class) == ("restricted_card", "soft_issuer")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("amount_too_small", ("amount_too_small", "config")),
        ("resource_missing", ("resource_missing", "config")),
        ("expired_card", ("expired_card", "needs_update")),
        (None, ("request_refused", "config")),
    ],
)
def test_a_refused_request_is_for_an_operator(code: str | None, expected: tuple[str, str]) -> None:
    """No payer declined anything, so nobody but us can mend it."""
    decline = refusal(code)

    assert expected == (decline.code, decline.decline_class)


def test_only_hard_declines_forbid_the_method() -> None:
    """An expired card may be renewed by the network; a stolen one stays stolen."""
    assert forbids_method(classify(code="card_declined", decline_code="stolen_card"))
    assert not forbids_method(classify(code="expired_card"))
    assert not forbids_method(classify(code="card_declined", decline_code="insufficient_funds"))
