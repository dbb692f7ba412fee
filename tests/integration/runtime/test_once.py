"""An idempotency key: one effect however often it is sent, and the same answer to everybody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi.responses import JSONResponse

from shared.kernel.errors import Conflict, Invalid
from shared.runtime.postgres import Database
from shared.runtime.web import once

ENDPOINT = "POST /v1/attempts"
BODY = {"invoice_id": "i-1", "amount": "10.00"}
EFFECTS = "SELECT count(*) FROM audit WHERE action = 'effect'"
KEYS = "SELECT count(*) FROM idempotency_key"


async def send(
    database: Database,
    *,
    key: str = "k-1",
    body: object = BODY,
    caller: str = "operator",
    endpoint: str = ENDPOINT,
    error: Exception | None = None,
) -> JSONResponse:
    async with database.transaction(actor=caller) as tx:

        async def work() -> tuple[int, Any]:
            await tx.record("effect", "attempt/1")
            if error is not None:
                raise error
            return 201, {"id": tx.new_id(), "amount": "10.00"}

        return await once(tx, endpoint, key, body, work)


async def count(database: Database, sql: str) -> int:
    async with database.read() as reader:
        return int(await reader.fetchval(sql))


async def test_fifty_equal_requests_at_once_have_one_effect(database: Database) -> None:
    """Whoever comes first does the work; forty-nine read its answer."""
    answers = await asyncio.gather(*(send(database) for _ in range(50)))

    assert await count(database, EFFECTS) == 1
    assert len({bytes(answer.body) for answer in answers}) == 1
    assert {answer.status_code for answer in answers} == {201}
    replayed = [answer.headers.get("idempotent-replayed") for answer in answers]
    assert [None, *["true"] * 49] == sorted(replayed, key=lambda value: value is not None)


async def test_fifty_different_keys_have_fifty_effects(database: Database) -> None:
    """Keys do not get in one another's way."""
    await asyncio.gather(*(send(database, key=f"k-{number}") for number in range(50)))

    assert await count(database, EFFECTS) == 50


async def test_the_order_of_fields_does_not_matter(database: Database) -> None:
    """A client library may serialise its retry differently."""
    await send(database, body={"a": 1, "b": [1, {"x": 1, "y": 2}]})
    await send(database, body={"b": [1, {"y": 2, "x": 1}], "a": 1})

    assert await count(database, EFFECTS) == 1


@pytest.mark.parametrize("other", [{**BODY, "amount": "10.01"}, {}, None, [BODY]])
async def test_a_key_used_with_another_body_is_refused(database: Database, other: object) -> None:
    """The client has confused two requests; guessing which one it meant would cost money."""
    await send(database)

    with pytest.raises(Conflict) as refused:
        await send(database, body=other)

    assert refused.value.code == "idempotency_key_reused"
    assert await count(database, EFFECTS) == 1


@pytest.mark.parametrize("changes", [{"caller": "somebody-else"}, {"endpoint": "POST /v1/x"}])
async def test_a_key_belongs_to_a_caller_and_an_endpoint(
    database: Database, changes: dict[str, Any]
) -> None:
    """Two clients may count from one."""
    await send(database)
    await send(database, **changes)

    assert await count(database, EFFECTS) == 2


async def test_work_that_fails_may_be_tried_again_with_its_key(database: Database) -> None:
    """Key and effect commit together, or neither does."""
    with pytest.raises(Invalid):
        await send(database, error=Invalid("no_profile", "no payment method yet"))
    assert await count(database, KEYS) == 0

    answer = await send(database)

    assert answer.status_code == 201
    assert await count(database, EFFECTS) == 1


async def test_a_failure_among_parallel_requests_hands_over_to_the_next(
    database: Database,
) -> None:
    """The lock is freed by the rollback; one of the others does the work."""
    fail = ConnectionResetError("lost")
    attempts = [send(database, error=fail if number == 0 else None) for number in range(20)]

    answers = await asyncio.gather(*attempts, return_exceptions=True)

    assert await count(database, EFFECTS) == 1
    assert sum(isinstance(answer, JSONResponse) for answer in answers) >= 19
