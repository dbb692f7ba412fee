"""The vendor's two ways to turn a page: seek with a continuation token, and offset."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urlencode

from simulators.exact_json import Document
from simulators.http_messages import Call
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.resources import link

T = TypeVar("T")
TOKEN_HEADER = "MS-ContinuationToken"
MAX_SIZE = 500


@dataclass(frozen=True, slots=True)
class Seek:
    """One request of a seek-paged collection. `after` is the key of the last item already given."""

    size: int
    after: str | None

    @classmethod
    def parse(cls, call: Call, usual: int) -> Seek:
        """First page: `?size=`; next: `?seekOperation=Next` and the token in its header.

        Raises:
            Refusal: size, operation or token make no sense.
        """
        parameters = call.parameters
        try:
            size = int(parameters.get("size", usual))
        except ValueError as error:
            raise Refusal(3000) from error
        operation = parameters.get("seekOperation")
        if operation is None:
            return cls(_checked(size), None)
        token = call.headers.get(TOKEN_HEADER.lower())
        if operation.lower() != "next" or token is None:
            raise Refusal(3000)
        try:
            held = json.loads(base64.b64decode(token, validate=True))
            return cls(_checked(int(held["size"])), str(held["after"]))
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(3000) from error

    def page(self, items: Sequence[T], key: Callable[[T], str]) -> tuple[list[T], str | None]:
        """The items of this page and the token of the next one, None at the end.

        The position is a key, so records that appear between two pages neither repeat nor hide
        others.
        """
        start = 0
        if self.after is not None:
            keys = [key(item) for item in items]
            start = keys.index(self.after) + 1 if self.after in keys else len(items)
        page = list(items[start : start + self.size])
        if start + self.size >= len(items):
            return page, None
        position = {"size": self.size, "after": key(page[-1])}
        return page, base64.b64encode(json.dumps(position).encode()).decode()


def seek_collection(
    path: str, call: Call, items: Sequence[Document], total: int, token: str | None
) -> Document:
    """The envelope; link addresses lack the version, as the vendor's do."""
    query = {k: v for k, v in call.parameters.items() if k != "seekOperation"}
    links = {"self": link(_uri(path, call.parameters))}
    if token is not None:
        following = link(_uri(path, {**query, "seekOperation": "Next"}))
        following["headers"] = [{"key": TOKEN_HEADER, "value": token}]
        links["next"] = following
    return collection(items, total) | {"links": links}


def offset_collection(path: str, call: Call, items: Sequence[Document], usual: int) -> Document:
    """A page of `size` from `offset` on."""
    try:
        size = _checked(int(call.parameters.get("size", usual)))
        offset = int(call.parameters.get("offset", 0))
    except ValueError as error:
        raise Refusal(3000) from error
    links = {"self": link(_uri(path, {"size": str(size), "offset": str(offset)}))}
    if offset + size < len(items):
        links["next"] = link(_uri(path, {"size": str(size), "offset": str(offset + size)}))
    return collection(items[offset : offset + size], len(items)) | {"links": links}


def collection(items: Sequence[Document], total: int | None = None) -> Document:
    return {
        "totalCount": len(items) if total is None else total,
        "items": list(items),
        "attributes": {"objectType": "Collection"},
    }


def _checked(size: int) -> int:
    if not 1 <= size <= MAX_SIZE:
        raise Refusal(3000)
    return size


def _uri(path: str, parameters: dict[str, str]) -> str:
    return f"{path}?{urlencode(parameters, quote_via=quote)}" if parameters else path
