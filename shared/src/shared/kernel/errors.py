"""The error tree that domains raise: a stable code, a sentence for a person, and data.

DomainError
├── Invalid        the input contradicts a rule; repeating it cannot help
├── NotFound       the thing named does not exist (or the caller may not see it)
├── Conflict       the thing exists in a state that forbids this
└── Held           a fact is missing; the work waits, visibly, until somebody supplies it
"""

from __future__ import annotations

from collections.abc import Mapping


class DomainError(Exception):
    """Root of all errors a domain raises.

    `code` is snake_case and stable: callers match it, never the text.
    """

    def __init__(self, code: str, detail: str, /, **data: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.data: Mapping[str, str] = data


class Invalid(DomainError):
    """The input contradicts a rule."""


class NotFound(DomainError):
    """The thing named does not exist."""


class Conflict(DomainError):
    """The thing exists in a state that forbids this."""


class Held(DomainError):
    """A fact is missing, so the work waits with a reason instead of becoming a silent zero."""
