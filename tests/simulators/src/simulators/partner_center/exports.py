"""The asynchronous billing exports: data sets with versions, operations, manifests.

A data set is named like `usage/billed/G000123` or `reconciliation/unbilled/USD/current`; publishing
it again replaces it, and its eTag changes exactly when a line does.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field

from shared.kernel.ids import sha256_hex
from simulators.exact_json import Document, loads
from simulators.frame import World
from simulators.partner_center.billing_lines import basic
from simulators.partner_center.blobs import BlobStore, Cut
from simulators.partner_center.books import Books
from simulators.partner_center.instants import precise
from simulators.partner_center.records import Record

NAMESPACE = "#microsoft.graph.partners.billing"


class DataSet(Record):
    name: str
    tenant_id: str
    version: str
    lines: int
    blobs: list[str]


class Manifest(Record):
    """A snapshot: it goes on naming the blobs of its version after the data set was replaced."""

    id: str
    version: str
    tenant_id: str
    blobs: list[str]
    created_at: AwareDatetime
    expired: bool = False

    @property
    def sas_token(self) -> str:
        signature = sha256_hex(f"{self.id}:{self.version}".encode())[:43]
        return f"sv=2021-08-06&sr=d&sp=rl&sdd=7&sig={signature}%3D"


class Operation(Record):
    id: str
    data_set: str
    tenant_id: str
    attribute_set: Literal["full", "basic"]
    created_at: AwareDatetime
    polls_left: int
    manifest_id: str | None = None
    failed: bool = False
    expired: bool = False


class ExportState(Record):
    data_sets: list[DataSet] = Field(default_factory=list)
    operations: list[Operation] = Field(default_factory=list)
    manifests: list[Manifest] = Field(default_factory=list)


class Exports:
    def __init__(self, world: World) -> None:
        self._world = world
        home = world.home
        self._blobs = BlobStore(home / "simulators" / "partner_center_blobs" if home else None)
        self.books = Books()
        self._take(ExportState())

    def load(self, document: Document) -> None:
        state = ExportState.model_validate(document)
        if not state.data_sets:
            self._blobs.clear()
        self._take(state)

    def _take(self, state: ExportState) -> None:
        self._data_sets = {(d.tenant_id, d.name): d for d in state.data_sets}
        self._operations = {o.id: o for o in state.operations}
        self._manifests = {m.id: m for m in state.manifests}

    def dump(self) -> Document:
        return ExportState(
            data_sets=list(self._data_sets.values()),
            operations=list(self._operations.values()),
            manifests=list(self._manifests.values()),
        ).model_dump()

    def publish(
        self, name: str, tenant_id: str, lines: Iterable[Document], *, append: bool = False
    ) -> DataSet:
        """A new version of a data set, replacing the old one or adding blobs to it."""
        written = self._blobs.write(lines, self._cut())
        data_set = DataSet(
            name=name,
            tenant_id=tenant_id,
            version=written.version,
            lines=written.lines,
            blobs=list(written.names),
        )
        known = self._data_sets.get((tenant_id, name))
        if known is not None and append:
            data_set.version = sha256_hex(f"{known.version}+{written.version}".encode())[:20]
            data_set.lines += known.lines
            data_set.blobs = known.blobs + data_set.blobs
        self._data_sets[tenant_id, name] = data_set
        return data_set

    def withdraw(self, name: str, tenant_id: str) -> bool:
        """Back to "No data available"."""
        return self._data_sets.pop((tenant_id, name), None) is not None

    def start(self, name: str, tenant_id: str, attribute_set: Literal["full", "basic"]) -> str:
        """A new operation; its id."""
        operation = Operation(
            id=self.books.next_id("export-operation"),
            data_set=name,
            tenant_id=tenant_id,
            attribute_set=attribute_set,
            created_at=self._now,
            polls_left=self.books.switches.export_polls,
        )
        self._operations[operation.id] = operation
        return operation.id

    def poll(self, operation_id: str, tenant_id: str) -> Operation | None:
        """One look at an operation; each brings it nearer to its end."""
        operation = self._operations.get(operation_id)
        if operation is None or operation.tenant_id != tenant_id:
            return None
        if operation.manifest_id is None and not operation.failed and not operation.expired:
            operation.polls_left -= 1
            if operation.polls_left < 0:
                self._finish(operation)
        return operation

    def manifest(self, manifest_id: str, tenant_id: str | None = None) -> Manifest | None:
        found = self._manifests.get(manifest_id)
        return found if found and tenant_id in (None, found.tenant_id) else None

    def blob(self, manifest: Manifest, name: str) -> bytes | None:
        return self._blobs.read(name) if name in manifest.blobs else None

    def expire_all(self) -> None:
        """Links given out so far are gone; a new export is needed."""
        for operation in self._operations.values():
            operation.expired = True
        for manifest in self._manifests.values():
            manifest.expired = True

    def operation_resource(self, operation: Operation) -> Document:
        kind, status = "runningOperation", "running"
        if operation.failed:
            kind, status = "failedOperation", "failed"
        elif operation.manifest_id is not None:
            kind, status = "exportSuccessOperation", "succeeded"
        document: Document = {
            "@odata.type": f"{NAMESPACE}.{kind}",
            "id": operation.id,
            "createdDateTime": precise(operation.created_at),
            "lastActionDateTime": precise(self._now),
            "status": status,
        }
        if operation.failed:
            document["error"] = {"code": "5000", "message": "No data available"}
        elif operation.manifest_id is not None:
            document |= self._resource_location(self._manifests[operation.manifest_id])
        return document

    def manifest_resource(self, manifest: Manifest) -> Document:
        return {
            "id": manifest.id,
            "schemaVersion": "2",
            "dataFormat": "compressedJSONLines",
            "createdDateTime": precise(manifest.created_at),
            "eTag": manifest.version,
            "partnerTenantId": manifest.tenant_id,
            "rootDirectory": f"{self._world.base_url}/blob/billing/{manifest.id}",
            "sasToken": manifest.sas_token,
            "partitionType": "default",
            "blobCount": len(manifest.blobs),
            "blobs": [{"name": n, "partitionValue": "default"} for n in manifest.blobs],
        }

    @property
    def _now(self) -> datetime:
        return self._world.clock.now()

    def _cut(self) -> Cut:
        switches = self.books.switches
        return Cut(switches.blob_lines, switches.gzip_member_lines or switches.blob_lines)

    def _resource_location(self, manifest: Manifest) -> Document:
        if self.books.switches.inline_manifest:
            return {"resourceLocation": self.manifest_resource(manifest)}
        path = f"/graph/v1.0/reports/partners/billing/manifests/{manifest.id}"
        return {"resourceLocation@odata.navigationLink": f"{self._world.base_url}{path}"}

    def _finish(self, operation: Operation) -> None:
        data_set = self._data_sets.get((operation.tenant_id, operation.data_set))
        if data_set is None or not data_set.lines:
            operation.failed = True
            return
        blobs, version = data_set.blobs, data_set.version
        if operation.attribute_set == "basic" and data_set.name.startswith("usage/"):
            rows = (basic(loads(row)) for row in self._blobs.lines(blobs))
            written = self._blobs.write(rows, self._cut())
            blobs, version = list(written.names), written.version
        manifest = Manifest(
            id=self.books.next_id("manifest"),
            version=version,
            tenant_id=operation.tenant_id,
            blobs=blobs,
            created_at=self._now,
        )
        self._manifests[manifest.id] = manifest
        operation.manifest_id = manifest.id
