"""Knobs of psa-connector. Seconds are real seconds; business time does not pace requests."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import Field, SecretStr, model_validator

from psa_connector.clients.psa import Timing
from psa_connector.store.queue import Pace
from shared.runtime.sealing import Sealer
from shared.runtime.settings import ServiceSettings


class PsaConnectorSettings(ServiceSettings):
    """Environment: `TIEOUT_PSA_CONNECTOR_…` beside what every service has."""

    # Fernet keys, comma-separated, that PSA credentials are stored under; the first one seals.
    psa_connector_credentials_keys: SecretStr
    psa_connector_writers: int = Field(default=6, ge=1, le=32)  # targets at once, this process
    psa_connector_writers_per_connection: int = Field(default=3, ge=1, le=32)  # of all replicas
    psa_connector_request_timeout_s: float = Field(default=8.0, gt=0)
    psa_connector_lease_s: float = Field(default=20.0, gt=0)  # a target's rest after a crash
    psa_connector_settle_s: float = Field(default=10.0, gt=0)  # an unanswered write may arrive
    psa_connector_look_again_s: float = Field(default=2.0, gt=0)  # between looks for it
    psa_connector_facts_s: float = Field(default=300.0, ge=0)  # facts about a contract stand
    psa_connector_sweep_hours: int = Field(default=24, ge=0, le=744)  # business time; 0: never
    # Hosts that connections may name, by suffix. Plain http is accepted on loopback only.
    # The local stack adds this machine, where its simulators listen.
    psa_connector_vendor_hosts: str = "myconnectwise.net,connectwisedev.com,autotask.net"

    @model_validator(mode="after")
    def _lease_outlives_requests(self) -> Self:
        if self.psa_connector_lease_s < 2 * self.psa_connector_request_timeout_s:
            raise ValueError("psa_connector_lease_s must be twice psa_connector_request_timeout_s")
        return self

    @model_validator(mode="after")
    def _keys_are_keys(self) -> Self:
        try:
            _ = self.sealer
        except ValueError as error:
            raise ValueError(f"psa_connector_credentials_keys: {error}") from error
        return self

    @property
    def sealer(self) -> Sealer:
        listed = self.psa_connector_credentials_keys.get_secret_value().split(",")
        return Sealer([key.strip() for key in listed if key.strip()])

    @property
    def pace(self) -> Pace:
        return Pace(
            writers_per_connection=self.psa_connector_writers_per_connection,
            lease_s=self.psa_connector_lease_s,
            settle_s=self.psa_connector_settle_s,
            look_again_s=self.psa_connector_look_again_s,
        )

    @property
    def timing(self) -> Timing:
        return Timing(
            timeout_s=self.psa_connector_request_timeout_s, facts_s=self.psa_connector_facts_s
        )

    @property
    def sweep_every(self) -> timedelta:
        return timedelta(hours=self.psa_connector_sweep_hours)

    @property
    def vendor_hosts(self) -> tuple[str, ...]:
        listed = self.psa_connector_vendor_hosts.split(",")
        return tuple(host.strip().lower() for host in listed if host.strip())
