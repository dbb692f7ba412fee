"""What the loaders of both kinds of files share: who works on which version, and still may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ingest.clients.graph import Manifest
from ingest.handlers.context import Context
from ingest.store import exports, provider_files
from ingest.store.exports import Export, Outcome
from ingest.store.provider_files import ProviderFile
from shared.runtime.postgres import Transaction

LOADED, UNCHANGED, SUPERSEDED, NO_DATA = "loaded", "unchanged", "superseded", "no_data"
USAGE = "usage"


class Contended(Exception):
    """Somebody else works on this export or on this version; what they commit counts."""


@dataclass(frozen=True, slots=True)
class Loading:
    """One export at work on one version of its data set."""

    context: Context
    export: Export
    manifest: Manifest
    file_id: str

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[tuple[Transaction, ProviderFile]]:
        """A transaction with the file locked and the export's lease renewed.

        Raises:
            Contended: the lease went to somebody else.
        """
        async with self.context.database.transaction(
            actor="provider", correlation_id=self.export.id
        ) as tx:
            if not await exports.renew_export(tx, self.export):
                raise Contended(f"export {self.export.id} has another worker")
            file = await provider_files.find_file(tx, self.file_id, lock=True)
            if file is None:
                raise RuntimeError(f"file {self.file_id} was opened and is not there")
            yield tx, file

    async def overtaken(self, tx: Transaction, file: ProviderFile) -> bool:
        """Before closing: whether a version that was opened later is closed. Then this one is not,
        or it would count instead, and the newer one would be taken for loaded."""
        await provider_files.hold_data_set(tx, file.kind, file.data_set)
        newer = await provider_files.newer_version(tx, file)
        if newer is not None:
            await self.finish(tx, SUPERSEDED, f"version {newer} came later and is loaded")
        return newer is not None

    async def finish(self, tx: Transaction, outcome: str, reason: str | None = None) -> None:
        await exports.finish_export(tx, self.export, Outcome("done", outcome, self.file_id, reason))
