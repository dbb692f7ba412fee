"""A service without its process: handlers, jobs and HTTP on one database, driven step by step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from shared.kernel.clock import FrozenClock
from shared.runtime.auth import Caller, Verifier
from shared.runtime.service import Service
from shared.runtime.web import create_app
from support.harness import Harness

STEPS_MAX = 1_000


class EverybodyIs(Verifier):
    """Takes every token for one caller; what tokens must look like is tested elsewhere."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(issuer="nobody", audience="tieout", jwks_url="http://127.0.0.1:9")
        self._caller = caller

    async def verify(self, token: str) -> Caller:
        del token
        return self._caller


@dataclass
class InProcess:
    """One service under test."""

    service: Service
    harness: Harness
    clock: FrozenClock
    http: httpx.AsyncClient
    app: FastAPI

    async def work(self, *names: str) -> None:
        """Run jobs (all, or the named ones) until none finds anything to do."""
        jobs = [job for job in self.service.jobs if not names or job.name in names]
        for _ in range(STEPS_MAX):
            worked = False
            for job in jobs:
                worked = await job.step() or worked
            if not worked:
                return
        raise AssertionError(f"the jobs of {self.service.name} never come to rest")

    async def ok(self, method: str, path: str, **given: Any) -> Any:
        """The JSON of an answer that must be a success."""
        answer = await self.http.request(method, path, **given)
        assert answer.is_success, f"{answer.status_code}: {answer.text}"
        return answer.json()


@asynccontextmanager
async def in_process(
    service: Service, clock: FrozenClock, *, scopes: str = "platform:admin"
) -> AsyncIterator[InProcess]:
    """Around a service whose database is open. Callers have `scopes`."""
    caller = Caller(subject="tester", scopes=frozenset(scopes.split()))
    app = create_app(
        service.name, version="test", routers=service.routers, verifier=EverybodyIs(caller)
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    headers = {"Authorization": "Bearer test"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://service", headers=headers
    ) as http:
        harness = Harness(service.database, clock, service.handlers)
        try:
            yield InProcess(service, harness, clock, http, app)
        finally:
            for close in service.closing:
                await close()
