"""Wiring only: the fixtures live in `support/`."""

pytest_plugins = ["support.servers"]
