"""Settings common to all services: environment only, `*_FILE` for mounted secrets.

Each service subclasses `ServiceSettings` for its own knobs (prefix `TIEOUT_<SERVICE>_`). Defaults
suit nothing but a unit test: the local stack and the chart set every address.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """What every service needs to run."""

    model_config = SettingsConfigDict(env_prefix="TIEOUT_", extra="ignore", frozen=True)

    database_url: SecretStr = Field(
        validation_alias=AliasChoices("DATABASE_URL", "TIEOUT_DATABASE_URL")
    )
    kafka_bootstrap_servers: str = Field(
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "TIEOUT_KAFKA_BOOTSTRAP_SERVERS")
    )
    kafka_security_protocol: str = "PLAINTEXT"  # PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
    kafka_sasl_mechanism: str = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca_file: Path | None = None
    http_host: str = "127.0.0.1"
    http_port: int = 8080
    management_port: int = 8081
    clock_file: Path | None = None  # set by the local stack only; unset: the system's time
    auth_issuer: str = ""  # compared with a token's `iss` as it stands; needed to serve
    auth_jwks_url: str = ""
    auth_audience: str = "tieout"
    database_pool_size: int = 8
    log_format: str = "json"  # json, console
    log_level: str = "INFO"


S = TypeVar("S", bound=ServiceSettings)


class SettingsError(Exception):
    """The environment does not describe a service that can run; one line per fault."""


def load(settings_class: type[S]) -> S:
    """Read the environment.

    Raises:
        SettingsError: with one line per missing or malformed variable.
    """
    _read_secret_files()
    try:
        return settings_class()
    except ValidationError as error:
        lines = [f"{_variable(settings_class, e['loc'])}: {e['msg']}" for e in error.errors()]
        raise SettingsError("\n".join(" ".join(line.split()) for line in lines)) from error


def require_issuer(settings: ServiceSettings) -> None:
    """A service has no default for whom it trusts; migrating needs nobody's token.

    Raises:
        SettingsError: with one line per missing variable.
    """
    missing = [name for name in ("auth_issuer", "auth_jwks_url") if not getattr(settings, name)]
    if missing:
        lines = (f"{_variable(type(settings), (name,))}: needed to serve" for name in missing)
        raise SettingsError("\n".join(lines))


def _variable(settings_class: type[ServiceSettings], location: tuple[int | str, ...]) -> str:
    """The environment variable a person must correct."""
    field, *inside = (str(part) for part in location or ("settings",))
    if field in settings_class.model_fields:
        field = f"{settings_class.model_config['env_prefix']}{field}".upper()
    return ".".join((field, *inside))


def _read_secret_files() -> None:
    """`TIEOUT_X_FILE=/run/secrets/x` sets `TIEOUT_X` to the text of that file."""
    for name, path in list(os.environ.items()):
        is_ours = name.startswith("TIEOUT_") or name == "DATABASE_URL_FILE"
        target = name.removesuffix("_FILE")
        if not is_ours or target == name or name.endswith(_PLAIN_FILES) or target in os.environ:
            continue
        try:
            os.environ[target] = Path(path).read_text().strip()
        except OSError as error:
            raise SettingsError(f"{name}: {error.strerror} ({path})") from error


_PLAIN_FILES = ("CLOCK_FILE", "CA_FILE", "ROOT_FILE")  # settings that are paths themselves
