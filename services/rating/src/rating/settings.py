"""Rating has no knobs of its own: prices, rules and rates are data."""

from __future__ import annotations

from shared.runtime.settings import ServiceSettings


class RatingSettings(ServiceSettings):
    """The settings every service has."""
