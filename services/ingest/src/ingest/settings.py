"""Where the provider is, who we are to it, and what a webhook must prove.

Every knob is `TIEOUT_INGEST_…`. Defaults are Microsoft's worldwide addresses; the local stack sets
its own.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from ingest.domain.price_sheets import Basis
from shared.runtime.settings import ServiceSettings


class IngestSettings(ServiceSettings):
    """One Partner Center account: one partner tenant."""

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

    ingest_check_workers: int = 2  # each looks at up to eight subscriptions side by side
    ingest_sweep_workers: int = 2
    # How long a change without a record may wait for its record before its time is estimated.
    ingest_settle_looks: int = 4
    ingest_settle_wait_s: float = 1.5
    ingest_chunk_lines: int = 20_000  # usage lines a transaction
    ingest_busy_wait_s: float = 120.0  # before an order asks again where the provider is busy
    ingest_daily_sync: bool = True  # repeat the sync each day, once one was asked for
    ingest_price_sheet_basis: Basis = Basis.CYCLE

    @property
    def pricing_url(self) -> str:
        return self.ingest_pricing_url or self.ingest_partner_center_url

    @property
    def certificate_hosts(self) -> frozenset[str]:
        return words(self.ingest_webhook_certificate_hosts)

    @property
    def certificate_subjects(self) -> frozenset[str]:
        return words(self.ingest_webhook_certificate_subjects)

    @property
    def blob_hosts(self) -> frozenset[str]:
        return words(self.ingest_blob_hosts)


def words(text: str) -> frozenset[str]:
    """A list in one variable, separated by commas or blanks."""
    return frozenset(text.replace(",", " ").lower().split())
