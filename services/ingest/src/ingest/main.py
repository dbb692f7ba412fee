"""The composition root of ingest."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from socket import gethostname

from ingest.api import routers
from ingest.clients.certificates import Certificates, Trust
from ingest.clients.graph import Graph
from ingest.clients.partner_center import PartnerCenter
from ingest.clients.provider import Provider
from ingest.clients.tokens import Application, Tokens
from ingest.handlers import HANDLERS
from ingest.handlers.context import Choices, Context
from ingest.jobs import jobs
from ingest.settings import IngestSettings
from shared.kernel.clock import Clock
from shared.runtime.clock import clock_from
from shared.runtime.http import HttpClient
from shared.runtime.postgres import Database
from shared.runtime.service import Service

PARTNER_CENTER_SCOPE = "https://api.partnercenter.microsoft.com/.default"
PRICING_SCOPE = "https://api.partner.microsoft.com/.default"
GRAPH_SCOPE = "https://graph.microsoft.com/.default"
DOWNLOAD_TIMEOUT_S = 60.0
CERTIFICATE_TIMEOUT_S = 5.0

Connect = Callable[..., HttpClient]


def build(settings: IngestSettings) -> Service:
    """Everything real, nothing started."""
    clock = clock_from(settings.clock_file)
    database = Database(
        settings.database_url.get_secret_value(),
        service="ingest",
        clock=clock,
        pool_size=settings.database_pool_size,
    )
    return assemble(settings, database, clock)


def assemble(
    settings: IngestSettings, database: Database, clock: Clock, *, connect: Connect = HttpClient
) -> Service:
    """The service around a database, a clock and connections of the caller's choice."""
    clients = Clients(settings, connect)
    context = Context(
        database=database,
        partner_center=clients.partner_center(),
        graph=clients.graph(),
        choices=Choices(
            account_id=settings.ingest_tenant_id,
            worker=f"{gethostname()}:{settings.http_port}",
            run=token_hex(4),
            settle_looks=settings.ingest_settle_looks,
            settle_wait_s=settings.ingest_settle_wait_s,
            price_sheet_basis=settings.ingest_price_sheet_basis,
            chunk_lines=settings.ingest_chunk_lines,
            daily_sync=settings.ingest_daily_sync,
            busy_wait_s=settings.ingest_busy_wait_s,
        ),
    )
    return Service(
        name="ingest",
        settings=settings,
        database=database,
        clock=clock,
        handlers=HANDLERS,
        jobs=jobs(context, settings),
        routers=routers(context, clients.certificates(), settings),
        closing=[http.close for http in clients.opened],
    )


class Clients:
    """Makes the clients of the provider and remembers what has to be closed."""

    def __init__(self, settings: IngestSettings, connect: Connect) -> None:
        self._settings = settings
        self._connect = connect
        self.opened: list[HttpClient] = []
        self._login = self._open(settings.ingest_login_url, "microsoft-login")

    def partner_center(self) -> PartnerCenter:
        settings = self._settings
        rest = self._open(settings.ingest_partner_center_url, "partner-center", concurrency=32)
        pricing = self._open(settings.pricing_url, "partner-pricing", timeout_s=DOWNLOAD_TIMEOUT_S)
        return PartnerCenter(
            self._provider(rest, PARTNER_CENTER_SCOPE, "partner-center"),
            self._provider(pricing, PRICING_SCOPE, "partner-pricing", as_user=True),
        )

    def graph(self) -> Graph:
        settings = self._settings
        http = self._open(settings.ingest_graph_url, "microsoft-graph")
        return Graph(
            self._provider(http, GRAPH_SCOPE, "microsoft-graph"),
            self._open("", "provider-storage", timeout_s=DOWNLOAD_TIMEOUT_S),
            blob_hosts=settings.blob_hosts,
            allow_http=settings.ingest_allow_http,
        )

    def certificates(self) -> Certificates:
        settings = self._settings
        trust = Trust(
            hosts=settings.certificate_hosts,
            subjects=settings.certificate_subjects,
            root_file=settings.ingest_webhook_root_file,
            allow_http=settings.ingest_allow_http,
        )
        http = self._open("", "webhook-certificates", timeout_s=CERTIFICATE_TIMEOUT_S)
        return Certificates(http, trust)

    def _provider(
        self, http: HttpClient, scope: str, name: str, *, as_user: bool = False
    ) -> Provider:
        settings = self._settings
        refresh = settings.ingest_refresh_token if as_user else None
        application = Application(
            tenant_id=settings.ingest_tenant_id,
            client_id=settings.ingest_client_id,
            client_secret=settings.ingest_client_secret.get_secret_value(),
            refresh_token=refresh.get_secret_value() if refresh else None,
        )
        return Provider(http, Tokens(self._login, application, scope), name=name)

    def _open(
        self, url: str, name: str, *, timeout_s: float = 10.0, concurrency: int = 20
    ) -> HttpClient:
        http = self._connect(url, name=name, timeout_s=timeout_s, concurrency=concurrency)
        self.opened.append(http)
        return http
