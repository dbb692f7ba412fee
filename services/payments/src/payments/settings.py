"""The knobs of payments: where the provider is, how to speak to it, and how to believe it."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.runtime.settings import ServiceSettings


class PaymentsSettings(ServiceSettings):
    """Environment: `TIEOUT_PAYMENTS_…` beside what every service has."""

    model_config = SettingsConfigDict(env_prefix="TIEOUT_", extra="ignore", frozen=True)

    payments_stripe_url: str = "https://api.stripe.com"
    payments_stripe_api_key: SecretStr
    # Several secrets, separated by commas, while one replaces another.
    payments_stripe_webhook_secret: SecretStr
    # How long a confirmation by webhook is waited for before the provider is asked.
    payments_confirm_after_s: int = Field(default=900, ge=1)

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        listed = self.payments_stripe_webhook_secret.get_secret_value().split(",")
        return tuple(secret.strip() for secret in listed if secret.strip())

    @property
    def confirm_after(self) -> timedelta:
        return timedelta(seconds=self.payments_confirm_after_s)
