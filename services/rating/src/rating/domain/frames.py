"""The lines of a frame as a table that remembers their rows, whole or of one customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, slots=True)
class NumberedTable:
    """Lines and, for each, its row in the batch: half of its address."""

    table: pa.Table
    rows: Sequence[int]

    def column(self, name: str) -> list[Any]:
        return self.table.column(name).to_pylist()


def numbered(table: pa.Table) -> NumberedTable:
    """Every line of a frame."""
    return NumberedTable(table, range(table.num_rows))


def customers(table: pa.Table) -> list[str]:
    """The customers that have a line in it."""
    found: list[Any] = pc.unique(table.column("customer_id")).to_pylist()
    return sorted(found)


def subscription_names(table: pa.Table) -> set[tuple[str, str, str]]:
    """(customer, Azure subscription, name) as the frame tells them; the last name of each wins."""
    names = ("customer_id", "azure_subscription_id", "azure_subscription_name")
    rows = zip(*(table.column(name).to_pylist() for name in names), strict=True)
    latest = {(customer, azure): name for customer, azure, name in rows if name}
    return {(customer, azure, name) for (customer, azure), name in latest.items()}


def of_customer(lines: NumberedTable, customer_id: str) -> NumberedTable:
    """The lines of one customer, at their rows."""
    theirs: Any = pc.equal(lines.table.column("customer_id"), pa.scalar(customer_id))
    rows = [lines.rows[index] for index in pc.indices_nonzero(theirs).to_pylist()]
    return NumberedTable(lines.table.filter(theirs), rows)
