"""Names that people type: found, or a mistake with a stable code."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any, cast
from urllib.parse import unquote

import pytest
import typer

from shared.runtime.http import Response
from stack import naming
from stack.errors import USAGE, Mistaken, NotPermitted
from stack.player.services import Services, refused
from stack.running import complaint

CONTRACTS = [
    {"contract_id": "ALD-1", "account_id": "alder", "provider_customer_id": "tenant-a"},
    {"contract_id": "TWO-1", "account_id": "two", "provider_customer_id": "tenant-b"},
    {"contract_id": "TWO-2", "account_id": "two", "provider_customer_id": "tenant-c"},
]
SUBSCRIPTIONS = [
    {"subscription_id": "9cd520c8-1", "customer_id": "tenant-a"},
    {"subscription_id": "9cd5ffff-2", "customer_id": "tenant-d"},
]
LISTS: dict[str, tuple[str, list[dict[str, str]]]] = {
    "/v1/contracts": ("contract_id", CONTRACTS),
    "/v1/accounts": ("account_id", [{"account_id": "alder"}, {"account_id": "two"}]),
    "/v1/subscriptions": ("subscription_id", SUBSCRIPTIONS),
}


def answer(status: int, code: str, detail: str = "no") -> Response:
    body = f'{{"detail": "{detail}", "code": "{code}"}}'.encode()
    return Response(status=status, headers={}, content=body)


class Answers:
    """Services that know three contracts and two subscriptions."""

    async def get(self, service: str, path: str, **params: Any) -> Any:
        params.pop("limit", None)
        if path in LISTS:
            rows = LISTS[path][1]
            return {"data": [r for r in rows if params.items() <= r.items()]}
        head, _, name = path.rpartition("/")
        key, rows = LISTS[head]
        for row in rows:
            if row[key] == unquote(name):
                return row
        raise refused(service, path, answer(404, "unknown"))

    async def pages(self, service: str, path: str, **params: Any) -> Any:
        return (await self.get(service, path, **params))["data"]


def narrowed(**names: str) -> dict[str, str]:
    return asyncio.run(naming.narrowed(cast(Services, Answers()), **names))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({"contract": "ALD-1"}, {"contract_id": "ALD-1"}),
        ({"customer": "alder"}, {"customer_id": "tenant-a"}),
        ({"customer": "tenant-a"}, {"customer_id": "tenant-a"}),
        ({"customer": "tenant-c"}, {"customer_id": "tenant-c"}),
        ({"customer": "tenant-d"}, {"customer_id": "tenant-d"}),
        ({"subscription": "9cd520c8-1"}, {"subscription_id": "9cd520c8-1"}),
        ({"subscription": "9CD52"}, {"subscription_id": "9cd520c8-1"}),
        ({}, {}),
    ],
)
def test_a_name_is_what_the_services_call_it(names: Any, found: Any) -> None:
    """Accounts stand for their customer, the beginning of an id for the whole."""
    assert narrowed(**names) == found


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        ({"contract": "NOPE"}, "contract_unknown", "ALD-1, TWO-1, TWO-2"),
        ({"contract": ".."}, "contract_unknown", "ALD-1"),
        ({"customer": "nobody"}, "customer_unknown", "alder, two"),
        ({"customer": "two"}, "customer_ambiguous", "tenant-b, tenant-c"),
        ({"subscription": "foo"}, "subscription_unknown", "tieout changes"),
        ({"subscription": "9cd"}, "subscription_unknown", "tieout changes"),
        ({"subscription": "9cd5"}, "subscription_ambiguous", "9cd520c8-1, 9cd5ffff-2"),
    ],
)
def test_a_name_that_nobody_has_is_a_mistake(names: Any, code: str, words: str) -> None:
    """Never an empty answer that looks like a clean one."""
    with pytest.raises(Mistaken, match=words) as caught:
        narrowed(**names)

    assert (caught.value.code, caught.value.exit_code) == (code, USAGE)


def test_dates_in_the_wrong_order_are_a_mistake() -> None:
    """Also when they are the same: the end is exclusive."""
    day = date(2026, 6, 1)
    for until in (day, date(2026, 5, 1)):
        with pytest.raises(Mistaken) as caught:
            naming.require_days(day, until)
        assert caught.value.code == "period_empty"
    naming.require_days(day, date(2026, 6, 2))
    naming.require_days(None, day)


@pytest.mark.parametrize("text", ["tomorrow", "01.06.2026", "2026-13-01", "20260601", "2026-W10-1"])
def test_a_day_is_written_one_way(text: str) -> None:
    """Or the command says which."""
    with pytest.raises(typer.BadParameter, match="write it as 2026-04-01"):
        naming.day(text)


def test_short_ids_are_unambiguous_among_those_shown() -> None:
    """Eight characters, or as many more as they need."""
    assert naming.short_ids(["12345678-a", "22345678-a"]) == {
        "12345678-a": "12345678", "22345678-a": "22345678",
    }  # fmt: skip
    assert naming.short_ids(["12345678-a", "12345678-b"]) == {
        "12345678-a": "12345678-a", "12345678-b": "12345678-b",
    }  # fmt: skip
    assert naming.short_ids([]) == {}


def test_a_refusal_is_the_services_own_words() -> None:
    """Without addresses; exit code 64 for what is not known, 77 for what may not be done, 69 for
    what could not be asked."""
    unknown = complaint(refused("rating", "GET /v1/x", answer(404, "x_unknown", "no x")), "Out")
    author = complaint(refused("rating", "POST /v1/x", answer(409, "own_change")), "Out")
    broken = complaint(refused("rating", "GET /v1/x", answer(500, "internal")), "Out")

    assert (str(unknown), unknown.exit_code) == ("no x [x_unknown]", 64)
    assert (str(author), author.exit_code) == ("no [own_change]", 77)
    assert isinstance(author, NotPermitted)
    assert (str(broken).split(":")[0], broken.exit_code) == ("Out", 69)
