"""Invoicing has no knobs of its own: terms, prefixes and tax modes are data."""

from __future__ import annotations

from shared.runtime.settings import ServiceSettings


class InvoicingSettings(ServiceSettings):
    """The settings every service has."""
