"""The simulated ConnectWise REST API: discovery, authentication, routing."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

from shared.kernel.clock import Clock
from simulators.connectwise import reading
from simulators.connectwise import resources as kinds
from simulators.connectwise.contract import ConnectWiseContract
from simulators.connectwise.refusals import (
    Refused,
    not_found,
    not_simulated,
    unauthorized,
    unroutable,
)
from simulators.connectwise.resources import Resource
from simulators.connectwise.state import State
from simulators.connectwise.writing import Writer
from simulators.exact_json import Document
from simulators.http_messages import JSON, Answer, Call

PREFIX = "/connectwise"
_DISCOVERY = re.compile(rf"{PREFIX}/login/companyinfo/(?P<company>[^/]+)")
_CALLBACK_KEY = re.compile(rf"{PREFIX}/callback-keys/\d+")
_ONE = re.compile(r"(?P<collection>/[A-Za-z/]+?)/(?P<id>\d+)")
_ADDITIONS = re.compile(r"/finance/agreements/(?P<agreement>\d+)/additions(?P<rest>/\d+|/count)?")
_COLLECTIONS = {
    "/company/companies": kinds.COMPANIES,
    "/finance/agreements": kinds.AGREEMENTS,
    "/procurement/catalog": kinds.CATALOG,
    "/finance/invoices": kinds.INVOICES,
    "/finance/billingcycles": kinds.CYCLES,
    "/finance/currencies": kinds.CURRENCIES,
    "/system/userdefinedfields": kinds.FIELDS,
}
_VERBS: Mapping[str, Sequence[Resource]] = {
    "POST": (kinds.AGREEMENTS, kinds.ADDITIONS, kinds.CATALOG, kinds.COMPANIES),
    "PATCH": (kinds.AGREEMENTS, kinds.ADDITIONS, kinds.CATALOG, kinds.COMPANIES),
    "PUT": (kinds.AGREEMENTS, kinds.ADDITIONS),
    "DELETE": (kinds.AGREEMENTS, kinds.ADDITIONS, kinds.INVOICES),
}


class Api:
    """One tenant with one API member; `state` is replaced as a whole by seeds."""

    def __init__(self, clock: Clock, base_url: str) -> None:
        self.state = State()
        self.rules = ConnectWiseContract(self.relative)
        self._clock = clock
        self._base_url = base_url

    def writer(self, by: str | None = None) -> Writer:
        """Changes in the name of a person, by default of our API member."""
        member = by or self.state.tenant.member
        return Writer(self.state, self._clock.now(), member, self.rules.schema)

    def relative(self, call: Call) -> str | None:
        """The path below the API of the codebase that is current at this moment."""
        base = f"{PREFIX}/{self.state.tenant.codebase}apis/3.0"
        return call.path.removeprefix(base) if call.path.startswith(f"{base}/") else None

    def authorized(self, call: Call) -> bool:
        tenant = self.state.tenant
        scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        expected = f"{tenant.company_id}+{tenant.public_key}:{tenant.private_key}"
        has_client_id = bool(call.headers.get("clientid"))
        return scheme.lower() == "basic" and given == expected and has_client_id

    def answer(self, call: Call) -> Answer:
        discovery = _DISCOVERY.fullmatch(call.path)
        if discovery is not None:
            return self._company_info(discovery["company"])
        if _CALLBACK_KEY.fullmatch(call.path):  # public, as at the vendor
            return Answer.of(200, {"signing_key": self.state.tenant.callback_secret})
        path = self.relative(call)
        if path is None:
            return unroutable()
        if not self.authorized(call):
            return unauthorized()
        try:
            answer = self._routed(call, path)
        except Refused as refused:
            answer = refused.answer
        return self._with_api_headers(call, answer)

    def _company_info(self, company: str) -> Answer:
        """An unknown company is no error: the body is null."""
        tenant = self.state.tenant
        if company.lower() != tenant.company_id.lower():
            return Answer.of(200, None)
        return Answer.of(
            200,
            {
                "CompanyName": tenant.company_name,
                "Codebase": tenant.codebase,
                "VersionCode": tenant.version.rpartition(".")[0],
                "VersionNumber": tenant.version,
                "CompanyID": tenant.company_id,
                "IsCloud": True,
            },
        )

    def _routed(self, call: Call, path: str) -> Answer:
        additions = _ADDITIONS.fullmatch(path)
        if additions is not None:
            return self._additions(call, int(additions["agreement"]), additions["rest"] or "")
        if path == "/system/info":
            return self._info()
        if path == "/system/audittrail":
            return reading.audit_trail(self.state, call, self._url(call))
        if path.endswith("/invoice") and call.method == "POST":
            return self._run_invoice(int(path.split("/")[3]))
        one = _ONE.fullmatch(path)
        collection = path.removesuffix("/count") if one is None else one["collection"]
        resource = _COLLECTIONS.get(collection.lower())
        if resource is None:
            return not_simulated(call)
        rows = list(resource.rows(self.state).values())
        if one is None:
            return self._collection(call, resource, rows, counting=path.endswith("/count"))
        row = resource.rows(self.state).get(int(one["id"]))
        return self._one(call, resource, row)

    def _additions(self, call: Call, agreement: int, rest: str) -> Answer:
        if agreement not in self.state.agreements:
            return not_found("Agreement", agreement)
        rows = self.state.additions_of(agreement)
        if rest in ("", "/count"):
            counting = rest == "/count"
            return self._collection(call, kinds.ADDITIONS, rows, counting=counting, of=agreement)
        row = next((r for r in rows if r["id"] == int(rest[1:])), None)
        return self._one(call, kinds.ADDITIONS, row)

    def _collection(
        self, call: Call, resource: Resource, rows: list[Document], *, counting: bool, of: int = 0
    ) -> Answer:
        today = self._clock.now().date()
        if call.method == "POST":
            if resource not in _VERBS["POST"]:
                return not_simulated(call)
            row = self.writer().create(resource, call.json(), of)
            return Answer.of(201, resource.view(self.state, row, today))
        records = [resource.view(self.state, r, today) for r in rows]
        if counting:
            return reading.counted(records, call)
        return reading.listed(records, call, self._url(call))

    def _one(self, call: Call, resource: Resource, row: Document | None) -> Answer:
        today = self._clock.now().date()
        if call.method == "GET" or row is None:
            return reading.one(self.state, resource, row, call, today)
        if resource not in _VERBS[call.method]:
            return not_simulated(call)
        writer = self.writer()
        if call.method == "DELETE":
            writer.delete(resource, row)
            return Answer(204)
        change = writer.patch if call.method == "PATCH" else writer.replace
        after = change(resource, row, call.json())
        return Answer.of(200, resource.view(self.state, after, today))

    def _info(self) -> Answer:
        tenant = self.state.tenant
        body = {
            "version": tenant.version,
            "isCloud": True,
            "serverTimeZone": tenant.server_time_zone,
            "cloudRegion": "NA",
        }
        return Answer.of(200, body)

    def _run_invoice(self, agreement: int) -> Answer:
        row = self.state.agreements.get(agreement)
        if row is None:
            return not_found("Agreement", agreement)
        return Answer.of(201, self.writer().run_invoice(row)[0]["id"])

    def _with_api_headers(self, call: Call, answer: Answer) -> Answer:
        """The version that answered, and an id to quote to the vendor's support."""
        asked = re.search(r"version=([\d.]+)", call.headers.get("accept", ""))
        version = asked[1] if asked else self.state.tenant.api_version
        if asked and answer.headers.get("content-type") == JSON:
            media = f"application/vnd.connectwise.com+json; version={version}; charset=utf-8"
            answer = answer.with_header("content-type", media)
        request_id = f"cw-{self.state.next_id}-{len(self.state.audit)}"
        return answer.with_header("api-current-version", version).with_header(
            "x-cw-request-id", request_id
        )

    def _url(self, call: Call) -> str:
        return f"{self._base_url}{call.path}"
