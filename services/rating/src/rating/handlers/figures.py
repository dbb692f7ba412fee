"""Decimals as people read them."""

from __future__ import annotations

from decimal import Decimal


def plain(value: Decimal) -> str:
    """Every digit that says something: `0.2304`, not `0.230400000000000000`; never an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
