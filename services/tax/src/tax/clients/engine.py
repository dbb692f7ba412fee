"""The one port behind which every tax engine stands.

An engine is asked between two transactions, never inside one, so a remote engine may take its time.
"""

from __future__ import annotations

from typing import Protocol

from tax.domain.determination import Determination, Document


class TaxEngine(Protocol):
    """Embedded rate tables today; a tax cloud fits the same two questions."""

    async def version(self) -> str:
        """Names the data behind the next answer. A document that was held under another version is
        asked about again."""
        ...

    async def determine(self, document: Document) -> Determination:
        """The tax of a document; asking twice gives the same answer or a newer one.

        Raises:
            Held: with the reason why there is no answer yet. Never a zero instead.
        """
        ...
