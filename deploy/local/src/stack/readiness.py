"""When a child counts as ready: its port takes connections, or it says so itself on `/readyz`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

_PROBE_TIMEOUT_S = 2.0
_LOCAL = "127.0.0.1"


class Readiness(Protocol):
    async def holds(self) -> bool:
        """Whether the child is ready at this moment."""
        ...


@dataclass(frozen=True, slots=True)
class TcpOpen:
    """The port takes connections."""

    port: int

    async def holds(self) -> bool:
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                _, writer = await asyncio.open_connection(_LOCAL, self.port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True


@dataclass(frozen=True, slots=True)
class HttpOk:
    """A GET of `path` is answered 200; by hand, because one status line is all we ask for."""

    port: int
    path: str = "/readyz"

    async def holds(self) -> bool:
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                return await self._status_line() == b"200"
        except (OSError, TimeoutError):
            return False

    async def _status_line(self) -> bytes:
        reader, writer = await asyncio.open_connection(_LOCAL, self.port)
        try:
            request = f"GET {self.path} HTTP/1.1\r\nHost: {_LOCAL}\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            await writer.drain()
            words = (await reader.readline()).split()
            return words[1] if len(words) > 1 else b""
        finally:
            writer.close()


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Ready as soon as it runs."""

    async def holds(self) -> bool:
        return True
