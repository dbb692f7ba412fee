"""Settings come from the environment; a fault names the variable, one line each, no values."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import Field, SecretStr, model_validator

from shared.runtime.settings import ServiceSettings, SettingsError, load, require_issuer


class Settings(ServiceSettings):
    retries: int = Field(default=3, validation_alias="TIEOUT_TEST_RETRIES", ge=1)
    api_key: SecretStr = Field(default=SecretStr(""), validation_alias="TIEOUT_TEST_API_KEY")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment of the test's own; what `load` adds to it is gone afterwards."""
    made = {"DATABASE_URL": "postgresql://u:hunter2@db/t", "KAFKA_BOOTSTRAP_SERVERS": "k:9092"}
    monkeypatch.setattr(os, "environ", made)
    return made


def test_the_two_usual_names_are_enough() -> None:
    """Everything else has a default."""
    settings = load(Settings)

    assert settings.database_url.get_secret_value() == "postgresql://u:hunter2@db/t"
    assert settings.kafka_bootstrap_servers == "k:9092"
    assert settings.clock_file is None


def test_our_prefix_is_understood_too(environment: dict[str, str]) -> None:
    """`TIEOUT_DATABASE_URL` where `DATABASE_URL` belongs to somebody else."""
    del environment["DATABASE_URL"]
    environment["TIEOUT_DATABASE_URL"] = "postgresql://db/other"

    assert load(Settings).database_url.get_secret_value() == "postgresql://db/other"


def test_every_fault_has_one_line_with_its_variable(environment: dict[str, str]) -> None:
    """A person corrects variables, not fields."""
    del environment["KAFKA_BOOTSTRAP_SERVERS"]
    environment |= {"TIEOUT_HTTP_PORT": "eighty", "TIEOUT_TEST_RETRIES": "0"}

    with pytest.raises(SettingsError) as refused:
        load(Settings)

    lines = str(refused.value).splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == [
        "KAFKA_BOOTSTRAP_SERVERS",
        "TIEOUT_HTTP_PORT",
        "TIEOUT_TEST_RETRIES",
    ]
    assert all(len(line.partition(": ")[2]) > 5 for line in lines)


def test_whom_to_trust_has_no_default(environment: dict[str, str]) -> None:
    """Neither somebody else's issuer nor anybody's token."""
    with pytest.raises(SettingsError) as refused:
        require_issuer(load(Settings))

    assert str(refused.value).splitlines() == [
        "TIEOUT_AUTH_ISSUER: needed to serve",
        "TIEOUT_AUTH_JWKS_URL: needed to serve",
    ]

    environment |= {"TIEOUT_AUTH_ISSUER": "https://i", "TIEOUT_AUTH_JWKS_URL": "https://i/keys"}
    require_issuer(load(Settings))


def test_a_rule_across_fields_is_one_line_as_well() -> None:
    """However the rule words its complaint."""

    class Strict(Settings):
        @model_validator(mode="after")
        def _never(self) -> Strict:
            raise ValueError("these two\ndo not go together")

    with pytest.raises(SettingsError) as refused:
        load(Strict)

    assert str(refused.value) == "settings: Value error, these two do not go together"


def test_no_fault_repeats_a_secret(environment: dict[str, str]) -> None:
    """The text goes to a terminal and into logs."""
    environment["TIEOUT_HTTP_PORT"] = "hunter2"

    with pytest.raises(SettingsError) as refused:
        load(Settings)

    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(ServiceSettings.model_construct(database_url=SecretStr("hunter2")))


def test_a_secret_is_read_from_its_file(environment: dict[str, str], tmp_path: Path) -> None:
    """Mounted secrets end with a line feed; it is not part of them."""
    (tmp_path / "key").write_text("s3cret\n")
    (tmp_path / "dsn").write_text("postgresql://db/mounted\n")
    del environment["DATABASE_URL"]
    environment["TIEOUT_TEST_API_KEY_FILE"] = str(tmp_path / "key")
    environment["DATABASE_URL_FILE"] = str(tmp_path / "dsn")

    settings = load(Settings)

    assert settings.api_key.get_secret_value() == "s3cret"
    assert settings.database_url.get_secret_value() == "postgresql://db/mounted"


def test_a_value_given_directly_wins_over_a_file(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The nearer word counts."""
    environment["TIEOUT_TEST_API_KEY"] = "direct"
    environment["TIEOUT_TEST_API_KEY_FILE"] = str(tmp_path / "never-read")

    assert load(Settings).api_key.get_secret_value() == "direct"


def test_a_missing_secret_file_is_a_fault_of_its_variable(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Not a traceback."""
    environment["TIEOUT_TEST_API_KEY_FILE"] = str(tmp_path / "absent")

    with pytest.raises(SettingsError, match=r"^TIEOUT_TEST_API_KEY_FILE: No such file"):
        load(Settings)


def test_a_setting_that_is_a_path_is_not_read(environment: dict[str, str], tmp_path: Path) -> None:
    """The clock file is looked at later, again and again."""
    environment["TIEOUT_CLOCK_FILE"] = str(tmp_path / "clock")

    assert load(Settings).clock_file == tmp_path / "clock"


def test_settings_do_not_change_while_running() -> None:
    """What was checked at start is what runs."""
    settings = load(Settings)

    with pytest.raises(ValueError, match="frozen"):
        settings.http_port = 1  # type: ignore[misc]  # the point of the test
