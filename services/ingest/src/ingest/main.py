"""The composition root of ingest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from secrets import token_hex
from socket import gethostname

from ingest.api import routers
from ingest.clients.certificates import Certificates, Trust
from ingest.clients.graph import Graph
from ingest.clients.partner_center import PartnerCenter
from ingest.clients.provider import Provider
from ingest.clients.tokens import Application, Tokens
from ingest.domain.accounts import DEFAULT
from ingest.handlers import HANDLERS
from ingest.handlers.context import Account, Accounts, Choices, Context
from ingest.jobs import jobs
from ingest.settings import AccountSettings, IngestSettings, words
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
    choices = Choices(
        worker=f"{gethostname()}:{settings.http_port}",
        run=token_hex(4),
        settle_looks=settings.ingest_settle_looks,
        settle_wait_s=settings.ingest_settle_wait_s,
        price_sheet_basis=settings.ingest_price_sheet_basis,
        chunk_lines=settings.ingest_chunk_lines,
        daily_sync=settings.ingest_daily_sync,
        busy_wait_s=settings.ingest_busy_wait_s,
        order_look_s=settings.ingest_order_look_s,
    )
    opened = Opened(connect)
    contexts = []
    for name, account in settings.accounts.items():
        clients = Clients(name, account, opened, allow_http=settings.ingest_allow_http)
        contexts.append(
            Context(
                database=database,
                account=Account(
                    name, account.tenant_id, account.webhook_callback_url, account.client_id
                ),
                partner_center=clients.partner_center(),
                graph=clients.graph(),
                choices=choices,
            )
        )
    accounts = Accounts(contexts)
    return Service(
        name="ingest",
        settings=settings,
        database=database,
        clock=clock,
        handlers=HANDLERS,
        jobs=jobs(accounts, settings),
        routers=routers(accounts, certificates(settings, opened)),
        closing=[http.close for http in opened],
    )


class Opened:
    """Opens connections and remembers what has to be closed."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._opened: list[HttpClient] = []

    def __iter__(self) -> Iterator[HttpClient]:
        return iter(self._opened)

    def open(
        self, url: str, name: str, *, timeout_s: float = 10.0, concurrency: int = 20
    ) -> HttpClient:
        http = self._connect(url, name=name, timeout_s=timeout_s, concurrency=concurrency)
        self._opened.append(http)
        return http


class Clients:
    """Makes the clients of one account: connections, tokens and pauses are nobody else's."""

    def __init__(
        self, name: str, account: AccountSettings, opened: Opened, *, allow_http: bool
    ) -> None:
        self._name = name
        self._account = account
        self._opened = opened
        self._allow_http = allow_http
        self._login = self._open(account.login_url, "microsoft-login")

    def partner_center(self) -> PartnerCenter:
        account = self._account
        rest = self._open(account.partner_center_url, "partner-center", concurrency=32)
        pricing = self._open(account.pricing_url, "partner-pricing", timeout_s=DOWNLOAD_TIMEOUT_S)
        return PartnerCenter(
            self._provider(rest, PARTNER_CENTER_SCOPE, "partner-center"),
            self._provider(pricing, PRICING_SCOPE, "partner-pricing", as_user=True),
        )

    def graph(self) -> Graph:
        http = self._open(self._account.graph_url, "microsoft-graph")
        return Graph(
            self._provider(http, GRAPH_SCOPE, "microsoft-graph"),
            self._open("", "provider-storage", timeout_s=DOWNLOAD_TIMEOUT_S),
            blob_hosts=words(self._account.blob_hosts or ""),
            allow_http=self._allow_http,
        )

    def _provider(
        self, http: HttpClient, scope: str, name: str, *, as_user: bool = False
    ) -> Provider:
        account = self._account
        refresh = account.refresh_token if as_user else None
        application = Application(
            tenant_id=account.tenant_id,
            client_id=account.client_id,
            client_secret=account.client_secret.get_secret_value(),
            refresh_token=refresh.get_secret_value() if refresh else None,
        )
        return Provider(http, Tokens(self._login, application, scope), name=name)

    def _open(
        self, url: str | None, name: str, *, timeout_s: float = 10.0, concurrency: int = 20
    ) -> HttpClient:
        named = name if self._name == DEFAULT else f"{name}@{self._name}"
        return self._opened.open(url or "", named, timeout_s=timeout_s, concurrency=concurrency)


def certificates(settings: IngestSettings, opened: Opened) -> Certificates:
    """One judge for all accounts: the notification service is the same."""
    trust = Trust(
        hosts=settings.certificate_hosts,
        subjects=settings.certificate_subjects,
        root_file=settings.ingest_webhook_root_file,
        allow_http=settings.ingest_allow_http,
    )
    http = opened.open("", "webhook-certificates", timeout_s=CERTIFICATE_TIMEOUT_S)
    return Certificates(http, trust)
