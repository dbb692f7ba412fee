"""Invoice numbers: the selling entity's prefix and a gapless count, six digits or more.

`ALD-000042` is the 42nd invoice of the entity with prefix `ALD-`. The count is taken in the
transaction that finalises the invoice, so a rollback gives the number back.
"""

from __future__ import annotations

import re

from shared.kernel.errors import Invalid

# Not ending in a digit: "INV1" + "000001" would be "INV" + "1000001". No slash: a line is
# addressed as "<number>/<line>".
_PREFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,18}[A-Za-z_-])?")
_DIGITS = 6


def require_prefix(prefix: str) -> str:
    """The prefix, if numbers made with it can be told from all others.

    Raises:
        Invalid: `invoice_prefix_invalid`.
    """
    if not _PREFIX.fullmatch(prefix) or prefix[-1].isdigit():
        raise Invalid(
            "invoice_prefix_invalid",
            f"{prefix!r}: 1 to 20 letters, digits, '-' or '_', not starting with a sign "
            "and not ending with a digit",
        )
    return prefix


def invoice_number(prefix: str, count: int) -> str:
    """The number of the `count`-th invoice, from 1."""
    if count < 1:
        raise Invalid("invoice_count_invalid", f"invoices are counted from 1, not {count}")
    return f"{prefix}{count:0{_DIGITS}d}"


def line_reference(number: str, line: int) -> str:
    """How other documents point at a line: `ALD-000042/3`."""
    return f"{number}/{line}"
