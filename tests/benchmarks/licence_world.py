"""A partner's licences for the benchmark: customers, subscriptions and a month of changes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from shared.contracts.ingest import (
    ChangeKind,
    ChangeSource,
    LicenceProduct,
    PriceRow,
    PriceSheetPublished,
    SubscriptionChanged,
)
from shared.contracts.invoicing import ContractChanged, CycleClosed, Timing
from shared.kernel.periods import Period
from support.rating_facts import cycle_closed

PRODUCTS = [
    LicenceProduct(product_id=f"CFQ7TTC0{n:04d}", sku_id="0001", term="P1Y", billing_plan="monthly")
    for n in range(40)
]
STARTS = date(2026, 4, 1)
TERM = Period(date(2025, 9, 1), date(2026, 9, 1))
MONTH = Period(date(2026, 5, 1), date(2026, 6, 1))


def customer(number: int) -> str:
    return f"tenant-{number:05d}"


def contract(number: int) -> ContractChanged:
    return ContractChanged(
        contract_id=f"C-{number:05d}", version=1, account_id=f"account-{number:05d}",
        currency="EUR", timing=Timing.ADVANCE, anchor_day=1, invoice_offset_days=0,
        starts_on=STARTS, billed_through=MONTH.start, ends_on=None,
        provider_customer_id=customer(number), subscription_ids=None,
    )  # fmt: skip


def closing(number: int, boundary: date) -> CycleClosed:
    return cycle_closed(contract(number), boundary.isoformat())


def sheet() -> PriceSheetPublished:
    return PriceSheetPublished(
        sheet_id="sheet", market="NL", currency="EUR", part=1, parts=1,
        fetched_at=datetime(2026, 1, 1, tzinfo=UTC),
        rows=tuple(
            PriceRow(
                product=product, product_name=f"Product {n}", unit_price=f"{10 + n}.30",
                erp_price=f"{13 + n}.20", effective_from=date(2020, 1, 1), effective_until=None,
            )
            for n, product in enumerate(PRODUCTS)
        ),
    )  # fmt: skip


def change(
    owner: str, subscription: str, number: int, quantities: tuple[int, int], at: datetime
) -> SubscriptionChanged:
    """`number` 0 is the first sight of what was there."""
    product = PRODUCTS[hash_of(subscription) % len(PRODUCTS)]
    return SubscriptionChanged(
        change_id=f"{subscription}/{number}",
        kind=ChangeKind.QUANTITY_CHANGED if number else ChangeKind.OPENING,
        provider_account="partner", customer_id=owner, subscription_id=subscription,
        product=product, product_name=f"Product of {subscription}",
        quantity_before=quantities[0], quantity_after=quantities[1], status="active",
        term_start=TERM.start, term_end=TERM.end, effective_at=at, detected_at=at,
        version=number + 1, source=ChangeSource(channel="audit", audit_record_id=f"a-{number}"),
    )  # fmt: skip


def hash_of(subscription: str) -> int:
    return sum(map(ord, subscription))


def openings(number: int, subscriptions: int) -> Iterator[SubscriptionChanged]:
    """What a customer had when it was first seen."""
    at = datetime(2026, 4, 1, tzinfo=UTC)
    for n in range(subscriptions):
        yield change(customer(number), f"{customer(number)}/{n}", 0, (0, 10 + n), at)


def changes(number: int, subscriptions: int, count: int) -> Iterator[SubscriptionChanged]:
    """A month of changes of one customer: one seat more or less, at any second."""
    dice = random.Random(number)  # the same month every time
    seats = {n: 10 + n for n in range(subscriptions)}
    instants = sorted(dice.randrange(MONTH.days * 86_400) for _ in range(count))
    for step, second in enumerate(instants, 1):
        n = dice.randrange(subscriptions)
        after = seats[n] + dice.choice((-1, 1, 2))
        at = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=second)
        yield change(customer(number), f"{customer(number)}/{n}", step, (seats[n], after), at)
        seats[n] = after


def history(events: int, *, name: str = "one") -> list[SubscriptionChanged]:
    """A subscription with so many changes in a year."""
    start = datetime(2026, 4, 1, tzinfo=UTC)
    gap = timedelta(days=365) / max(1, events)
    found = [change("tenant", name, 0, (0, 100), start)]
    seats = 100
    for n in range(1, events):
        found.append(
            change("tenant", name, n, (seats, seats + (1 if n % 2 else -1)), start + n * gap)
        )
        seats += 1 if n % 2 else -1
    return found
