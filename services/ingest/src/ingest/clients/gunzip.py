"""Lines out of a gzip stream as it arrives: any number of members, bounded memory, no surprises.

Exports are written by appending members, so the end of one is not the end of the file. A stream
that stops inside a member is truncated and must not be taken for complete.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from shared.kernel.errors import Invalid

PIECE = 262_144  # decompressed at a time
MAX_LINE = 1_048_576
_GZIP = 16 + zlib.MAX_WBITS


class Truncated(Exception):
    """The stream ended inside a gzip member: the download is incomplete."""


class GunzipLines:
    """Feed compressed bytes, get complete lines without their ends."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._started = False  # inside a member
        self._rest = b""  # of the line that is not complete yet

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that these bytes complete.

        Raises:
            Invalid: `gzip_malformed`, or `line_too_long` for a line above one MiB.
        """
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            try:
                piece = self._member.decompress(data, PIECE)
            except zlib.error as error:
                raise Invalid("gzip_malformed", str(error)) from error
            self._started = not self._member.eof
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            yield from self._split(piece)
            if not piece and not data:
                return

    def finish(self) -> Iterator[bytes]:
        """The last line, if it has no end of its own.

        Raises:
            Truncated: the stream stopped inside a member.
        """
        if self._started:
            raise Truncated("the stream ended inside a gzip member")
        if self._rest:
            yield self._rest.removesuffix(b"\r")
            self._rest = b""

    def _split(self, piece: bytes) -> Iterator[bytes]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise Invalid("line_too_long", f"a line of more than {MAX_LINE} bytes")
        for line in lines:
            yield line.removesuffix(b"\r")
