"""A subscription nobody knew: bought just now, or there all along."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ingest.domain.audit_records import AuditRecord
from shared.contracts.ingest import ChangeKind
from unit.ingest.history import START, SUBSCRIPTION, Mirror, Provider, record_of, resource, told

HOUR = timedelta(hours=1)


def purchase_record(seats: int, at: datetime) -> AuditRecord:
    order = {
        "id": "o1",
        "billingCycle": "monthly",
        "lineItems": [
            {"LineItemNumber": 0, "SubscriptionId": SUBSCRIPTION.upper(), "Quantity": seats,
             "OfferId": "CFQ7TTC0LCHC:0002:CFQ7TTC0K5NR", "TransactionType": "new"}
        ],
    }  # fmt: skip
    return record_of("buy", at, None, order, operation="create_order", resource_type="order")


def test_a_subscription_found_on_the_first_sync_opens_with_its_running_term() -> None:
    """It was there before us: no purchase, no proration."""
    chain = Mirror().look(Provider(), ())

    [step] = chain.steps
    assert (step.kind, step.quantity_before, step.after.quantity) == (ChangeKind.OPENING, 0, 40)
    assert (step.effective_at, step.record) == (datetime(2025, 10, 1, tzinfo=UTC), None)


def test_an_opening_is_dated_before_the_changes_that_records_still_show() -> None:
    """First sync on the 20th, changes on the 14th and 18th: opening with 40, then both changes."""
    provider = Provider()
    provider.change(timedelta(days=13), quantity=45)
    provider.change(timedelta(days=4), quantity=43)

    chain = Mirror().look(provider, provider.records, at=START + timedelta(days=20))

    changed = ChangeKind.QUANTITY_CHANGED
    assert told(chain.steps) == [(ChangeKind.OPENING, 0, 40), (changed, 40, 45), (changed, 45, 43)]


def test_a_purchase_with_its_record_is_dated_by_the_record() -> None:
    """Also when the account was never synced."""
    bought = purchase_record(40, START + HOUR)
    provider = Provider(now=START + 2 * HOUR)

    chain = Mirror().look(provider, [bought])

    [step] = chain.steps
    assert (step.kind, step.after.quantity) == (ChangeKind.PURCHASED, 40)
    assert (step.effective_at, step.record) == (bought.at, bought)


def test_a_purchase_cancelled_before_we_looked_is_two_steps() -> None:
    """The provider charges for the days in between, so both must be known."""
    provider = Provider(resource(quantity=6, creationDate="2026-04-01T01:00:00Z",
                                 effectiveStartDate="2026-04-01T00:00:00Z"))  # fmt: skip
    bought = purchase_record(6, START + HOUR)
    provider.change(timedelta(days=2), status="deleted")

    chain = Mirror().look(provider, [bought, *provider.records])

    assert told(chain.steps) == [(ChangeKind.PURCHASED, 0, 6), (ChangeKind.CANCELLED, 6, 0)]


def test_a_purchase_without_a_record_is_dated_by_its_creation() -> None:
    """Created after our first look at the account, so it is news."""
    provider = Provider(resource(creationDate="2026-04-05T10:00:00.1234567Z"))

    chain = Mirror().look(provider, (), history_begins=START, at=START + timedelta(days=9))

    [step] = chain.steps
    assert step.kind is ChangeKind.PURCHASED
    assert step.effective_at == datetime(2026, 4, 5, 10, 0, 0, 123456, tzinfo=UTC)


def test_what_was_over_before_we_looked_has_no_history() -> None:
    """An ended subscription without records is mirrored and nothing else."""
    chain = Mirror().look(Provider(resource(status="deleted")), ())

    assert chain.steps == ()


def test_usage_based_subscriptions_have_no_seat_history() -> None:
    """An Azure plan is charged by its usage."""
    chain = Mirror().look(Provider(resource(billingType="usage", unitType="Usage-based")), ())

    assert chain.steps == ()
