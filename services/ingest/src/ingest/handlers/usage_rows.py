"""JSON lines of usage as texts by column: a fast way for documented names, a slow one for all.

Numbers are cut out of the line as text and never pass through a float. Whatever the fast way does
not find under its documented name, the slow way looks for in any casing; a test holds the two to
the same answers.
"""

from __future__ import annotations

import msgspec

from ingest.domain.documents import plain_name
from ingest.domain.usage_lines import NEEDED, Row
from shared.kernel.errors import Invalid

_NOTHING = msgspec.Raw(b'""')


class _Columns(msgspec.Struct, gc=False, kw_only=True, rename="camel"):
    """The documented columns; those without a default must be there for the fast way."""

    customer_id: str
    entitlement_id: str
    entitlement_description: str
    usage_date: str
    charge_start_date: str
    meter_category: str
    meter_id: str
    meter_name: str
    product_id: str
    sku_id: str
    resource_uri: str
    charge_type: str
    unit_of_measure: str
    pricing_currency: str
    billing_currency: str
    quantity: msgspec.Raw
    unit_price: msgspec.Raw
    effective_unit_price: msgspec.Raw
    billing_pre_tax_total: msgspec.Raw
    rate_of_partner_earned_credit: msgspec.Raw
    pc_to_bc_exchange_rate: msgspec.Raw = msgspec.field(name="pcToBCExchangeRate")
    pc_to_bc_exchange_rate_date: str = msgspec.field(name="pcToBCExchangeRateDate")
    additional_info: str
    line_id: msgspec.Raw = _NOTHING


_TEXTS = (
    "customer_id", "entitlement_id", "entitlement_description", "usage_date",
    "charge_start_date", "meter_category", "meter_id", "meter_name", "product_id", "sku_id",
    "resource_uri", "charge_type", "unit_of_measure", "pricing_currency", "billing_currency",
    "pc_to_bc_exchange_rate_date", "additional_info",
)  # fmt: skip
_NUMBERS = (
    "quantity", "unit_price", "effective_unit_price", "billing_pre_tax_total",
    "rate_of_partner_earned_credit", "pc_to_bc_exchange_rate", "line_id",
)  # fmt: skip
_TEXT_NAMES = tuple((name, plain_name(name)) for name in _TEXTS)
_NUMBER_NAMES = tuple((name, plain_name(name)) for name in _NUMBERS)

_FAST = msgspec.json.Decoder(_Columns)
_SLOW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)


def row_of_json(line: bytes) -> Row:
    """The needed columns of a JSON line as texts.

    Raises:
        Invalid: `line_malformed`.
    """
    try:
        columns = _FAST.decode(line)
        row = {plain: getattr(columns, name) for name, plain in _TEXT_NAMES}
        for name, plain in _NUMBER_NAMES:
            row[plain] = _text(getattr(columns, name))
    except (msgspec.DecodeError, ValueError):
        return slow_row_of_json(line)
    return row


def slow_row_of_json(line: bytes) -> Row:
    """The same for columns in any casing, of any type, some of them missing.

    Raises:
        Invalid: `line_malformed`.
    """
    try:
        row: dict[str, str] = {}
        for name, raw in _SLOW.decode(line).items():
            plain = plain_name(name)
            if plain in NEEDED:
                row.setdefault(plain, _text(raw))  # of two spellings the first one counts
        return row
    except (msgspec.DecodeError, ValueError) as error:
        raise Invalid("line_malformed", str(error)[:200]) from error


def _text(raw: msgspec.Raw) -> str:
    value = bytes(raw)
    if value.startswith(b'"'):
        return _STRING.decode(value)
    return "" if value == b"null" else value.decode("ascii")
