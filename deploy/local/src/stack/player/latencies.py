"""How long things took in real time, read from the journals that the simulators keep.

From a Partner Center webhook leaving until the adjustment it caused arrives at Autotask; simulated
time plays no part in it.
"""

from __future__ import annotations

from typing import Any

from stack.player.services import Services

Row = dict[str, Any]


async def latencies(services: Services, *, since: float) -> dict[str, Row]:
    """Percentiles in milliseconds by what was measured; empty where nothing happened.

    `since` is real time, seconds since 1970: what was before is none of this play's.
    """
    sent = await _moments(services, "partner-center", "direction=out")
    posts = await _moments(
        services, "autotask", "direction=in&method=POST&path=ContractServiceAdjustments"
    )
    reached = [
        (arrived - max(before)) * 1000
        for arrived in posts
        if arrived >= since
        and (before := [moment for moment in sent if since <= moment <= arrived])
    ]
    return {"webhook_to_autotask_ms": percentiles(reached)} if reached else {}


def percentiles(values: list[float]) -> Row:
    """Count, p50, p99 and maximum, as text with one decimal."""
    ordered = sorted(values)

    def at(share: float) -> str:
        index = min(len(ordered) - 1, round(share * (len(ordered) - 1)))
        return f"{ordered[index]:.1f}"

    return {"count": len(ordered), "p50": at(0.50), "p99": at(0.99), "max": at(1.0)}


async def _moments(services: Services, simulator: str, query: str) -> list[float]:
    journal = await services.simulator("GET", f"/{simulator}/_control/journal?{query}&limit=50000")
    return [float(entry["at"]) for entry in journal["entries"]]
