"""Settings that would let two writers meet are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from psa_connector.settings import PsaConnectorSettings
from shared.runtime.sealing import new_key

NEEDED = {
    "DATABASE_URL": "postgresql://x/y",
    "KAFKA_BOOTSTRAP_SERVERS": "unused",
    "psa_connector_credentials_keys": new_key(),
}


def test_a_lease_outlives_its_requests() -> None:
    """A request that is still on its way must not meet the next writer's."""
    with pytest.raises(ValidationError):
        PsaConnectorSettings.model_validate(NEEDED | {"psa_connector_lease_s": 10})


def test_the_environment_has_the_services_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """`TIEOUT_PSA_CONNECTOR_WRITERS`, beside the names all services share."""
    monkeypatch.setenv("TIEOUT_PSA_CONNECTOR_WRITERS", "4")
    monkeypatch.setenv("TIEOUT_HTTP_PORT", "47014")

    settings = PsaConnectorSettings.model_validate(NEEDED | {})

    assert settings.psa_connector_writers_per_connection == 3
    assert PsaConnectorSettings(**NEEDED).psa_connector_writers == 4  # type: ignore[arg-type]  # aliases
    assert PsaConnectorSettings(**NEEDED).http_port == 47014  # type: ignore[arg-type]  # aliases


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param("", id="none"),
        pytest.param(" , ", id="blanks"),
        pytest.param("secret", id="a passphrase"),
        pytest.param(f"{new_key()},short", id="the second is none"),
    ],
)
def test_credentials_are_stored_under_real_keys(keys: str) -> None:
    """A passphrase is no key; neither is none."""
    with pytest.raises(ValidationError, match="credentials_keys"):
        PsaConnectorSettings.model_validate(NEEDED | {"psa_connector_credentials_keys": keys})
