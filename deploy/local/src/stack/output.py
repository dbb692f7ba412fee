"""Where text goes: a terminal as wide as it is, or a pipe or file in which no figure is cut;
and how figures and instants are written in it."""

from __future__ import annotations

import os
from decimal import Decimal

from rich.console import Console
from rich.rule import Rule

PAGE = 100
PIPED_WIDTH = 500  # nobody sees an edge there; a table takes what it needs and no more


def console(*, stderr: bool = False) -> Console:
    """A console for people. `COLUMNS` decides the width if it is set, as everywhere."""
    found = Console(stderr=stderr, highlight=False)
    if found.is_terminal or "COLUMNS" in os.environ:
        return found
    return Console(stderr=stderr, highlight=False, width=PIPED_WIDTH)


def heading(text: str, *, to: Console) -> None:
    """A line across a page, on paper of any width."""
    to.print(Rule(text), width=min(to.width, PAGE))


def many(count: int, what: str) -> str:
    """`1 seat`, `1,200 seats`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def money(amount: object) -> str:
    """An amount as it is, in groups of thousands."""
    return f"{Decimal(str(amount)):,f}"


def minute(instant: str) -> str:
    """An instant of an API, UTC, to the minute."""
    return instant[:16].replace("T", " ")
