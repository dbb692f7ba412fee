"""The composition root of payments."""

from __future__ import annotations

from payments.api import routers
from payments.clients import stripe
from payments.clients.stripe import Stripe
from payments.handlers import HANDLERS
from payments.jobs import Collector
from payments.settings import PaymentsSettings
from shared.kernel.clock import Clock
from shared.runtime.clock import clock_from
from shared.runtime.postgres import Database
from shared.runtime.service import Service


def build(settings: PaymentsSettings) -> Service:
    """Everything real, nothing started."""
    clock = clock_from(settings.clock_file)
    database = Database(
        settings.database_url.get_secret_value(),
        service="payments",
        clock=clock,
        pool_size=settings.database_pool_size,
    )
    account = stripe.connect(
        settings.payments_stripe_url, settings.payments_stripe_api_key.get_secret_value()
    )
    return assemble(settings, database, clock, account)


def assemble(
    settings: PaymentsSettings, database: Database, clock: Clock, account: Stripe
) -> Service:
    """The service around a database, a clock and a Stripe account of the caller's choice."""
    collector = Collector(database, {"stripe": account}, settings.confirm_after)
    return Service(
        name="payments",
        settings=settings,
        database=database,
        clock=clock,
        handlers=HANDLERS,
        jobs=collector.jobs(),
        routers=routers(database, settings.webhook_secrets),
        closing=[account.close],
    )
