"""The Autotask document, with what it leaves out: the way to the next page."""

from __future__ import annotations

import re

from simulators.contract_problems import Problem
from simulators.http_messages import Call
from simulators.vendor_openapi import OpenApiContract

PREFIX = "/autotask"
_PATH = re.compile(
    rf"{PREFIX}(?:/(?P<zone>zone[\w-]*))?(?:/atservicesrest)?(?P<rest>/v1\.0/.*)", re.IGNORECASE
)


class AutotaskContract(OpenApiContract):
    """Paths are matched without regard to case, as the vendor's servers do."""

    def __init__(self) -> None:
        super().__init__("autotask.openapi.json", documented_path)

    def problems(self, call: Call) -> list[Problem]:
        found = super().problems(call)
        return [p for p in found if (p.kind, p.field) not in _OURS]


_OURS = {
    ("unknown", "paging"),  # our own nextPageUrl
    ("required", "contractID"),  # the parent's id is in the path of every child collection
}


def documented_path(call: Call) -> str | None:
    """`/autotask/zone/atservicesrest/v1.0/Contracts/query/next` → `/v1.0/Contracts/query`."""
    parts = parts_of(call)
    return None if parts is None else re.sub(r"/query/next$", "/query", parts[1])


def parts_of(call: Call) -> tuple[str, str] | None:
    """The zone of a call (empty: none) and its path from `/v1.0` on."""
    found = _PATH.fullmatch(call.path)
    return (found["zone"] or "", found["rest"]) if found else None
