"""Domains decide from their arguments alone, and money is never a binary fraction."""

from __future__ import annotations

import pytest

from architecture.rules.purity import floats, touches_the_world
from architecture.trees import domains, listed, planted, production


def test_no_domain_touches_the_world() -> None:
    """No files, no network, no clock, no chance, no logging, no waiting."""
    found = [finding for source in domains() for finding in touches_the_world(source)]

    assert len(domains()) > 40
    assert not found, listed(found)


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "import os.path",
        "from pathlib import Path",
        "import asyncio",
        "from asyncio import sleep",
        "import random",
        "from secrets import token_hex",
        "from uuid import uuid4",
        "import logging",
        "import structlog",
        "from pydantic import BaseModel",
        "import urllib.request",
        "from urllib import request",
        "from concurrent.futures import ThreadPoolExecutor",
        "def f():\n    import socket",
        "if TYPE_CHECKING:\n    import asyncpg",
        "from shared.kernel.ids import derived_id, new_id",
        "x = open('rates.csv')",
        "print('here')",
        "y = eval('1')",
        "now = datetime.now(UTC)",
        "now = datetime.datetime.utcnow()",
        "day = date.today()",
        "day = datetime.date.today()",
        "def f(clock):\n    return clock.now()",
        "async def decide(): ...",
    ],
)
def test_a_domain_that_touches_the_world_is_caught(text: str) -> None:
    """Each of these makes last month's figure impossible to compute again."""
    found = list(touches_the_world(planted(f"'''Planted.'''\n\n{text}\n")))

    assert found
    assert found[0].path == "services/rating/src/rating/domain/planted.py"
    assert found[0].line in {3, 4}


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import UTC, date, datetime, timedelta",
        "from uuid import UUID, uuid5",
        "from urllib.parse import urlsplit",
        "import hashlib, hmac, json, re, csv, gzip",
        "from shared.kernel.ids import derived_id",
        "at = datetime.fromisoformat(text)",
        "at = datetime.fromtimestamp(seconds, UTC)",
        "def f(now: datetime) -> date:\n    return now.date()",
        "opened = account.open()",
        "first = sheet.print_name",
        "import operator",
        "import timeit_is_no_module_of_ours",
    ],
)
def test_pure_code_is_left_alone(text: str) -> None:
    """What takes the world as an argument, or only sounds like it."""
    assert list(touches_the_world(planted(text))) == []


def test_money_code_has_no_float() -> None:
    """Domains, the kernel and the contracts."""
    sources = domains() + [s for s in production() if s.layer in {"kernel", "contracts"}]
    found = [finding for source in sources for finding in floats(source)]

    assert {"shared/src/shared/kernel/money.py", "shared/src/shared/contracts/rating.py"} <= {
        source.path for source in sources
    }
    assert not found, listed(found)


@pytest.mark.parametrize(
    "text",
    [
        "amount = 0.1",
        "amount = 1e3",
        "amount = -2.5",
        "ratio = 1j",
        "amount = float(text)",
        "amount = float('nan')",
        "def f(amount: float) -> None: ...",
        "def f() -> float | None: ...",
        "class A:\n    amount: float",
        "def f(amount: 'float') -> None: ...",
        "amounts: list[float] = []",
        "amount = builtins.float(text)",
        "convert = float",
        "total = sum(map(float, texts))",
        "share = part / 2.0",
    ],
)
def test_a_float_in_money_code_is_caught(text: str) -> None:
    """Literals, conversions and annotations."""
    assert list(floats(planted(text)))


@pytest.mark.parametrize(
    "text",
    [
        "amount = Decimal('0.1')",
        "if isinstance(value, float):\n    raise TypeError(value)",
        "if isinstance(value, float | bool):\n    raise TypeError(value)",
        "share = Fraction(1, 3)",
        "version = '1.0'",
        "'''A float would lose cents.'''",
        "count = 10 // 3",
        "floating = 3",
    ],
)
def test_exact_numbers_are_left_alone(text: str) -> None:
    """Refusing a float needs its name."""
    assert list(floats(planted(text))) == []
