"""Wiring only: the fixtures live in `support/`."""

import pytest
import structlog
from hypothesis import HealthCheck, settings

# How long an example takes depends on the machine; a slow one is not a wrong one.
settings.register_profile("tieout", deadline=None)
# `--hypothesis-profile=long`, by `make properties`.
LONG = [HealthCheck.too_slow, HealthCheck.filter_too_much]
settings.register_profile("long", deadline=None, max_examples=10_000, suppress_health_check=LONG)
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

pytest_plugins = ["support.servers", "support.case_tables", "support.time_limits"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """End-to-end tests first: they share a stack and so a worker, and the others need not wait."""
    items.sort(key=lambda item: item.get_closest_marker("stack") is None)
