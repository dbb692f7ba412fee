"""Wiring only: the fixtures live in `support/`."""

from hypothesis import settings

# How long an example takes depends on the machine; a slow one is not a wrong one.
settings.register_profile("tieout", deadline=None)
settings.load_profile("tieout")

pytest_plugins = ["support.servers"]
