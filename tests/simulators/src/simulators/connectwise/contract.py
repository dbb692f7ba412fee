"""The ConnectWise document, extended by what it cannot say: the rules of PATCH."""

from __future__ import annotations

from simulators.connectwise import patching
from simulators.contract_problems import Problem
from simulators.http_messages import Call
from simulators.vendor_openapi import OpenApiContract, Relative

_MARK = "apis/3.0"


class ConnectWiseContract(OpenApiContract):
    """Holds PATCH operations to the schema of the record they change."""

    def __init__(self, relative: Relative) -> None:
        super().__init__("connectwise.openapi.json", relative)

    def problems(self, call: Call) -> list[Problem]:
        found = super().problems(call)
        if call.method != "PATCH" or any(not p.harmless for p in found):
            return found
        name = self._schema_name(call)
        check = self.value_problems
        patch = patching.problems(call.json(), self.schema(name), lambda f, v: check(name, f, v))
        return [*found, *patch]

    def _schema_name(self, call: Call) -> str:
        operation = self.described(call)
        if operation is None:
            raise ValueError(f"{call.path} is not described")
        answer = operation.body["responses"]["200"]["content"]["application/json"]["schema"]
        return str(answer["$ref"].rpartition("/")[2])


def below_base(path: str) -> str:
    """`/connectwise/v2025_1/apis/3.0/system/info` → `/system/info`."""
    return path.partition(_MARK)[2]
