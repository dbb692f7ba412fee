"""Wiring only: the fixtures live in `support/`."""

import structlog
from hypothesis import settings

# How long an example takes depends on the machine; a slow one is not a wrong one.
settings.register_profile("tieout", deadline=None)
settings.load_profile("tieout")

# Unconfigured, structlog draws every provoked exception as a rich traceback: seconds each.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(),
    ]
)

pytest_plugins = ["support.servers", "support.case_tables"]
