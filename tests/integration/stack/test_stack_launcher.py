"""The stack as a whole, with its servers and without the services: up, down, and what stays."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import psutil
import pytest

from shared.contracts.topics import SERVICES
from stack.children import Child
from stack.environment import Deployment, service
from stack.errors import StackError
from stack.home import Home
from stack.launcher import Plan, running_stack
from stack.pid_files import PidFiles
from stack.ports import Ports, free_base
from support.servers import KafkaServer, PostgresServer

SHOW_ENVIRONMENT = """
import json, os, pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text(json.dumps(dict(os.environ)))
time.sleep(60)
"""
WITHOUT_PROGRAMS = [part for name in (*SERVICES, "simulators") for part in ("--without", name)]


@dataclass(frozen=True, slots=True)
class Appears:
    """Ready when the child has written its file."""

    path: Path

    async def holds(self) -> bool:
        return self.path.exists() and self.path.read_text().endswith("}")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home")
    yield home
    if home.root.exists():
        home.remove()


def tieout(home: Home, base: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it, without this session's own database."""
    settings = {"TIEOUT_HOME": str(home.root), "TIEOUT_PORT_BASE": str(base), "COLUMNS": "200"}
    hidden = ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS")
    return subprocess.run(
        (sys.executable, "-m", "stack", *arguments),
        env={**{k: v for k, v in os.environ.items() if k not in hidden}, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


async def test_up_returns_while_the_servers_run_and_their_data_outlives_down(home: Home) -> None:
    """The life of a local stack as its commands have it."""
    base = free_base()
    url = f"127.0.0.1:{base}/tieout"

    up = tieout(home, base, "up", *WITHOUT_PROGRAMS)
    status = tieout(home, base, "status")
    password = (home.keys / "postgres-rating_app").read_text().strip()
    connection = await asyncpg.connect(f"postgresql://rating_app:{password}@{url}")
    await connection.execute("INSERT INTO inbox (source, event_id) VALUES ('test', 'kept')")
    await connection.close()
    down = tieout(home, base, "down")
    left = [entry.name for entry in PidFiles(home.pids).entries()]
    again = tieout(home, base, "up", *WITHOUT_PROGRAMS)
    connection = await asyncpg.connect(f"postgresql://rating_app:{password}@{url}")
    kept = await connection.fetchval("SELECT event_id FROM inbox")
    await connection.close()
    reset = tieout(home, base, "reset", "--yes")

    assert [r.returncode for r in (up, status, down, again, reset)] == [0] * 5, up.stderr
    assert f"http://127.0.0.1:{base + 10}" in up.stdout
    assert "together" in status.stdout
    assert left == []
    assert kept == "kept"
    assert not home.root.exists()


def test_a_taken_port_ends_up_with_one_sentence_and_exit_code_69(home: Home) -> None:
    """No traceback: the person can free the port or choose another base."""
    base = free_base()
    with socket.create_server(("127.0.0.1", base + 1)):
        result = tieout(home, base, "up", *WITHOUT_PROGRAMS)

    assert result.returncode == 69
    assert f"Port {base + 1}, wanted for kafka, is in use" in result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    assert [entry for entry in PidFiles(home.pids).entries() if entry.process] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
async def test_root_runs_postgres_as_an_ordinary_user(postgres_server: PostgresServer) -> None:
    """Postgres refuses root, and containers often have nobody else."""
    port = int(postgres_server.admin_dsn.rpartition(":")[2].partition("/")[0])

    owners = {
        process.uids().real
        for process in psutil.process_iter()
        if process.name() == "postgres" and f"{port}" in process.cmdline()
    }

    assert len(owners) == 1
    assert 0 not in owners


async def test_servers_of_ones_own_take_the_place_of_the_embedded_ones(
    home: Home, postgres_server: PostgresServer, kafka_server: KafkaServer, tmp_path: Path
) -> None:
    """DATABASE_URL is an administrator's; the service gets its own role, never that one."""
    database = await postgres_server.create_empty("rating")
    home.prepare()
    shutil.copytree(postgres_server.access.passwords.directory, home.keys, dirs_exist_ok=True)
    seen = tmp_path / "environment.json"

    def children(deployment: Deployment) -> Sequence[Child]:
        rating = service(deployment, "rating")
        command = (sys.executable, "-c", SHOW_ENVIRONMENT, str(seen))
        return (replace(rating, command=command, ports=(), ready=Appears(seen)),)

    plan = Plan(
        home=home,
        ports=Ports(free_base()),
        environ={
            **os.environ,
            "DATABASE_URL": database.admin_dsn,
            "KAFKA_BOOTSTRAP_SERVERS": kafka_server.bootstrap_servers,
            "TIEOUT_LOG_LEVEL": "DEBUG",
        },
        services=("rating",),
        children=children,
    )
    async with running_stack(plan) as stack:
        assert stack.supervisor.names == ("rating",)
        given = json.loads(seen.read_text())

    assert given["TIEOUT_DATABASE_URL"] == database.app_dsn
    assert given["TIEOUT_KAFKA_BOOTSTRAP_SERVERS"] == kafka_server.bootstrap_servers
    assert given["TIEOUT_LOG_LEVEL"] == "DEBUG"
    assert given["TIEOUT_CLOCK_FILE"] == str(home.clock)
    assert {"DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "TIEOUT_HOME"}.isdisjoint(given)


async def test_an_administrator_that_is_refused_is_named_in_one_sentence(home: Home) -> None:
    """A mistyped DATABASE_URL must not end in a driver's traceback."""
    port = free_base()
    plan = Plan(
        home=home,
        ports=Ports(free_base()),
        environ={
            "DATABASE_URL": f"postgresql://admin:secret@127.0.0.1:{port}/billing",
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        },
        children=lambda deployment: (),
    )

    with pytest.raises(StackError, match=r"refused the administrator.*Set DATABASE_URL") as told:
        async with running_stack(plan):
            pass

    assert "secret" not in str(told.value)
