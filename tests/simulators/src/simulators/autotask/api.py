"""The simulated Autotask REST API: zones, authentication, limits, routing."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from shared.kernel.clock import Clock
from simulators.autotask import metadata, reading
from simulators.autotask import refusals as no
from simulators.autotask.contract import PREFIX, AutotaskContract, parts_of
from simulators.autotask.entities import CHILDREN, ROOTS, Entity
from simulators.autotask.limits import TooManyThreads, Usage
from simulators.autotask.reading import Source
from simulators.autotask.state import State
from simulators.autotask.writing import Writer
from simulators.http_messages import Answer, Call

_ROUTE = re.compile(
    r"/v1\.0(?:/contracts/(?P<contract>\d+))?/(?P<entity>\w+)(?P<rest>(?:/[\w/]+)?)", re.IGNORECASE
)
_OF_A_CONTRACT = re.compile(r"/v1\.0/contracts/\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path addresses."""

    entity: Entity
    contract: int | None  # the parent, when a child collection is addressed
    rest: str  # "", "/query", "/12", "/entityinformation/fields", …


class Api:
    """One tenant; `state` is replaced as a whole by seeds."""

    def __init__(self, clock: Clock, base_url: str) -> None:
        self.state = State()
        self.usage = Usage()
        self.rules = AutotaskContract()
        self._clock = clock
        self._base_url = base_url

    def writer(self, resource: int | None = None) -> Writer:
        """Changes in the name of a resource, by default of the API user."""
        by = resource or self.state.tenant.resource_id
        return Writer(self.state, self._clock.now(), by, self.rules.schema)

    async def answer(self, call: Call) -> Answer:
        parts = parts_of(call)
        if parts is None:
            return no.not_found(call.path)
        zone, path = parts
        if path.lower() == "/v1.0/zoneinformation":
            return self._zone_information(call)
        refusal = self.stopped(call, zone)
        if refusal is not None:
            return refusal
        used = self.usage.add(self._clock.now())
        limits = self.state.limits
        if limits.hourly and used > limits.hourly:
            return no.suspended(limits.hourly)
        slow = limits.hourly and used * 2 > limits.hourly
        wait_ms = limits.latency_ms + (limits.slow_ms if slow else 0)
        integration = call.headers.get("apiintegrationcode", "")
        try:
            with self.usage.thread(integration, _endpoint(path), limits.threads):
                await asyncio.sleep(wait_ms / 1000)
                return self._routed(call, path)
        except TooManyThreads:
            return no.too_many_threads(limits.threads)
        except no.Refused as refused:
            return refused.answer

    def stopped(self, call: Call, zone: str) -> Answer | None:
        """Wrong zone or wrong credentials; None lets the call in."""
        tenant, given = self.state.tenant, call.headers
        if zone.lower() != tenant.zone.lower():
            return no.wrong_zone()
        is_user = (given.get("username"), given.get("secret")) == (tenant.user, tenant.secret)
        is_known = given.get("apiintegrationcode") in tenant.integration_codes
        return None if is_user and is_known else no.unauthorized()

    def source(self, entity: Entity) -> Source:
        return Source(self.state, entity, self.rules.schema(entity.schema))

    def _zone_information(self, call: Call) -> Answer:
        """Where the entities of a user live; a user nobody knows is an HTTP 500."""
        tenant = self.state.tenant
        if call.parameters.get("user", "").lower() != tenant.user.lower():
            return no.errors(500, "Zone information could not be determined for this user.")
        root = f"{self._base_url}{PREFIX}/{tenant.zone}"
        body = {"zoneName": "Simulated", "url": f"{root}/atservicesrest/", "webUrl": root, "ci": 1}
        return Answer.of(200, body)

    def _routed(self, call: Call, path: str) -> Answer:
        if path.lower() == "/v1.0/thresholdinformation":
            return self._threshold()
        target = target_of(path)
        if target is None:
            return no.errors(501, f"{call.path} exists at the vendor but is not simulated")
        source, rest = self.source(target.entity), target.rest
        if rest in ("/query", "/query/next"):
            return reading.query(source, call, f"{self._base_url}{call.path}")
        if rest == "/query/count":
            return reading.count(source, call)
        if rest.startswith("/entityinformation"):
            return self._metadata(target)
        if call.method == "GET":
            if rest:
                return reading.one(source, int(rest[1:]))
            return reading.of_contract(source, target.contract or 0)
        return self._written(call, target)

    def _written(self, call: Call, target: Target) -> Answer:
        entity, writer = target.entity, self.writer()
        allowed = {
            "POST": entity.can_create,
            "PATCH": entity.can_update,
            "PUT": entity.can_update,
            "DELETE": entity.can_delete,
        }[call.method]
        if not allowed:
            return no.errors(501, f"{call.method} of {entity.name} is not simulated")
        if call.method == "POST":
            return Answer.of(200, {"itemId": writer.create(entity, call.json(), target.contract)})
        id = int(target.rest[1:]) if call.method == "DELETE" else call.json().get("id", 0)
        row = self.state.rows(entity.rows).get(id)
        if row is None or target.contract not in (None, row.get("contractID")):
            return no.errors(500, f"id: {entity.schema} {id} does not exist.")
        if call.method == "DELETE":
            return Answer.of(200, {"itemId": writer.delete(entity, row)})
        whole = call.method == "PUT"
        return Answer.of(200, {"itemId": writer.update(entity, row, call.json(), whole=whole)})

    def _metadata(self, target: Target) -> Answer:
        schema = self.rules.schema(target.entity.schema)
        if target.rest.endswith("/fields"):
            picklists = self.state.picklists
            return Answer.of(200, metadata.field_information(target.entity, schema, picklists))
        if target.rest.endswith("/userdefinedfields"):
            return Answer.of(200, {"fields": []})
        return Answer.of(200, metadata.entity_information(target.entity, schema))

    def _threshold(self) -> Answer:
        body = {
            "externalRequestThreshold": self.state.limits.hourly,
            "requestThresholdTimeframe": 60,
            "currentTimeframeRequestCount": self.usage.count(self._clock.now()),
        }
        return Answer.of(200, body)


def target_of(path: str) -> Target | None:
    """The entity a path below `/v1.0` addresses; None for one that is not simulated."""
    if _OF_A_CONTRACT.fullmatch(path):
        return Target(ROOTS["contracts"], None, path[path.rindex("/") :])
    found = _ROUTE.fullmatch(path)
    if found is None:
        return None
    table = ROOTS if found["contract"] is None else CHILDREN
    entity = table.get(found["entity"].lower())
    if entity is None:
        return None
    contract = None if found["contract"] is None else int(found["contract"])
    return Target(entity, contract, found["rest"].lower())


def _endpoint(path: str) -> str:
    """What the thread limit counts by: the object, by whichever collection it is reached."""
    target = target_of(path)
    return path.lower() if target is None else target.entity.name
