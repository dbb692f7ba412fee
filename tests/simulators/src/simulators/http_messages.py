"""A whole HTTP request and a whole HTTP answer as values, and the way through an ASGI application.

The simulators judge, record and spoil complete messages, so nothing here streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulators.exact_json import dumps, loads

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it arrived; `path` includes the simulator's mount prefix."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # lower-case names
    body: bytes

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def json(self) -> Any:
        return loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, complete before any byte of it leaves."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, document: object, /, **headers: str) -> Answer:
        """A JSON answer; keyword `retry_after="5"` becomes the header `retry-after: 5`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, dumps(document), {"content-type": JSON, **named})

    def with_header(self, name: str, value: str) -> Answer:
        return Answer(self.status, self.body, {**self.headers, name: value})

    def json(self) -> Any:
        return loads(self.body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An answer is itself an ASGI application, so Starlette routes may return it."""
        del scope, receive
        headers = {k.lower(): v for k, v in self.headers.items()}
        if self.status not in (204, 304):
            headers["content-length"] = str(len(self.body))
        raw = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": self.body})


async def read_call(scope: Scope, receive: Receive) -> Call:
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
    query = scope.get("query_string", b"").decode("latin-1")
    return Call(scope["method"], scope["path"], query, headers, b"".join(parts))


async def answer_of(app: ASGIApp, scope: Scope, call: Call) -> Answer:
    """What the application answers to this call, collected."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": call.body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(dict(scope), receive, send)
    start = next(m for m in sent if m["type"] == "http.response.start")
    body = b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body")
    raw = start.get("headers", [])
    headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in raw}
    headers.pop("content-length", None)
    return Answer(start["status"], body, headers)


async def hang_up(receive: Receive, send: Send) -> None:
    """Close the connection without an answer, as a dying server or a cut cable does.

    Under uvicorn the bound `send` knows its socket. In process there is no socket, and the client
    sees the error that a socket would have given it.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if not isinstance(transport, asyncio.Transport):
        raise httpx.RemoteProtocolError("simulated: the server disconnected without an answer")
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
