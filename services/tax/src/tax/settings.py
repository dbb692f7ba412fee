"""Tax has no knobs of its own yet: rates are data, and the embedded engine needs no address."""

from __future__ import annotations

from shared.runtime.settings import ServiceSettings


class TaxSettings(ServiceSettings):
    """The settings every service has."""
