"""Compressed export files: cut into blobs, kept beside the state file or in memory."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from simulators.exact_json import Document, dumps


@dataclass(frozen=True, slots=True)
class Cut:
    """How many lines a blob has, and how many a gzip member inside it."""

    blob_lines: int
    member_lines: int


@dataclass(frozen=True, slots=True)
class Written:
    """One set of blobs: the version is a digest of every line, so the same lines are the same."""

    version: str
    lines: int
    names: tuple[str, ...]


class BlobStore:
    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._held: dict[str, bytes] = {}

    def write(self, lines: Iterable[Document], cut: Cut) -> Written:
        """Compress lines into as many blobs as the cut asks for."""
        digest, count = hashlib.sha256(), 0
        contents: list[bytes] = []
        rows = (dumps(line) + b"\n" for line in lines)
        while chunk := list(islice(rows, cut.blob_lines)):
            for row in chunk:
                digest.update(row)
            count += len(chunk)
            contents.append(_compressed(chunk, cut.member_lines))
        version = digest.hexdigest()[:20]
        names = tuple(f"part-{n:05d}-{version}.c000.json.gz" for n in range(len(contents)))
        for name, content in zip(names, contents, strict=True):
            self._put(name, content)
        return Written(version, count, names)

    def read(self, name: str) -> bytes | None:
        if name not in self._held and self._directory is not None:
            path = self._directory / Path(name).name
            if path.exists():
                self._held[name] = path.read_bytes()
        return self._held.get(name)

    def lines(self, names: Iterable[str]) -> Iterator[bytes]:
        """The JSON lines of these blobs, in order."""
        for name in names:
            yield from gzip.decompress(self.read(name) or b"").splitlines()

    def clear(self) -> None:
        self._held.clear()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _put(self, name: str, content: bytes) -> None:
        self._held[name] = content
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
            (self._directory / name).write_bytes(content)


def _compressed(rows: list[bytes], member_lines: int) -> bytes:
    members = [rows[i : i + member_lines] for i in range(0, len(rows), member_lines)]
    return b"".join(gzip.compress(b"".join(m), compresslevel=6, mtime=0) for m in members)
