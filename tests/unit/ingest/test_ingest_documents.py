"""Reading what a provider sends: names, times and numbers in all their spellings."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.documents import Fields, exact, guids_in, identifier, instant_of, plain_name
from shared.kernel.errors import Invalid


@pytest.mark.parametrize(
    "name", ["subscriptionId", "SubscriptionId", "SUBSCRIPTION_ID", "Subscription Id"]
)
def test_one_name_in_any_spelling(name: str) -> None:
    """Casing, blanks and underscores do not make another column."""
    assert plain_name(name) == "subscriptionid"
    assert Fields({name: " x "}).text("subscriptionId") == "x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-03-14T09:26:53.5897932+00:00", datetime(2025, 3, 14, 9, 26, 53, 589793, UTC)),
        ("2025-06-01T08:15:30.1234567Z", datetime(2025, 6, 1, 8, 15, 30, 123456, UTC)),
        ("2017-06-15T15:56:04.077-07:00", datetime(2017, 6, 15, 22, 56, 4, 77000, UTC)),
        ("2021-05-01T00:00:00", datetime(2021, 5, 1, tzinfo=UTC)),
        ("2025-06-14", datetime(2025, 6, 14, tzinfo=UTC)),
        ("6/14/2025", datetime(2025, 6, 14, tzinfo=UTC)),
        ("06/14/2025 13:05:00", datetime(2025, 6, 14, 13, 5, tzinfo=UTC)),
        ("4/1/2026 12:00:00 AM", datetime(2026, 4, 1, tzinfo=UTC)),
        ("12/31/2026 11:59:59 PM", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("12/31/2026 12:30 PM", datetime(2026, 12, 31, 12, 30, tzinfo=UTC)),
    ],
)
def test_times_in_every_format_the_provider_prints(text: str, expected: datetime) -> None:
    """ISO with any fraction, with and without zone, and the US format of CSV files."""
    assert instant_of(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "13/14/2025", "2025-02-30", "2025-06-01T25:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """With a code, not with a crash."""
    with pytest.raises(Invalid) as refusal:
        instant_of(text)

    assert refusal.value.code == "time_malformed"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.0209496384791679", "0.0209496384791679"),
        ("0E-20", "0"),
        ("-0", "0"),
        ("1E+2", "1E+2"),
        ("'12.50", "12.50"),
        (" 7 ", "7"),
        (Decimal("2.04"), "2.04"),
        (12, "12"),
        ("1.000000000000000000000000", "1.000000000000000000"),
        ("99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999"),
    ],
)
def test_numbers_keep_the_digits_of_the_text(value: object, expected: str) -> None:
    """Exactly what was printed, bounded to 20 digits before and 18 after the point."""
    assert str(exact(value)) == expected


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("NaN", "number_not_finite"),
        ("-Infinity", "number_not_finite"),
        ("1e400", "number_digits"),
        ("1e-400", "number_digits"),
        ("1e99999", "number_malformed"),
        ("0.1234567890123456789", "number_digits"),
        ("100000000000000000000", "number_digits"),
        ("12,5", "number_malformed"),
        ("0x10", "number_malformed"),
        ("1_000", "number_malformed"),
        ("", "number_malformed"),
        ("twelve", "number_malformed"),
        (0.1, "number_from_float"),
        (True, "number_from_float"),
    ],
)
def test_what_is_no_amount_is_refused_with_its_reason(value: object, code: str) -> None:
    """Absurd exponents, infinities, other notations and floats never become money."""
    with pytest.raises(Invalid) as refusal:
        exact(value)

    assert refusal.value.code == code


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**19), max_value=10**19,
                   places=18))  # fmt: skip
def test_reading_what_was_printed_gives_the_same_number(number: Decimal) -> None:
    """Text and back, in plain and in scientific notation."""
    assert exact(f"{number:f}") == number
    assert exact(str(number)) == number


@given(st.text(max_size=40))
def test_any_text_is_a_number_or_is_refused(text: str) -> None:
    """Nothing in a file can make the reader crash."""
    with suppress(Invalid):
        assert exact(text).is_finite()


def test_guids_are_lower_case_and_other_ids_are_left_alone() -> None:
    """One id is printed in both casings; a product id is not a GUID."""
    guid = "488745B5-2086-4912-802C-6ABB9F7C3638"

    assert identifier(guid) == guid.lower()
    assert identifier("CFQ7TTC0LH0Z") == "CFQ7TTC0LH0Z"
    assert guids_in(f"/customers/{guid}/subscriptions/{guid}") == [guid.lower()] * 2


def test_an_empty_or_absent_field_is_nothing() -> None:
    """Null, absent and empty text differ from zero and false."""
    fields = Fields({"a": None, "b": "", "c": 0, "d": False})

    assert [fields.has(n) for n in "abcd"] == [False, True, True, True]
    assert (fields.integer("a"), fields.integer("b"), fields.integer("c")) == (None, None, 0)
    assert fields.flag("d") is False


def test_a_fraction_is_no_quantity_of_seats() -> None:
    """12.0 is 12; 12.5 seats do not exist."""
    assert Fields({"quantity": Decimal("12.0")}).integer("quantity") == 12
    with pytest.raises(Invalid, match="number_not_whole"):
        Fields({"quantity": "12.5"}).integer("quantity")
