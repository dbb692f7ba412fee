"""Exchange rates as rating announced them; every version is kept."""

from __future__ import annotations

from shared.contracts.rating import FxRateEntered
from shared.kernel.fx import FxRate
from shared.runtime.postgres import Reader, Transaction

ADD_FX_RATE = """
INSERT INTO fx_rate (source_currency, target_currency, rate_on, version, rate, source, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING true
"""
FX_RATES_INTO = "SELECT * FROM fx_rate WHERE target_currency = $1"


async def add(tx: Transaction, rate: FxRateEntered) -> bool:
    """Keep a rate. False when it is known already."""
    added = await tx.fetchval(
        ADD_FX_RATE, rate.source_currency, rate.target_currency, rate.on, rate.version, rate.rate,
        rate.source, tx.now,
    )  # fmt: skip
    return added is True


async def into(reader: Reader, currency: str) -> list[FxRate]:
    """Every rate into a currency."""
    return [
        FxRate(
            row["source_currency"], row["target_currency"], row["rate_on"], row["version"],
            row["rate"], row["source"],
        )
        for row in await reader.fetch(FX_RATES_INTO, currency)
    ]  # fmt: skip
