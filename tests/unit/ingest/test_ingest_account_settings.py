"""Settings of several partner tenants: what is completed, what is refused, and in which words."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.accounts import DEFAULT, job_of, scoped, scoped_id
from ingest.domain.reconciliation import purchase_ids, read_invoice_line
from ingest.handlers.invoice_loading import read_invoice
from ingest.settings import IngestSettings
from ingest.store.exports import Order
from shared.runtime.settings import SettingsError, load

OWN, EU = "7e0a1eb1-0000-4000-8000-000000000001", "7e0a1eb1-0000-4000-8000-000000000002"
ENVIRONMENT = {
    "DATABASE_URL": "postgresql://u@db/t",
    "KAFKA_BOOTSTRAP_SERVERS": "k:9092",
    "TIEOUT_INGEST_TENANT_ID": OWN,
    "TIEOUT_INGEST_CLIENT_ID": "tieout",
    "TIEOUT_INGEST_CLIENT_SECRET": "s3cret",
    "TIEOUT_INGEST_WEBHOOK_CALLBACK_URL": "https://tieout.example/webhooks/partner-center",
    "TIEOUT_INGEST_PRICING_URL": "https://api.partner.microsoft.com",
}
ACCOUNT = {"tenant_id": EU, "client_id": "tieout-eu", "client_secret": "hunter2"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Everything else of ours is gone while the test runs."""
    given: dict[str, str] = dict(ENVIRONMENT)
    monkeypatch.setattr(os, "environ", given)
    return given


def refusal(environment: dict[str, str], accounts: object) -> str:
    text = accounts if isinstance(accounts, str) else json.dumps(accounts)
    environment["TIEOUT_INGEST_ACCOUNTS"] = text
    with pytest.raises(SettingsError) as refused:
        load(IngestSettings)
    assert "hunter2" not in str(refused.value)
    return str(refused.value)


def test_one_account_needs_nothing_new(environment: dict[str, str]) -> None:
    """The variables that were there before describe the account `default`."""
    accounts = load(IngestSettings).accounts

    assert list(accounts) == [DEFAULT]
    assert accounts[DEFAULT].tenant_id == OWN
    assert (
        accounts[DEFAULT].webhook_callback_url == environment["TIEOUT_INGEST_WEBHOOK_CALLBACK_URL"]
    )


def test_a_further_account_has_its_own_identity_and_the_common_addresses(
    environment: dict[str, str],
) -> None:
    """Its notifications arrive below the default receiver."""
    environment["TIEOUT_INGEST_ACCOUNTS"] = json.dumps({"eu": ACCOUNT})

    eu = load(IngestSettings).accounts["eu"]

    assert (eu.tenant_id, eu.client_secret.get_secret_value()) == (EU, "hunter2")
    assert eu.login_url == "https://login.microsoftonline.com"
    assert eu.pricing_url == "https://api.partner.microsoft.com"
    assert eu.webhook_callback_url == "https://tieout.example/webhooks/partner-center/eu"
    assert eu.refresh_token is None


def test_addresses_of_its_own_win(environment: dict[str, str]) -> None:
    """Another cloud has another of everything; prices come from its own Partner Center then."""
    own = {
        "partner_center_url": "https://pc.example",
        "webhook_callback_url": "https://hook.example",
    }
    environment["TIEOUT_INGEST_ACCOUNTS"] = json.dumps({"eu": ACCOUNT | own})

    eu = load(IngestSettings).accounts["eu"]

    assert (eu.partner_center_url, eu.pricing_url) == ("https://pc.example", "https://pc.example")
    assert eu.webhook_callback_url == "https://hook.example"


def test_accounts_and_their_secrets_may_be_mounted(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """A file for the list, a file for each secret."""
    (tmp_path / "secret").write_text("mounted\n")
    (tmp_path / "token").write_text("vaulted\n")
    account = {
        "tenant_id": EU, "client_id": "c", "client_secret_file": str(tmp_path / "secret"),
        "refresh_token_file": str(tmp_path / "token"),
    }  # fmt: skip
    (tmp_path / "accounts.json").write_text(json.dumps({"eu": account}))
    environment["TIEOUT_INGEST_ACCOUNTS_FILE"] = str(tmp_path / "accounts.json")

    eu = load(IngestSettings).accounts["eu"]

    assert eu.client_secret.get_secret_value() == "mounted"
    assert eu.refresh_token is not None
    assert eu.refresh_token.get_secret_value() == "vaulted"


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ACCOUNT.items() if key != name}


