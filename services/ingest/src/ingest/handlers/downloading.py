"""The lines of an export, blob after blob, in chunks that fit in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from ingest.clients.graph import Graph, Manifest
from ingest.clients.gunzip import GunzipLines


async def chunks_of(
    graph: Graph, manifest: Manifest, *, skip: int, size: int
) -> AsyncGenerator[list[bytes], None]:
    """Chunks of `size` lines, after the first `skip` lines, which are read and not kept.

    Raises:
        Truncated: a blob ended too early.
        Invalid: a blob is no gzip of lines.
        ExportExpired, DownloadFailed, OSError: a blob could not be read.
    """
    held: list[bytes] = []
    left_out = 0
    async with aclosing(_lines_of(graph, manifest)) as pieces:
        async for lines in pieces:
            for line in lines:
                if left_out < skip:
                    left_out += 1
                    continue
                held.append(line)
                if len(held) == size:
                    yield held
                    held = []
    if held:
        yield held


async def _lines_of(graph: Graph, manifest: Manifest) -> AsyncGenerator[Iterator[bytes], None]:
    for name in manifest.blobs:
        gunzip = GunzipLines()
        async with aclosing(graph.blob(manifest, name)) as blob:
            async for data in blob:
                yield gunzip.feed(data)
        yield gunzip.finish()
