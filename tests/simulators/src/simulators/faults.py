"""Switchable misbehaviour: which calls suffer, in which way, and how often.

A fault never changes what a simulator believes, only what the caller gets to see of it.
"""

from __future__ import annotations

import re
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from simulators.exact_json import Document
from simulators.http_messages import Answer, Call


class Kind(StrEnum):
    LATENCY = "latency_ms"  # wait `ms`, then answer as usual
    STATUS = "status"  # answer `status` without doing anything
    DROP_BEFORE = "drop_before"  # close the connection, nothing happened
    DROP_AFTER_COMMIT = "drop_after_commit"  # do it, then close the connection
    HTML_BODY = "html_body"  # a proxy's HTML page with `status` in place of JSON
    DUPLICATE = "duplicate"  # the call reaches the vendor twice; the first answer goes back


class Match(BaseModel):
    """Method (any when absent) and a regular expression searched in the path with its prefix."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str | None = None
    path: str = ""

    def holds(self, call: Call) -> bool:
        return self.method in (None, call.method) and re.search(self.path, call.path) is not None


class Fault(BaseModel):
    """One switch. `times` counts down and the fault disappears at zero; absent = until removed."""

    model_config = ConfigDict(extra="forbid")

    match: Match = Match()
    kind: Kind
    times: int | None = Field(default=None, ge=1)
    skip: int = Field(default=0, ge=0)  # matching calls that pass unharmed first
    ms: int = Field(default=0, ge=0)
    status: int | None = Field(default=None, ge=100, le=599)
    retry_after: int | None = Field(default=None, ge=0)
    body: Document | None = None

    def answer(self) -> Answer:
        """What the caller sees in place of the vendor's answer (kinds status and html_body)."""
        headers = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        if self.kind is Kind.HTML_BODY:
            page = b"<!DOCTYPE html><html><head><title>Bad Gateway</title></head></html>"
            headers["content-type"] = "text/html; charset=utf-8"
            return Answer(self.status or 502, page, headers)
        status = self.status or 503
        return Answer.of(status, self.body or _usual_body(status, self.retry_after), **headers)


class Faults:
    """The switches of one simulator, tried in the order they were set."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def set(self, faults: list[Fault]) -> None:
        self._faults = list(faults)

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clear(self) -> None:
        self._faults.clear()

    def list(self) -> list[Fault]:
        return [f.model_copy() for f in self._faults]

    def take(self, call: Call) -> Fault | None:
        """The first fault for this call, one use of it spent."""
        for fault in self._faults:
            if not fault.match.holds(call):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
            return fault
        return None


def _usual_body(status: int, retry_after: int | None) -> Document:
    if status == 429:
        wait = f" Try again in {retry_after} seconds." if retry_after is not None else ""
        return {"statusCode": 429, "message": f"Rate limit is exceeded.{wait}"}
    return {"message": f"simulated fault {status}"}
