"""An operation on its way into the ledger: first what it is, then where it goes and under which
key."""

from __future__ import annotations

from dataclasses import dataclass

from psa_connector.domain.mapping import Block
from psa_connector.domain.operations import Operation, OperationKind, kind_of
from psa_connector.domain.push_keys import KeyKind


@dataclass(frozen=True, slots=True)
class Draft:
    """An operation with its cause; `block` when it cannot go out as it is."""

    source_id: str  # "<invoice number>/<line>" or a licence-change entry id
    key_kind: KeyKind
    operation: Operation
    subscription_id: str | None = None
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A draft with its key and its target: the unit of ordering."""

    key: str
    target: str
    draft: Draft
    block: Block | None

    @property
    def kind(self) -> OperationKind:
        return kind_of(self.draft.operation)
