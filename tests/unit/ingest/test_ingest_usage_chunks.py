"""A run of raw lines as frames: exact digits, one bucket a frame, the same cut every time."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.usage_lines import Totals
from ingest.handlers import usage_chunks
from ingest.handlers.usage_chunks import (
    Chunk,
    ChunkStart,
    first_billing_month,
    prepare,
)
from ingest.handlers.usage_rows import row_of_json, slow_row_of_json
from shared.contracts.ingest import USAGE_BUCKETS
from shared.contracts.usage_frame import UsageLine, lines_of, open_frame
from shared.kernel.ids import bucket_of

START = ChunkStart("f1", "billed/G1", "G1", "2026-04", False, first_line=101, first_batch=7)


def raw(customer: str = "c1", **changes: Any) -> bytes:
    document = {
        "customerId": customer, "entitlementId": "AZ-1", "usageDate": "2026-04-03T00:00:00Z",
        "meterCategory": "Storage", "productId": "DZH", "skuId": "0001", "quantity": 1.5,
        "unitPrice": 0.2304, "effectiveUnitPrice": 0.19584, "pricingCurrency": "USD",
        "billingCurrency": "USD", "billingPreTaxTotal": 0.29376, "tags": {"a": [1, 2]},
        **changes,
    }  # fmt: skip
    return json.dumps(document).encode()


def opened(chunk: Chunk) -> list[UsageLine]:
    lines = [x for batch in chunk.batches for x in lines_of(open_frame(batch.frame)[1])]
    return sorted(lines, key=lambda x: x.line_number)


def test_lines_keep_their_numbers_and_go_to_their_buckets() -> None:
    """Numbers run through the file, batches are numbered on from the last one."""
    customers = [f"c{n}" for n in range(40)]

    chunk = prepare([raw(c) for c in customers], START)

    assert [(x.line_number, x.customer_id) for x in opened(chunk)] == list(
        enumerate(customers, start=101)
    )
    for number, batch in enumerate(chunk.batches, start=7):
        header, table = open_frame(batch.frame)
        assert (header.number, batch.src) == (number, f"f1/{number}")
        assert {bucket_of(x.customer_id, USAGE_BUCKETS) for x in lines_of(table)} == {batch.bucket}


def test_digits_come_from_the_text_and_never_through_a_float() -> None:
    """More digits than a float has, notation with exponents, numbers in quotes."""
    line = raw(quantity=0).replace(b'"quantity": 0', b'"quantity": 12345678901234567.123456789012')
    line = line.replace(b"0.29376", b"1.25E-7")

    [read] = prepare([line], START).accepted

    assert read.quantity == Decimal("12345678901234567.123456789012")
    assert read.billing_pretax == Decimal("1.25E-7")
    assert prepare([raw(quantity="72.000000")], START).accepted[0].quantity == Decimal("72.000000")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "line_malformed"),
        (b"[1]", "line_malformed"),
        (b"null", "line_malformed"),
        (b'{"customerId": "\xff"}', "line_malformed"),
        (b'{"quantity": NaN}', "line_malformed"),
        (raw(quantity="NaN"), "number_not_finite"),
        (raw(quantity={"a": 1}), "number_malformed"),
        (raw(quantity=True), "number_malformed"),
        (raw(customer=""), "customer_missing"),
        (raw(quantity=None), "number_missing"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_text(line: bytes, code: str) -> None:
    """The others go on."""
    chunk = prepare([raw(), line, raw()], START)

    assert [x.line_number for x in chunk.accepted] == [101, 103]
    assert [(r.line_number, r.code, r.raw) for r in chunk.refused] == [(102, code, line)]


def test_blank_lines_are_nothing_but_keep_their_number() -> None:
    """A trailing line end is no line of data."""
    chunk = prepare([raw(), b"", b"  ", raw()], START)

    assert ([x.line_number for x in chunk.accepted], chunk.refused) == ([101, 104], ())


def test_a_chunk_is_the_same_every_time() -> None:
    """A repetition after a crash publishes the same bytes under the same ids."""
    lines = [raw(f"c{n % 7}", quantity=n) for n in range(50)]

    assert prepare(lines, START) == prepare(lines, START)


def test_more_lines_than_a_frame_may_have_become_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many lines and so many bytes."""
    monkeypatch.setattr(usage_chunks, "MAX_LINES", 10)
    lines = [raw("c1", quantity=n) for n in range(25)]

    by_lines = prepare(lines, START)
    monkeypatch.setattr(usage_chunks, "MAX_FRAME_BYTES", 4_000)
    by_bytes = prepare(lines, START)

    assert [open_frame(b.frame)[0].lines for b in by_lines.batches] == [10, 10, 5]
    assert len(by_bytes.batches) > 3
    assert opened(by_bytes) == opened(by_lines)
    assert [b.src for b in by_bytes.batches] == [
        f"f1/{7 + n}" for n in range(len(by_bytes.batches))
    ]


