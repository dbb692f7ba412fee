"""What `tieout replay` prints: one sentence, or every changed cent."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from stack import replay

NOTHING: dict[str, Any] = {
    "customers": 1, "contracts": 1, "charges": 1200, **{name: [] for name in replay.LISTS},
}  # fmt: skip
CHANGED = {
    "contract_id": "ALD-1",
    "description": "Business Premium",
    "service_period": {"start": "2026-05-01", "end": "2026-06-01"},
    "currency": "USD",
    "was": "969.65",
    "now": "969.64",
    "difference": "-0.01",
    "why": ["unit price 22.55 → 22.54"],
}


def told(**changes: Any) -> str:
    text = StringIO()
    replay._tell(Console(width=200, file=text), NOTHING | changes)
    return text.getvalue()


def test_no_difference_is_one_sentence() -> None:
    """How many charges of how many contracts, and that nothing differs."""
    assert told() == "1,200 charges of 1 contract recomputed: no difference\n"


def test_a_period_without_charges_is_no_clean_result() -> None:
    """Nothing was compared, and that is what it says."""
    assert told(charges=0) == "Nothing was compared: no charge of 1 contract is in this period.\n"


def test_every_changed_cent_is_a_row() -> None:
    """The contract, both amounts, the cent, the reason, and the sum per currency."""
    text = told(differences=[CHANGED])
    row = next(line for line in text.splitlines() if "ALD-1" in line)
    for cell in ("969.65 USD", "969.64 USD", "-0.01", "unit price 22.55 → 22.54"):
        assert cell in row
    assert text.splitlines()[0].endswith("1 difference")
    assert text.splitlines()[-1] == "-0.01 USD"


def test_what_was_not_computed_is_said() -> None:
    """A hold, a customer that failed and facts that wait: none of them is silent."""
    hold = {"object": "subscription/A", "detail": "no price", "reason": "unknown_product"}
    text = told(
        not_computed=[hold],
        failed=[{"customer_id": "birch", "detail": "Invalid: x"}],
        waiting=["cedar"],
        log_entries_missing=["entry"],
    )
    assert "subscription/A: no price (unknown_product)" in text
    assert "customer birch: Invalid: x" in text
    assert "not rated yet: cedar" in text
    assert "1 entry is not in the License Change Log" in text
