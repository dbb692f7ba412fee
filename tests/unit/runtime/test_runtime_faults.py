"""Which trouble passes by itself, how long we wait for it, and how a process says it cannot run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NoReturn

import asyncpg
import httpx
import pytest
from tenacity import RetryCallState, Retrying

from shared.kernel.errors import Invalid
from shared.runtime import service
from shared.runtime.faults import is_transient
from shared.runtime.http import OutcomeUnknown, Unreachable
from shared.runtime.kafka import BusError
from shared.runtime.management import Activity, management_app
from shared.runtime.retry import Backoff, StopWhen
from shared.runtime.settings import ServiceSettings


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        TimeoutError(),
        OSError("no route to host"),
        BusError("no leader"),
        Unreachable("refused"),
        OutcomeUnknown("no answer"),
        asyncpg.SerializationError("x"),
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.ReadOnlySQLTransactionError("x"),
        asyncpg.TooManyConnectionsError("x"),
        asyncpg.LockNotAvailableError("x"),
        asyncpg.QueryCanceledError("x"),
        asyncpg.AdminShutdownError("x"),
        asyncpg.CannotConnectNowError("x"),
        asyncpg.ConnectionDoesNotExistError("x"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError(
            "cannot switch to state 12; another operation (2) is in progress"
        ),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_that_passes(error: Exception) -> None:
    """The same work later can succeed."""
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyError("x"),
        Invalid("a", "b"),
        asyncpg.UniqueViolationError("x"),
        asyncpg.UndefinedColumnError("x"),
        asyncpg.InsufficientPrivilegeError("x"),
        asyncpg.DataError("x"),
        asyncpg.InterfaceError("the server expects 2 arguments"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_that_stays(error: Exception) -> None:
    """Repeating it would only hide it."""
    assert not is_transient(error)


def state(*, attempt: int, waited: float, next_wait: float) -> RetryCallState:
    made = RetryCallState(Retrying(), None, (), {})
    made.attempt_number = attempt
    made.outcome_timestamp = made.start_time + waited
    made.upcoming_sleep = next_wait
    return made


@pytest.mark.parametrize(
    ("attempt", "waited", "next_wait", "stops"),
    [
        (1, 0.0, 1.0, False),
        (3, 5.0, 1.0, False),
        (4, 5.0, 1.0, True),
        (1, 60.0, 0.0, True),
        (1, 59.0, 2.0, True),
        (1, 0.0, 3600.0, True),
    ],
)
def test_retries_end_with_the_attempts_or_the_time(
    attempt: int, waited: float, next_wait: float, stops: bool
) -> None:
    """Whichever comes first; a wait that would pass the time is not begun."""
    stop = StopWhen(Backoff(total_s=60.0, attempts=4))

    assert stop(state(attempt=attempt, waited=waited, next_wait=next_wait)) == stops


def test_waits_double_up_to_their_bound() -> None:
    """Full jitter: anything from nothing to the bound."""
    wait = Backoff(first_s=0.5, longest_s=4.0).wait()
    for attempt, bound in [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (9, 4.0), (200, 4.0)]:
        drawn = [wait(state(attempt=attempt, waited=0, next_wait=0)) for _ in range(200)]

        assert 0 <= min(drawn) <= max(drawn) <= bound
        assert max(drawn) > bound / 2


def _never(settings: ServiceSettings) -> NoReturn:
    raise AssertionError(f"built with {settings}")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), ([], 64), (["fly"], 64), (["run", "away"], 64), (["run"], 78)],
)
def test_a_process_that_cannot_run_says_why_by_its_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
) -> None:
    """0 asked for help, 64 wrong words, 78 wrong settings; supervisors tell them apart."""
    monkeypatch.setattr(sys, "argv", ["tieout", *arguments])
    monkeypatch.setattr(os, "environ", {})

    with pytest.raises(SystemExit) as ended:
        service.main(ServiceSettings, _never)

    assert ended.value.code == code
    printed = capsys.readouterr()
    assert printed.out + printed.err
    assert "Traceback" not in printed.err


def test_a_dependency_that_does_not_answer_has_its_own_code() -> None:
    """69: try again later; the settings are fine."""
    own = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "TIEOUT_AUTH_ISSUER": "https://login.example",
        "TIEOUT_AUTH_JWKS_URL": "https://login.example/keys",
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(
        [sys.executable, "-m", "tax", "check"], env=own, capture_output=True, text=True, check=False
    )

    assert done.returncode == 69
    assert "dependency.unreachable" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


async def test_the_management_port_says_what_a_process_is_doing() -> None:
    """Alive is not ready; activity is data; metrics are text for a scraper."""
    reason: str | None = "waiting for partitions"

    async def activity() -> Activity:
        return Activity("tax", 1, 2, 3, 4, 5, 6, 7)

    app = management_app(lambda: reason, activity)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://m") as client:
        alive, waiting = await client.get("/livez"), await client.get("/readyz")
        reason = None
        ready = await client.get("/readyz")
        doing, metrics = await client.get("/activity"), await client.get("/metrics")

    assert (alive.status_code, waiting.status_code, ready.status_code) == (200, 503, 200)
    assert waiting.json()["reason"] == "waiting for partitions"
    assert doing.json() == {
        "service": "tax", "outbox_unsent": 1, "consumer_lag": 2, "work_pending": 3,
        "dead_letters_pending": 4, "handled": 5, "published": 6, "retrying": 7,
    }  # fmt: skip
    assert "tieout_outbox_unsent_rows" in metrics.text
