"""A connection to one PSA tenant, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from psa_connector.domain.additions import AdditionRules, TaxBy, ZeroLines


@dataclass(frozen=True, slots=True)
class Connection:
    """One PSA tenant and how to talk to it. Credentials are sealed, and never print."""

    id: str
    vendor: str
    base_url: str
    credentials: Mapping[str, str] = field(repr=False)  # sealed values by name
    settings: Mapping[str, str | int | bool | None]
    version: int

    @property
    def addition_rules(self) -> AdditionRules:
        """What the settings decide about additions."""
        return AdditionRules(
            tax_by=TaxBy(str(self.settings.get("tax_mode") or TaxBy.PSA)),
            zero_lines=ZeroLines(str(self.settings.get("zero_lines") or ZeroLines.NO_CHARGE)),
        )

    @property
    def drift_choices(self) -> Mapping[str, str]:
        """What this connection does about kinds of drift, where it differs from the policy."""
        prefix = "drift_"
        return {
            name.removeprefix(prefix): str(value)
            for name, value in self.settings.items()
            if name.startswith(prefix) and value
        }

    @property
    def other_cycles_allowed(self) -> bool:
        """Whether agreements may bill in another rhythm than monthly or once (C1)."""
        return bool(self.settings.get("other_billing_cycles"))
