"""Where the provider is, who we are to it, and what a webhook must prove.

Every knob is `TIEOUT_INGEST_…`. Defaults are Microsoft's worldwide addresses; the local stack sets
its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from ingest.domain.accounts import DEFAULT
from ingest.domain.price_sheets import Basis
from shared.runtime.settings import ServiceSettings

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+")]
AccountId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
_SECRETS = ("client_secret", "refresh_token")


class AccountSettings(BaseModel):
    """One Partner Center account: one partner tenant. Addresses it lacks are the default's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant_id: Text
    client_id: Text
    client_secret: SecretStr = Field(min_length=1)
    # Price sheets refuse app-only tokens: the refresh token of a signed-in partner user.
    refresh_token: SecretStr | None = None
    partner_center_url: Url | None = None
    pricing_url: Url | None = None  # default: the account's own Partner Center, if it has one
    graph_url: Url | None = None
    login_url: Url | None = None
    blob_hosts: Text | None = None
    webhook_callback_url: Url | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, given: Any) -> Any:
        """`client_secret_file` and `refresh_token_file` name mounted secrets."""
        if not isinstance(given, Mapping):
            return given
        values = dict(given)
        for name in _SECRETS:
            path = values.pop(f"{name}_file", None)
            if path is None:
                continue
            if name in values:
                raise ValueError(f"name {name} or {name}_file, not both")
            values[name] = _text_of(f"{name}_file", path)
        return values


def _text_of(name: str, path: object) -> str:
    try:
        return Path(str(path)).read_text().strip()
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else "not readable as text"
        raise ValueError(f"{name}: {words} ({path})") from error


def _document(given: object) -> object:
    """The JSON of further accounts; a name that comes twice is a mistake, not the second one."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given or "{}", object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error}") from error


def _without_repeats(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name} comes twice")
        found[name] = value
    return found


class IngestSettings(ServiceSettings):
    """The default account, and further ones."""

    ingest_tenant_id: str
    ingest_client_id: str
    ingest_client_secret: SecretStr
    # Price sheets refuse app-only tokens: the refresh token of a signed-in partner user.
    ingest_refresh_token: SecretStr | None = None

    ingest_partner_center_url: str = "https://api.partnercenter.microsoft.com"
    ingest_pricing_url: str | None = None  # default: the Partner Center address
    ingest_graph_url: str = "https://graph.microsoft.com"
    ingest_login_url: str = "https://login.microsoftonline.com"
    ingest_blob_hosts: str = "*.blob.core.windows.net"  # where exports may be downloaded from
    ingest_allow_http: bool = False  # the local stack only: provider addresses without TLS

    ingest_webhook_callback_url: str | None = None
    ingest_webhook_certificate_hosts: str = "3psostorageacct.blob.core.windows.net"
    ingest_webhook_certificate_subjects: str = "pcnotifications-dispatch.microsoft.com"
    ingest_webhook_root_file: Path | None = None  # trusted roots as PEM; default: the system's

    # Further partner tenants by name, as JSON; `TIEOUT_INGEST_ACCOUNTS_FILE` names a file with it.
    ingest_accounts: Annotated[
        dict[AccountId, AccountSettings], NoDecode, BeforeValidator(_document)
    ] = Field(default={}, validate_default=False)

    ingest_check_workers: int = 2  # each looks at up to eight subscriptions side by side
    ingest_sweep_workers: int = 2
    # How long a change without a record may wait for its record before its time is estimated.
    ingest_settle_looks: int = 4
    ingest_settle_wait_s: float = 1.5
    ingest_chunk_lines: int = 20_000  # usage lines a transaction
    ingest_busy_wait_s: float = 120.0  # before an order asks again where the provider is busy
    ingest_order_look_s: float = 86_400.0  # for what came of an order, before a person has to
    ingest_daily_sync: bool = True  # repeat the sync each day, once one was asked for
    ingest_price_sheet_basis: Basis = Basis.CYCLE

    @field_validator("ingest_accounts", mode="after")
    @classmethod
    def _one_tenant_each(
        cls, accounts: dict[str, AccountSettings], info: ValidationInfo
    ) -> dict[str, AccountSettings]:
        """A tenant under two names would be read twice, and everything of it told twice."""
        if DEFAULT in accounts:
            raise ValueError(f"{DEFAULT} is the account of TIEOUT_INGEST_TENANT_ID")
        names = {str(info.data.get("ingest_tenant_id", "")).casefold(): DEFAULT}
        for name, account in accounts.items():
            other = names.setdefault(account.tenant_id.casefold(), name)
            if other != name:
                raise ValueError(f"{name} and {other} are the same tenant")
        return accounts

    @property
    def accounts(self) -> Mapping[str, AccountSettings]:
        """Every account by its id with all its addresses, the default one first."""
        own = AccountSettings.model_construct(
            tenant_id=self.ingest_tenant_id,
            client_id=self.ingest_client_id,
            client_secret=self.ingest_client_secret,
            refresh_token=self.ingest_refresh_token,
            partner_center_url=self.ingest_partner_center_url,
            pricing_url=self.ingest_pricing_url or self.ingest_partner_center_url,
            graph_url=self.ingest_graph_url,
            login_url=self.ingest_login_url,
            blob_hosts=self.ingest_blob_hosts,
            webhook_callback_url=self.ingest_webhook_callback_url,
        )
        others = {name: _completed(name, a, own) for name, a in self.ingest_accounts.items()}
        return {DEFAULT: own, **others}

    @property
    def certificate_hosts(self) -> frozenset[str]:
        return words(self.ingest_webhook_certificate_hosts)

    @property
    def certificate_subjects(self) -> frozenset[str]:
        return words(self.ingest_webhook_certificate_subjects)


def _completed(name: str, account: AccountSettings, default: AccountSettings) -> AccountSettings:
    """With the default's addresses where it has none; its receiver is below the default's."""
    callback = default.webhook_callback_url
    found: dict[str, Any] = {
        "pricing_url": account.partner_center_url or default.pricing_url,
        "webhook_callback_url": f"{callback.rstrip('/')}/{name}" if callback else None,
    }
    for field in ("partner_center_url", "graph_url", "login_url", "blob_hosts"):
        found[field] = getattr(default, field)
    missing = {key: value for key, value in found.items() if getattr(account, key) is None}
    return account.model_copy(update=missing)


def words(text: str) -> frozenset[str]:
    """A list in one variable, separated by commas or blanks."""
    return frozenset(text.replace(",", " ").lower().split())
