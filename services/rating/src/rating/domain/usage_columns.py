"""The columnar twin of `usage.group_lines`: the same groups, decided per combination, not per line.

Every column becomes small integers; combinations of them are what is decided and summed. Decimals
are compared and summed as 256-bit integers by Arrow, so nothing is rounded and nothing wraps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rating.domain.fx import ProviderRate
from rating.domain.usage import Decider, Decision, Facts, Group, Grouped, GroupKey
from shared.contracts.usage_frame import SCALE

Codes = npt.NDArray[np.int64]

_WIDE = pa.decimal256(76, SCALE)
_EPOCH = date(1970, 1, 1)
_CODE_LIMIT = 2**62

_DECIDING = (
    "customer_id", "azure_subscription_id", "meter_category", "product_key", "charge_type",
    "pricing_currency", "billing_currency", "provider_rate", "provider_rate_on",
)  # fmt: skip
_PROVIDER = ("pricing_currency", "billing_currency", "provider_rate", "provider_rate_on")
# In the order of the fields of `GroupKey`, without the decision before and the month in between.
_GROUPING = (
    "customer_id", "azure_subscription_id", "meter_category", "meter_id", "meter_name",
    "product_key", "unit", "unit_price", "effective_unit_price", "pec_rate", "pricing_currency",
    "billing_currency", "provider_rate", "provider_rate_on",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as codes and what each code stands for."""

    codes: Codes
    values: Sequence[Any]

    def picked(self, rows: Codes) -> list[Any]:
        """The values of some rows."""
        return [self.values[code] for code in self.codes[rows].tolist()]


@dataclass(frozen=True, slots=True)
class _Combined:
    """Combinations of columns: which one each row has, and a row that shows each."""

    codes: Codes
    examples: Codes


def group_table(table: pa.Table, decider: Decider) -> Grouped:
    """Decide and sum the lines of a frame. Groups come in the order of their first line."""
    if table.num_rows == 0:
        return Grouped((), ())
    columns = {name: _column(table, name) for name in {*_DECIDING, *_GROUPING}}
    days = _days(table)
    decisions = _decide(columns, days, _covered(table), decider)
    months = _months(days)
    grouping = [columns[name] for name in _GROUPING]
    keys = _combine([c.codes for c in (decisions, months, *grouping)])
    told = [column.picked(keys.examples) for column in (decisions, *grouping[:7], months)]
    told += [column.picked(keys.examples) for column in grouping[7:10]]
    told.append(_providers(columns, keys.examples))
    groups = tuple(
        Group(GroupKey(*key), lines, quantity, pretax)
        for key, lines, quantity, pretax in zip(
            zip(*told, strict=True),
            np.bincount(keys.codes).tolist(),
            _sums(table, "quantity", keys.codes),
            _sums(table, "billing_pretax", keys.codes),
            strict=True,
        )
    )
    return Grouped(groups, tuple(keys.codes.tolist()))


def _decide(columns: dict[str, _Column], days: Codes, covered: Codes, decider: Decider) -> _Column:
    """One decision per combination of what decides; days count by the span they are in."""
    edges = np.array([(day - _EPOCH).days for day in decider.turning_days], dtype=np.int64)
    spans = np.searchsorted(edges, days, side="right").astype(np.int64)
    cases = _combine([spans, covered, *(columns[name].codes for name in _DECIDING)])
    rows = cases.examples
    told = (
        *(columns[name].picked(rows) for name in _DECIDING[:2]),
        [_day(number) for number in days[rows].tolist()],
        *(columns[name].picked(rows) for name in _DECIDING[2:5]),
        covered[rows].astype(bool).tolist(),
        _providers(columns, rows),
    )
    numbers: dict[Decision, int] = {}
    by_case = [
        numbers.setdefault(decider.decide(Facts(*facts)), len(numbers))
        for facts in zip(*told, strict=True)
    ]
    return _Column(np.array(by_case, dtype=np.int64)[cases.codes], list(numbers))


def _combine(parts: Sequence[Codes]) -> _Combined:
    """Number the combinations that occur, in the order of their first row."""
    code = parts[0]
    size = int(code.max()) + 1
    for part in parts[1:]:
        width = int(part.max()) + 1
        if size * width >= _CODE_LIMIT:
            kept, code = np.unique(code, return_inverse=True)
            size = len(kept)
        code = code * width + part
        size *= width
    _, first, code = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return _Combined(place[code].astype(np.int64), first[order].astype(np.int64))


def _column(table: pa.Table, name: str) -> _Column:
    array: Any = table.column(name).combine_chunks()
    if not pa.types.is_dictionary(array.type):
        array = pc.dictionary_encode(array, null_encoding="encode")
    codes = array.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return _Column(codes, array.dictionary.to_pylist())


def _days(table: pa.Table) -> Codes:
    days = table.column("usage_date").combine_chunks().cast(pa.int32())
    return days.to_numpy(zero_copy_only=False).astype(np.int64)


def _covered(table: pa.Table) -> Codes:
    """`usage.is_covered` for every row."""
    priced = pc.not_equal(table.column("unit_price"), _ZERO)
    free = pc.and_(
        pc.equal(table.column("effective_unit_price"), _ZERO),
        pc.equal(table.column("billing_pretax"), _ZERO),
    )
    found: Any = pc.and_(priced, free)
    return np.asarray(found.combine_chunks().to_numpy(zero_copy_only=False), dtype=np.int64)


_ZERO = pa.scalar(Decimal(0), pa.decimal128(38, SCALE))


def _sums(table: pa.Table, name: str, codes: Codes) -> list[Any]:
    """The exact sum of a column for each code, in the order of the codes."""
    values = table.column(name).combine_chunks().cast(_WIDE)
    summed = pa.table({"code": pa.array(codes), "value": values}).group_by("code")
    return summed.aggregate([("value", "sum")]).sort_by("code").column("value_sum").to_pylist()


def _providers(columns: dict[str, _Column], rows: Codes) -> list[ProviderRate]:
    parts = [columns[name].picked(rows) for name in _PROVIDER]
    known: dict[tuple[Any, ...], ProviderRate] = {}
    found = []
    for told in zip(*parts, strict=True):
        if told not in known:
            known[told] = ProviderRate(*told)
        found.append(known[told])
    return found


def _months(days: Codes) -> _Column:
    """The first day of each day's month."""
    starts = days.astype("datetime64[D]").astype("datetime64[M]").astype("datetime64[D]")
    kept, codes = np.unique(starts.astype(np.int64), return_inverse=True)
    return _Column(codes.astype(np.int64), [_day(number) for number in kept.tolist()])


def _day(number: int) -> date:
    return date.fromordinal(_EPOCH.toordinal() + number)
