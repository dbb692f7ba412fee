"""Several partner tenants of one partner, and names that cannot collide between them.

The first account, `default`, came alone: what belongs to it carries no account in its names.
"""

from __future__ import annotations

from shared.kernel.ids import derived_id

DEFAULT = "default"


def scoped(account_id: str, name: str, *, by: str = "/") -> str:
    """A name that the provider gives out per tenant, such as a data set of an invoice number."""
    return name if account_id == DEFAULT else f"{account_id}{by}{name}"


def scoped_id(account_id: str, known: str) -> str:
    """An id derived from what the provider says, for an account."""
    return known if account_id == DEFAULT else derived_id("provider-account", account_id, known)


def job_of(kind: str, account_id: str) -> str:
    """The job that does this kind of work for an account: each has workers of its own."""
    return kind if account_id == DEFAULT else f"{kind}@{account_id}"
