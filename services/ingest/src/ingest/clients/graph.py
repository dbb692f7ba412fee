"""Graph's billing exports: ask, poll, read the manifest, stream the blobs.

The SAS token of a manifest is a credential: it lives in memory only, and a process that resumes
reads the operation again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ingest.clients.errors import ProviderError, ProviderRefused
from ingest.clients.provider import Provider
from ingest.domain.documents import Fields
from shared.kernel.errors import Invalid
from shared.runtime.http import HttpClient, Response

_BASE = "/v1.0/reports/partners/billing"
GONE, OK = 410, 200


class ExportExpired(Exception):
    """Operation, manifest or blob links are gone: the export has to be asked for again."""


class DownloadFailed(Exception):
    """A blob could not be read to its end; trying again may help."""


@dataclass(frozen=True, slots=True)
class Running:
    after_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    code: str
    message: str

    @property
    def no_data(self) -> bool:
        """Nothing to export yet: an invoice that is not out, a period without usage."""
        return "no data" in self.message.casefold()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a data set, ready to be downloaded."""

    version: str
    root: str
    sas_token: str
    blobs: tuple[str, ...]


class Graph:
    """The export interface and the storage behind it."""

    def __init__(
        self,
        provider: Provider,
        storage: HttpClient,
        *,
        blob_hosts: Collection[str],
        allow_http: bool = False,
    ) -> None:
        self._provider = provider
        self._storage = storage
        self._blob_hosts = blob_hosts
        self._allow_http = allow_http

    async def start_billed(self, what: str, invoice_number: str) -> tuple[str, float]:
        """Ask for the lines of an invoice. Returns the operation and how long to wait."""
        body = {"invoiceId": invoice_number, "attributeSet": "full"}
        return await self._start(f"{_BASE}/{what}/billed/export", body)

    async def start_unbilled(self, what: str, currency: str, period: str) -> tuple[str, float]:
        """Ask for the lines of an open period: `current` or `last`."""
        body = {"currencyCode": currency, "billingPeriod": period, "attributeSet": "full"}
        return await self._start(f"{_BASE}/{what}/unbilled/export", body)

    async def poll(self, operation_id: str) -> Running | Failed | Manifest:
        """How far the operation is.

        Raises:
            ExportExpired: it is too old.
        """
        path = f"{_BASE}/operations/{quote(operation_id, safe='')}"
        response = await self._provider.request("GET", path, accept=(GONE,))
        fields = _fields(response)
        if response.status == GONE:
            raise ExportExpired(f"operation {operation_id}")
        status = fields.text("status").casefold()
        if status == "failed":
            error = Fields(fields.mapping("error"))
            return Failed(error.text("code"), error.text("message"))
        if status != "succeeded":
            return Running(_wait_of(response))
        return await self._manifest(fields)

    async def blob(self, manifest: Manifest, name: str) -> AsyncGenerator[bytes, None]:
        """The compressed bytes of one blob, as they come.

        Raises:
            ExportExpired: the links are too old.
            DownloadFailed: any other answer than the blob.
        """
        url = f"{manifest.root.rstrip('/')}/{quote(name)}?{manifest.sas_token}"
        self._require_blob_address(url)
        async with self._storage.stream(url) as (status, chunks):
            if status in (403, GONE):
                raise ExportExpired(f"blob {name}")
            if status != OK:
                raise DownloadFailed(f"blob {name}: HTTP {status}")
            async for chunk in chunks:
                yield chunk

    async def _start(self, path: str, body: Mapping[str, str]) -> tuple[str, float]:
        response = await self._provider.request("POST", path, json=body)
        location = urlsplit(response.headers.get("location", "")).path
        operation_id = unquote(location.rstrip("/").rsplit("/", 1)[-1])
        if not operation_id:
            raise ProviderRefused("export without a location", response)
        return operation_id, _wait_of(response)

    async def _manifest(self, operation: Fields) -> Manifest:
        document = operation.mapping("resourceLocation")
        if not document:
            link = operation.text("resourceLocation@odata.navigationLink")
            manifest_id = urlsplit(link).path.rstrip("/").rsplit("/", 1)[-1]
            path = f"{_BASE}/manifests/{manifest_id}"
            response = await self._provider.request("GET", path, accept=(GONE,))
            if response.status == GONE:
                raise ExportExpired(f"manifest {manifest_id}")
            document = _document(response)
        return _manifest_of(Fields(document))

    def _require_blob_address(self, url: str) -> None:
        parts = urlsplit(url)
        schemes = ("https", "http") if self._allow_http else ("https",)
        host = (parts.hostname or "").lower()
        listed = any(fnmatchcase(host, pattern) for pattern in self._blob_hosts)
        if parts.scheme not in schemes or not listed or parts.username:
            raise Invalid("blob_address_refused", f"{parts.scheme}://{host} is not on the list")


def _manifest_of(fields: Fields) -> Manifest:
    listed = (blob for blob in fields.sequence("blobs") if isinstance(blob, Mapping))
    # In one order always: a load that resumes counts the lines it skips from the first blob on.
    blobs = tuple(sorted(Fields(blob).text("name") for blob in listed))
    count = fields.integer("blobCount")
    if count is not None and count != len(blobs):
        raise Invalid("manifest_incomplete", f"{len(blobs)} blobs listed, {count} promised")
    version = fields.text("eTag").strip('"')
    if not version:
        raise Invalid("manifest_without_version", "the manifest has no eTag")
    return Manifest(
        version=version,
        root=fields.text("rootDirectory"),
        sas_token=fields.text("sasToken").lstrip("?"),
        blobs=blobs,
    )


def _wait_of(response: Response) -> float:
    """What the provider asks for; a second where it asks for nothing."""
    asked = response.retry_after_s
    return 1.0 if asked is None else asked


def _fields(response: Response) -> Fields:
    return Fields(_document(response))


def _document(response: Response) -> Mapping[str, Any]:
    body = response.json() if response.content else {}
    return body if isinstance(body, Mapping) else {}


__all__ = ["DownloadFailed", "ExportExpired", "Failed", "Graph", "Manifest", "ProviderError",
           "Running"]  # fmt: skip
