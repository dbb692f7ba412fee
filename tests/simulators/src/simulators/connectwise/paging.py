"""The two ways through a ConnectWise list: numbered pages, or forward only by id.

Both put the way on into the `Link` header; forward only is stable while records are inserted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from simulators.exact_json import Document

DEFAULT_SIZE = 25
LARGEST_SIZE = 1_000


class PagingError(ValueError):
    """The paging parameters contradict each other or are no numbers."""


@dataclass(frozen=True, slots=True)
class Page:
    """The records of one page and the `Link` header that goes with it (empty: no header)."""

    records: list[Document]
    link: str


def page_of(
    records: Sequence[Document], parameters: Mapping[str, str], *, url: str, forward_only: bool
) -> Page:
    """One page of records that are already filtered and ordered."""
    size = min(_number(parameters, "pageSize", DEFAULT_SIZE), LARGEST_SIZE)
    if forward_only:
        return _forward(records, parameters, url, size)
    return _numbered(records, parameters, url, size)


def _forward(
    records: Sequence[Document], parameters: Mapping[str, str], url: str, size: int
) -> Page:
    if "orderBy" in parameters:
        raise PagingError("orderBy is not allowed with forward-only pagination")
    after = _number(parameters, "pageId", 0, least=0)
    left = [record for record in records if int(record["id"]) > after]
    shown = left[:size]
    links = {}
    if len(left) > size:
        links["next"] = {"pageId": str(shown[-1]["id"])}
    return Page(shown, _link(links, parameters, url, drop="page"))


def _numbered(
    records: Sequence[Document], parameters: Mapping[str, str], url: str, size: int
) -> Page:
    number = _number(parameters, "page", 1)
    last = max(1, -(-len(records) // size))
    links: dict[str, Mapping[str, str]] = {}
    if number < last:
        links["next"] = {"page": str(number + 1)}
    if last > 1:
        links["last"] = {"page": str(last)}
        links["first"] = {"page": "1"}
    if 1 < number <= last + 1:
        links["prev"] = {"page": str(number - 1)}
    shown = list(records[(number - 1) * size : number * size])
    return Page(shown, _link(links, parameters, url, drop="pageId"))


def _link(
    links: Mapping[str, Mapping[str, str]], parameters: Mapping[str, str], url: str, drop: str
) -> str:
    kept = {k: v for k, v in parameters.items() if k != drop}
    return ", ".join(
        f'<{url}?{urlencode({**kept, **to})}>; rel="{rel}"' for rel, to in links.items()
    )


def _number(parameters: Mapping[str, str], name: str, default: int, *, least: int = 1) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    if not text.isdigit() or int(text) < least:
        raise PagingError(f"{name}={text} is not a number from {least}")
    return int(text)
