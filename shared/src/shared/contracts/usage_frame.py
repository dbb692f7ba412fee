"""The columnar usage frame: one Arrow IPC stream of daily rated lines, readable by any Arrow tool.

Money and quantities are decimal128(38, 18): every digit a provider sends, exactly. Text
columns that repeat are dictionary-encoded. The schema metadata names file, number and row count, so
that a frame found in a bucket ten years from now still says what it is.

Decision 0005 says why Arrow and why decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pyarrow as pa

from shared.kernel.errors import Invalid

FORMAT = "tieout.usage-frame.v1"
MAX_LINES = 5_000
MAX_FRAME_BYTES = 900_000  # the broker refuses record batches above 1 MiB
SCALE = 18
_DECIMAL = pa.decimal128(38, SCALE)
_WORD = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True, slots=True)
class UsageLine:
    """One daily rated line. Prices are per unit in `pricing_currency`, before partner credit.

    `pec_rate` is the partner earned credit as a fraction (0.15). `provider_rate` converts pricing
    to billing currency. `billing_pretax` is what the provider bills for the line, after credit.
    """

    line_id: str  # the provider's or the story's own reference; may be empty
    line_number: int  # in the source file, from 1
    customer_id: str
    azure_subscription_id: str
    azure_subscription_name: str  # for people; may be empty, may change
    usage_date: date
    meter_category: str
    meter_id: str
    meter_name: str
    product_key: str  # product:sku of the meter
    resource_uri: str
    unit: str
    charge_type: str
    quantity: Decimal
    unit_price: Decimal
    effective_unit_price: Decimal
    pricing_currency: str
    billing_currency: str
    provider_rate: Decimal
    provider_rate_on: date | None
    pec_rate: Decimal
    billing_pretax: Decimal


_FIELDS: list[pa.Field[pa.DataType]] = [
    pa.field("line_id", pa.string()),
    pa.field("line_number", pa.int64()),
    pa.field("customer_id", _WORD),
    pa.field("azure_subscription_id", _WORD),
    pa.field("azure_subscription_name", _WORD),
    pa.field("usage_date", pa.date32()),
    pa.field("meter_category", _WORD),
    pa.field("meter_id", _WORD),
    pa.field("meter_name", _WORD),
    pa.field("product_key", _WORD),
    pa.field("resource_uri", _WORD),
    pa.field("unit", _WORD),
    pa.field("charge_type", _WORD),
    pa.field("quantity", _DECIMAL),
    pa.field("unit_price", _DECIMAL),
    pa.field("effective_unit_price", _DECIMAL),
    pa.field("pricing_currency", _WORD),
    pa.field("billing_currency", _WORD),
    pa.field("provider_rate", _DECIMAL),
    pa.field("provider_rate_on", pa.date32()),
    pa.field("pec_rate", _DECIMAL),
    pa.field("billing_pretax", _DECIMAL),
]
SCHEMA = pa.schema(_FIELDS)


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What a frame says about itself."""

    file_id: str
    data_set: str
    number: int  # batch number within the file, from 0
    lines: int
    invoice_number: str | None
    billing_month: str  # YYYY-MM of the provider's billing period
    estimate: bool


def encode(header: FrameHeader, lines: Sequence[UsageLine]) -> bytes:
    """An Arrow IPC stream (zstd) of these lines.

    Raises:
        Invalid: `usage_digits` when a number has more than 18 digits after the point or 20 before.
    """
    columns = {f.name: [getattr(line, f.name) for line in lines] for f in SCHEMA}
    metadata = {
        "format": FORMAT,
        "file_id": header.file_id,
        "data_set": header.data_set,
        "number": str(header.number),
        "lines": str(len(lines)),
        "invoice_number": header.invoice_number or "",
        "billing_month": header.billing_month,
        "estimate": "1" if header.estimate else "0",
    }
    try:
        batch = pa.RecordBatch.from_pydict(columns, schema=SCHEMA.with_metadata(metadata))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise Invalid("usage_digits", f"a number does not fit 20.18 digits: {error}") from error
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def open_frame(frame: bytes) -> tuple[FrameHeader, pa.Table]:
    """Header and columns of a frame.

    Raises:
        Invalid: `usage_frame_malformed` when it is not one of ours or its counts disagree.
    """
    try:
        with pa.ipc.open_stream(frame) as reader:
            table = reader.read_all()
        told = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        if told.get("format") != FORMAT or not table.schema.equals(SCHEMA, check_metadata=False):
            raise Invalid("usage_frame_malformed", "schema or format is not usage-frame v1")
        header = FrameHeader(
            file_id=told["file_id"],
            data_set=told["data_set"],
            number=int(told["number"]),
            lines=int(told["lines"]),
            invoice_number=told["invoice_number"] or None,
            billing_month=told["billing_month"],
            estimate=told["estimate"] == "1",
        )
    except (pa.ArrowInvalid, KeyError, ValueError) as error:
        raise Invalid("usage_frame_malformed", str(error)) from error
    if table.num_rows != header.lines:
        raise Invalid(
            "usage_frame_malformed", f"{table.num_rows} rows where the header says {header.lines}"
        )
    return header, table


def lines_of(table: pa.Table) -> list[UsageLine]:
    """The lines as values: the slow, plain view that the fast path is tested against."""
    return [UsageLine(**row) for row in table.to_pylist()]
