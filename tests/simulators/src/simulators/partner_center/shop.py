"""What the parts of the REST API share: the books of the moment, the clock, and the services."""

from __future__ import annotations

from datetime import datetime

from simulators.frame import Simulator
from simulators.partner_center.audit import Activity, Actor
from simulators.partner_center.books import Books
from simulators.partner_center.certificates import NotificationCertificate
from simulators.partner_center.commerce import Commerce
from simulators.partner_center.edge import Edge
from simulators.partner_center.exports import Exports
from simulators.partner_center.lags import Lags
from simulators.partner_center.login import Login
from simulators.partner_center.notifications import Notifications
from simulators.partner_center.records import Invoice
from simulators.partner_center.upgrading import Transfers, Upgrades


class Shop:
    """One object graph per simulator; `open` gives all of it new books."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        world = simulator.world
        self.certificate = NotificationCertificate(world.keys)
        self.login = Login(world.keys)
        self.notifications = Notifications(simulator, self.certificate)
        self.exports = Exports(world)
        self.edges: list[Edge] = []
        self.open(Books())

    def open(self, books: Books) -> None:
        """Replace all state."""
        self.books = books
        self.lags = Lags()
        self.login.books = books
        self.notifications.books = books
        self.exports.books = books
        for edge in self.edges:
            edge.books = books
            edge.forget()
        self.commerce = Commerce(books, self.notifications.subscription_updated)
        self.audit = self.commerce.audit
        told = self.notifications.subscription_updated
        self.upgrades = Upgrades(books, self.audit, told)
        self.transfers = Transfers(books, self.audit, told)

    @property
    def now(self) -> datetime:
        return self._simulator.world.clock.now()

    def publish(self, invoice: Invoice) -> None:
        """An invoice becomes visible: list, audit record, webhook."""
        invoice.tenant_id = invoice.tenant_id or self.books.tenants[0].id
        self.books.invoices = [i for i in self.books.invoices if i.id != invoice.id] + [invoice]
        activity = Activity(
            "invoice", "ready_invoice", invoice.id, data=(("InvoiceNumber", invoice.id),)
        )
        record = self.audit.record(activity, Actor(), None, self.now)
        self.notifications.invoice_ready(invoice, record)
