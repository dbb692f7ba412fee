"""The port behind which every payment provider stands, and the ways a request to one can end.

What matters about an ending is what may be done next, not which status code it had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from payments.domain.attempt import Attempt, Report


@dataclass(frozen=True, slots=True)
class NotSent:
    """The provider did not get or did not take the request: nothing happened, try again later.

    `problem` is set where waiting alone will not mend it.
    """

    why: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """It may have happened. Nothing may be charged anew before the outcome is known."""

    why: str


class NoAnswer(Exception):
    """A read got no usable answer; reading again is harmless."""


class Gateway(Protocol):
    """One provider."""

    async def charge(self, attempt: Attempt) -> Report | NotSent | Unclear:
        """Collect the amount of an attempt. The same attempt always sends the same request under
        the same idempotency key."""
        ...

    async def read(self, payment_id: str) -> Report | None:
        """The payment as it stands; None when the provider has no such payment.

        Raises:
            NoAnswer: the provider cannot say at the moment.
        """
        ...

    async def abandon(self, attempt: Attempt, payment_id: str) -> Report | None:
        """Make sure that a stalled payment never collects anything; its state afterwards.

        Raises:
            NoAnswer: it may or may not have been abandoned; looking again is harmless.
        """
        ...

    async def search(self, attempt: Attempt) -> Report | None:
        """Go through the customer's payments for the one of this attempt; None: it is not there.

        Raises:
            NoAnswer: the search could not be completed, so it proves nothing.
        """
        ...
