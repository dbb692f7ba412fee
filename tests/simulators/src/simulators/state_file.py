"""State that outlives the process: one JSON file per simulator, written shortly after a change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from simulators.exact_json import Document, dumps, loads

SETTLE_S = 1.0
SHARE_OF_TIME = 40  # wait at least this many times as long as the last writing took


class StateFile:
    """Without a path nothing is kept, which is what tests want."""

    def __init__(self, path: Path | None, dump: Callable[[], Document]) -> None:
        self._path = path
        self._dump = dump
        self._writing: asyncio.Task[None] | None = None
        self._took_s = 0.0

    def load(self) -> Document | None:
        if self._path is None or not self._path.exists():
            return None
        document: Document = loads(self._path.read_bytes())
        return document

    def touch(self) -> None:
        """Something changed: write soon, together with whatever changes until then."""
        if self._path is not None and (self._writing is None or self._writing.done()):
            self._writing = asyncio.get_running_loop().create_task(self._write_soon())

    async def flush(self) -> None:
        """Write now if anything is waiting to be written."""
        if self._writing is not None and not self._writing.done():
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
            await self._write()

    async def _write_soon(self) -> None:
        await asyncio.sleep(max(SETTLE_S, SHARE_OF_TIME * self._took_s))
        await self._write()

    async def _write(self) -> None:
        path = self._path
        if path is not None:
            started = time.thread_time()
            document = self._dump()
            took = time.thread_time() - started
            self._took_s = took + await asyncio.to_thread(_replace, path, document)


def _replace(path: Path, document: Document) -> float:
    """Returns the processor time it took."""
    started = time.thread_time()
    content = dumps(document)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
    return time.thread_time() - started
