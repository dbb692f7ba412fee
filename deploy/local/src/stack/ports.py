"""The port plan: every listener of the local stack is a fixed distance from one base."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from shared.contracts.topics import SERVICES
from stack.errors import StackError

# Below the range from which systems take the ports of outgoing connections: a listener there may
# find its port taken by somebody's client.
DEFAULT_BASE = 27000
VARIABLE = "TIEOUT_PORT_BASE"
_SPAN = 26
_LOWEST = 1024
_HIGHEST = 65535
_TEST_LOWEST, _TEST_HIGHEST = 12_000, 26_000
# Of its own: test runs seed the shared one, and two of them would draw the same ports.
_CHANCE = random.SystemRandom()
_HTTP = 10
_MANAGEMENT = 20


@dataclass(frozen=True, slots=True)
class Ports:
    """+0 Postgres, +1 Kafka, +2 its controller, +3 simulators, +10.. services, +20.. management."""

    base: int = DEFAULT_BASE

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Ports:
        """Read `TIEOUT_PORT_BASE`.

        Raises:
            StackError: when it is not a number that leaves room for the whole plan.
        """
        given = environ.get(VARIABLE, str(DEFAULT_BASE))
        if not given.isdecimal() or not _LOWEST <= int(given) <= _HIGHEST - _SPAN:
            raise StackError(
                f"{VARIABLE} is {given!r}; it must be a number from {_LOWEST} "
                f"to {_HIGHEST - _SPAN}."
            )
        return cls(int(given))

    @property
    def postgres(self) -> int:
        return self.base

    @property
    def kafka(self) -> int:
        return self.base + 1

    @property
    def kafka_controller(self) -> int:
        return self.base + 2

    @property
    def simulators(self) -> int:
        return self.base + 3

    def http(self, service: str) -> int:
        return self.base + _HTTP + SERVICES.index(service)

    def management(self, service: str) -> int:
        return self.base + _MANAGEMENT + SERVICES.index(service)


def require_free(port: int, owner: str) -> None:
    """Refuse to start `owner` on a port that somebody else has.

    Raises:
        StackError: naming the port, its holder where the system tells, and the way out.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StackError(
                f"Port {port}, wanted for {owner}, is in use by {_holder(port)}; stop that "
                f"program, or choose other ports, for example {VARIABLE}={_another(port)}."
            ) from error


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections(kind="inet")
    except psutil.AccessDenied:
        return "another program"
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN
        if listens and connection.laddr and connection.laddr.port == port and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.NoSuchProcess:
                break
    return "another program"


def _another(port: int) -> int:
    return 28000 if not 28000 <= port < 29000 else 29000


def free_base() -> int:
    """A base whose whole span is free at this moment; for tests that run beside each other."""
    for _ in range(50):
        base = _CHANCE.randrange(_TEST_LOWEST, _TEST_HIGHEST, _SPAN)
        if all(_is_free(base + n) for n in range(_SPAN)):
            return base
    raise StackError("No 26 neighbouring ports are free on this machine; stop some programs.")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