def test_the_raw_lines_are_kept_whole() -> None:
    """What was downloaded can be shown again, byte by byte."""
    lines = [raw(), b"{broken", raw("c2")]

    chunk = prepare(lines, START)

    assert pa.decompress(chunk.content, chunk.raw_bytes, codec="zstd", asbytes=True) == b"\n".join(
        lines
    )


def test_names_in_any_casing_are_found_and_others_ignored() -> None:
    """Columns are renamed without notice."""
    row = row_of_json(b'{"CustomerId":"c","SKU_ID":"0001","newColumn":1.0,"Quantity":2}')

    assert row == {"customerid": "c", "skuid": "0001", "quantity": "2"}


DOCUMENTED = {
    "customerId": "c", "entitlementId": "AZ-1", "entitlementDescription": "Production",
    "additionalInfo": "", "usageDate": "2026-04-03T00:00:00Z",
    "chargeStartDate": "2026-04-01T00:00:00Z", "meterCategory": "Storage", "meterId": "m",
    "meterName": "n", "productId": "DZH", "skuId": "0001", "resourceUri": "/x",
    "chargeType": "new", "unitOfMeasure": "1 Hour", "pricingCurrency": "USD",
    "billingCurrency": "EUR", "quantity": 72.0, "unitPrice": 0.2304,
    "effectiveUnitPrice": 0.19584, "billingPreTaxTotal": 1.5, "rateOfPartnerEarnedCredit": 0.15,
    "pcToBCExchangeRate": 0.9184, "pcToBCExchangeRateDate": "2026-04-30T00:00:00Z",
}  # fmt: skip
VALUES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False) | st.lists(st.integers(), max_size=2)
)  # fmt: skip


@given(
    changes=st.dictionaries(
        st.sampled_from([*DOCUMENTED, "lineId", "additionalInfo", "CustomerID", "other"]), VALUES
    ),
    missing=st.sets(st.sampled_from([*DOCUMENTED]), max_size=2),
    upper=st.booleans(),
)
def test_the_fast_way_reads_what_the_slow_way_reads(
    changes: dict[str, Any], missing: set[str], upper: bool
) -> None:
    """Whatever is missing, null, of another type or in another casing."""
    document = {k: v for k, v in {**DOCUMENTED, **changes}.items() if k not in missing}
    if upper:
        document = {k[0].upper() + k[1:]: v for k, v in document.items()}
    line = json.dumps(document).encode()

    fast, slow = row_of_json(line), slow_row_of_json(line)

    assert {k: v for k, v in fast.items() if v} == {k: v for k, v in slow.items() if v}


def test_the_first_readable_line_tells_the_month() -> None:
    """Broken lines before it do not matter."""
    month = first_billing_month([b"{", raw(chargeStartDate="2026-05-01T00:00:00Z")])

    assert str(month) == "[2026-05-01, 2026-06-01)"
    assert first_billing_month([b"{"]) is None


@given(st.lists(st.integers(-(10**6), 10**6), max_size=30), st.integers(1, 7))
def test_totals_of_chunks_add_up_to_the_file(quantities: list[int], size: int) -> None:
    """Wherever the file is cut."""
    lines = [raw(f"c{q % 5}", quantity=q) for q in quantities]
    totals = Totals()
    for at in range(0, len(lines), size):
        totals = prepare(lines[at : at + size], START).totals(totals)

    assert totals == Totals().plus(prepare(lines, START).accepted)
    assert totals.quantity == sum(quantities)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_line_or_a_reason(line: bytes) -> None:
    """Nothing in a file can stop a load."""
    if b"\n" in line:
        return
    chunk = prepare([line], START)

    assert len(chunk.accepted) + len(chunk.refused) == (1 if line.strip() else 0)
    assert all(refusal.code for refusal in chunk.refused)
