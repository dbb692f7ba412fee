"""Worked cases of other billing engines, computed by ours: one adapter for each `calc`.

An adapter translates a row's notation (inclusive ends, cents, wall clocks) and calls the functions
that bill; it knows no case. What we do not offer stands in `NOT_OFFERED` with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from golden.peer_cases import credits, cycles, money, prorations, tiered
from golden.peer_cases.rows import Adapter, Row
from shared.kernel import conventions

ADAPTERS: Mapping[str, Adapter] = {
    **cycles.ADAPTERS,
    **prorations.ADAPTERS,
    **credits.ADAPTERS,
    **tiered.ADAPTERS,
    **money.ADAPTERS,
}

# calc → why there is no adapter for it.
NOT_OFFERED: Mapping[str, str] = {
    "prepaid_quantity_changes_cents": conventions.NOT_OFFERED["free-decrease"],
}


class Uncovered(LookupError):
    """A `calc` that is neither computed nor listed as not offered."""


def computed(row: Row) -> dict[str, object]:
    """The engine's answer to a row.

    Raises:
        Uncovered: there is no adapter for the row's `calc`, and no reason why not.
    """
    adapter = ADAPTERS.get(row.calc)
    if adapter is None:
        raise Uncovered(f"{row.calc}: write an adapter, or say in NOT_OFFERED why not")
    return adapter(row)
