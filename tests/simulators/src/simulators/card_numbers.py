"""What looks like a card number, so that no simulator accepts one and no journal keeps one."""

from __future__ import annotations

import re

_RUN = re.compile(r"(?<![\w-])[2-6](?:[ +-]?\d){12,18}(?![\w-])")
MASK = "[card number]"


def contains_card_number(text: str) -> bool:
    """A run of 13 to 19 digits as card networks issue them that passes the Luhn check."""
    return any(_passes_luhn(found[0]) for found in _RUN.finditer(text))


def without_card_numbers(text: str) -> str:
    """The text with a mask in place of every such run."""
    return _RUN.sub(lambda found: MASK if _passes_luhn(found[0]) else found[0], text)


def _passes_luhn(run: str) -> bool:
    digits = [int(c) for c in run if c.isdigit()]
    doubled = [
        d if n % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for n, d in enumerate(digits[::-1])
    ]
    return sum(doubled) % 10 == 0 and len(set(digits)) > 1
