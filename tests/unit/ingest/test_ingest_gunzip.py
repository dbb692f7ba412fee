"""Lines out of gzip streams: any number of members, any cut of the bytes, nothing truncated."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.clients.gunzip import MAX_LINE, GunzipLines, Truncated
from shared.kernel.errors import Invalid


def lines_of(pieces: Iterable[bytes]) -> list[bytes]:
    reader = GunzipLines()
    found = [line for piece in pieces for line in reader.feed(piece)]
    return [*found, *reader.finish()]


def cut(data: bytes, size: int) -> Sequence[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


LINES = st.lists(st.binary(max_size=30).filter(lambda b: b"\n" not in b and b"\r" not in b))


@given(members=st.lists(LINES, min_size=1, max_size=4), size=st.integers(1, 64), last=st.booleans())
def test_members_and_cuts_do_not_matter(members: list[list[bytes]], size: int, last: bool) -> None:
    """One member or many, bytes one by one or all at once: the same lines."""
    lines = [line for member in members for line in member]
    texts = [b"".join(line + b"\n" for line in member) for member in members]
    if not last and texts[-1]:
        texts[-1] = texts[-1][:-1]
    packed = b"".join(gzip.compress(text) for text in texts)
    expected = lines[:-1] if not last and members[-1] and not members[-1][-1] else lines

    assert lines_of(cut(packed, size)) == expected


def test_a_line_may_span_two_members() -> None:
    """Members are cut by size somewhere, not at line ends."""
    packed = gzip.compress(b"first half, ") + gzip.compress(b"second half\n")

    assert lines_of([packed]) == [b"first half, second half"]


def test_carriage_returns_belong_to_the_end_of_a_line() -> None:
    """Windows line ends are line ends."""
    assert lines_of([gzip.compress(b"a\r\nb\r\nc\r")]) == [b"a", b"b", b"c"]


@given(st.integers(1, 60))
def test_a_stream_that_stops_inside_a_member_is_truncated(missing: int) -> None:
    """Even when every line had already come out."""
    packed = gzip.compress(b"one\ntwo\n", mtime=0) + gzip.compress(b"three\n", mtime=0)
    whole = len(gzip.compress(b"one\ntwo\n", mtime=0))
    left = packed[: len(packed) - missing]
    if len(left) in (0, whole):
        assert lines_of([left]) is not None
        return

    with pytest.raises(Truncated):
        lines_of([left])


def test_what_is_no_gzip_is_refused() -> None:
    """An error page, for example."""
    with pytest.raises(Invalid, match="gzip_malformed"):
        lines_of([b"<html>not found</html>"])


def test_garbage_after_a_member_is_refused() -> None:
    """It would be silently lost otherwise."""
    with pytest.raises(Invalid, match="gzip_malformed"):
        lines_of([gzip.compress(b"one\n") + b"garbage"])


def test_a_bomb_of_one_line_is_stopped_at_a_mebibyte() -> None:
    """A few kilobytes that would become a gigabyte."""
    bomb = gzip.compress(b"x" * (64 * MAX_LINE))

    with pytest.raises(Invalid, match="line_too_long"):
        lines_of(cut(bomb, 65_536))


def test_an_empty_stream_has_no_lines() -> None:
    """No bytes at all, or an empty member."""
    assert lines_of([]) == []
    assert lines_of([gzip.compress(b"")]) == []
