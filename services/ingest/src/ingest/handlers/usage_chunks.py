"""A run of raw usage lines as the frames that are published: parsed, sorted by bucket, cut.

Pure work on bytes, done in a thread. The cut depends only on the lines and their numbers, so a
chunk that is repeated after a crash gives the same frames under the same numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.domain.usage_lines import Totals, billing_month_of, read_usage_line
from ingest.handlers.usage_rows import row_of_json
from ingest.store.provider_lines import compress
from ingest.store.quarantine import Quarantined
from shared.contracts.ingest import USAGE_BUCKETS
from shared.contracts.usage_frame import (
    MAX_FRAME_BYTES,
    MAX_LINES,
    FrameHeader,
    UsageLine,
    encode,
)
from shared.kernel.errors import Invalid
from shared.kernel.ids import bucket_of
from shared.kernel.periods import Period


@dataclass(frozen=True, slots=True)
class ChunkStart:
    """What a chunk needs to know of its file."""

    file_id: str
    data_set: str
    invoice_number: str | None
    billing_month: str  # YYYY-MM
    estimate: bool
    first_line: int  # number of the first line
    first_batch: int


@dataclass(frozen=True, slots=True)
class Batch:
    src: str
    bucket: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a chunk adds to its file."""

    batches: tuple[Batch, ...]
    accepted: tuple[UsageLine, ...]
    refused: tuple[Quarantined, ...]
    raw_bytes: int
    content: bytes  # the raw lines, compressed

    def totals(self, before: Totals) -> Totals:
        return before.plus(self.accepted)


def prepare(raw: Sequence[bytes], start: ChunkStart) -> Chunk:
    """Everything a chunk's transaction writes."""
    accepted: list[UsageLine] = []
    refused: list[Quarantined] = []
    for number, line in enumerate(raw, start=start.first_line):
        if not line.strip():
            continue
        try:
            accepted.append(read_usage_line(row_of_json(line), number=number))
        except Invalid as reason:
            refused.append(Quarantined(number, reason.code, reason.detail, line))
    joined = b"\n".join(raw)
    return Chunk(
        batches=tuple(_batches(accepted, start)),
        accepted=tuple(accepted),
        refused=tuple(refused),
        raw_bytes=len(joined),
        content=compress(joined),
    )


def first_billing_month(raw: Sequence[bytes]) -> Period | None:
    """The billing month that the first readable line tells."""
    for line in raw:
        try:
            found = billing_month_of(row_of_json(line))
        except Invalid:
            continue
        if found is not None:
            return found
    return None


def _batches(lines: Sequence[UsageLine], start: ChunkStart) -> Iterator[Batch]:
    """Per bucket, in order of the lines, at most 5,000 lines and 900 kB each."""
    buckets: defaultdict[int, list[UsageLine]] = defaultdict(list)
    for line in lines:
        buckets[bucket_of(line.customer_id, USAGE_BUCKETS)].append(line)
    number = start.first_batch
    for bucket in sorted(buckets):
        held = buckets[bucket]
        for at in range(0, len(held), MAX_LINES):
            for piece in _fitting(held[at : at + MAX_LINES], start, number):
                yield Batch(f"{start.file_id}/{number}", bucket, piece)
                number += 1


def _fitting(lines: Sequence[UsageLine], start: ChunkStart, number: int) -> list[bytes]:
    """The lines in one frame, or in halves when the frame would be too big for the broker."""
    header = FrameHeader(
        file_id=start.file_id,
        data_set=start.data_set,
        number=number,
        lines=len(lines),
        invoice_number=start.invoice_number,
        billing_month=start.billing_month,
        estimate=start.estimate,
    )
    frame = encode(header, lines)
    if len(frame) <= MAX_FRAME_BYTES or len(lines) == 1:
        return [frame]
    middle = len(lines) // 2
    left = _fitting(lines[:middle], start, number)
    return left + _fitting(lines[middle:], start, number + len(left))