@pytest.mark.parametrize(
    ("accounts", "variable", "words"),
    [
        ("{", "TIEOUT_INGEST_ACCOUNTS", "no JSON"),
        ("[]", "TIEOUT_INGEST_ACCOUNTS", "valid dictionary"),
        ({"eu": _without("tenant_id")}, "TIEOUT_INGEST_ACCOUNTS.eu.tenant_id", "required"),
        ({"eu": _without("client_secret")}, "TIEOUT_INGEST_ACCOUNTS.eu.client_secret", "required"),
        ({"eu": ACCOUNT | {"client_secret": ""}}, "TIEOUT_INGEST_ACCOUNTS.eu.client_secret", "1"),
        ({"eu": ACCOUNT | {"tennant": "x"}}, "TIEOUT_INGEST_ACCOUNTS.eu.tennant", "not permitted"),
        ({"eu": ACCOUNT | {"login_url": "login"}}, "TIEOUT_INGEST_ACCOUNTS.eu.login_url", "https"),
        ({"eu": "x"}, "TIEOUT_INGEST_ACCOUNTS.eu", "dictionary"),
        ({"EU West": ACCOUNT}, "TIEOUT_INGEST_ACCOUNTS.EU West.[key]", "pattern"),
        ({"default": ACCOUNT}, "TIEOUT_INGEST_ACCOUNTS", "TIEOUT_INGEST_TENANT_ID"),
        ({"eu": ACCOUNT, "us": ACCOUNT}, "TIEOUT_INGEST_ACCOUNTS", "us and eu are the same tenant"),
        ({"eu": ACCOUNT | {"tenant_id": OWN.upper()}}, "TIEOUT_INGEST_ACCOUNTS", "same tenant"),
        (
            {"eu": ACCOUNT | {"client_secret_file": "/nowhere"}},
            "TIEOUT_INGEST_ACCOUNTS.eu",
            "not both",
        ),
        (
            {"eu": _without("client_secret") | {"client_secret_file": "/nowhere"}},
            "TIEOUT_INGEST_ACCOUNTS.eu",
            "client_secret_file: No such file",
        ),
        ('{"eu": {}, "eu": {}}', "TIEOUT_INGEST_ACCOUNTS", "eu comes twice"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_place(
    environment: dict[str, str], accounts: object, variable: str, words: str
) -> None:
    """At the start, not at the first sign-in; no line repeats a secret."""
    [line] = refusal(environment, accounts).splitlines()

    assert line.partition(": ")[0] == variable
    assert words in line


def test_names_of_the_default_account_carry_no_account() -> None:
    """Files and jobs are called as before there were several."""
    assert Order("usage", "G1").data_set == "billed/G1"
    assert scoped_id(DEFAULT, "x") == "x"
    assert job_of("checks", DEFAULT) == "checks"


def test_names_of_other_accounts_cannot_be_those_of_the_default_one() -> None:
    """The provider counts invoices per tenant."""
    assert Order("usage", "G1", account_id="eu").data_set == "eu/billed/G1"
    assert Order("usage", None, "EUR", "last", "eu").data_set == "eu/unbilled/EUR/last"
    assert scoped("eu", "x") == "eu/x"
    assert len({"x", scoped_id("eu", "x"), scoped_id("us", "x")}) == 3
    assert job_of("checks", "eu") == "checks@eu"


def test_the_same_invoice_line_of_two_accounts_is_two_purchases() -> None:
    """Down to the reference, and still both are billed."""
    raw = {
        "customerId": "c", "chargeType": "new", "quantity": "1", "unitPrice": "5",
        "subtotal": "5", "currency": "EUR", "invoiceNumber": "G1", "productId": "DZH318Z0RRRR",
        "chargeStartDate": "2026-04-01", "chargeEndDate": "2026-04-30",
    }  # fmt: skip
    line = read_invoice_line(raw, number=1)
    body = json.dumps(raw).encode()

    [own], [eu] = purchase_ids([line]), purchase_ids([line], "eu")

    assert own != eu
    assert [x.line_id for x in read_invoice([body]).lines] == [own]
    assert [x.line_id for x in read_invoice([body], "eu").lines] == [eu]
