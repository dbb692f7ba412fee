"""Which errors pass by themselves: the network, a switchover, a lock, a broker that restarts."""

from __future__ import annotations

import asyncpg

from shared.runtime.kafka import BusError

_TRANSIENT_SQLSTATES = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "25006",  # read_only_sql_transaction: we talk to a former primary
    "53300",  # too_many_connections
    "55P03",  # lock_not_available
    "57014",  # query_canceled by a timeout
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
}


def is_transient(error: BaseException) -> bool:
    """Whether doing the same again later can help."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state.startswith("08") or state in _TRANSIENT_SQLSTATES
    if isinstance(error, asyncpg.InterfaceError):
        return "closed" in str(error) or "connection" in str(error)
    # asyncpg's name for a connection that ends in the instant in which a query goes out
    ended = asyncpg.InternalClientError
    return isinstance(error, OSError | TimeoutError | BusError | ended)
