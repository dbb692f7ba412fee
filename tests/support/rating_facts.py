"""Hand-made facts for rating, with defaults that do not matter to the test at hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from rating.domain.pricing import PriceBook, SheetRow
from rating.domain.rules import Fixed, Markup, Price, Rule, RuleKind, Scope
from shared.contracts.envelope import PeriodField
from shared.contracts.ingest import (
    ChangeKind,
    ChangeSource,
    ControlTotal,
    LicenceProduct,
    PriceRow,
    PriceSheetPublished,
    ProviderPurchaseRecorded,
    SubscriptionChanged,
    UsageBatchRecorded,
    UsageFileClosed,
)
from shared.contracts.invoicing import ContractChanged, CycleClosed, Timing
from shared.contracts.usage_frame import FrameHeader, UsageLine, encode
from shared.kernel.ids import derived_id
from shared.kernel.periods import Period, month_of, monthly_cycle, previous_cycle

PREMIUM = LicenceProduct(
    product_id="CFQ7TTC0LCHC", sku_id="0002", term="P1Y", billing_plan="monthly"
)
PREMIUM_MONTHLY = PREMIUM.model_copy(update={"term": "P1M"})
E3 = LicenceProduct(product_id="CFQ7TTC0LFLX", sku_id="0001", term="P1Y", billing_plan="monthly")
E5 = LicenceProduct(product_id="CFQ7TTC0LFLZ", sku_id="0001", term="P1Y", billing_plan="monthly")

_EARLY = date(2020, 1, 1)
_FETCHED = datetime(2026, 1, 1, tzinfo=UTC)


def day(text: str) -> date:
    return date.fromisoformat(text)


def at(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def period(start: str, end: str) -> PeriodField:
    return PeriodField(start=day(start), end=day(end))


def contract(contract_id: str = "ALD-1", **changes: Any) -> ContractChanged:
    terms: dict[str, Any] = {
        "contract_id": contract_id,
        "version": 1,
        "account_id": "alder",
        "currency": "USD",
        "timing": Timing.ADVANCE,
        "anchor_day": 1,
        "invoice_offset_days": 0,
        "starts_on": day("2026-04-01"),
        "billed_through": day("2026-05-01"),
        "ends_on": None,
        "provider_customer_id": "alder-tenant",
        "subscription_ids": None,
    }
    return ContractChanged(**terms | changes)


def change(
    change_id: str, quantities: tuple[int, int], effective: str, **changes: Any
) -> SubscriptionChanged:
    """One step; `version` 1 and kind by the quantities unless told otherwise."""
    before, after = quantities
    facts: dict[str, Any] = {
        "change_id": change_id,
        "kind": ChangeKind.QUANTITY_CHANGED,
        "provider_account": "partner",
        "customer_id": "alder-tenant",
        "subscription_id": "A",
        "product": PREMIUM,
        "product_name": "Business Premium – annual",
        "quantity_before": before,
        "quantity_after": after,
        "status": "active",
        "term_start": day("2025-10-01"),
        "term_end": day("2026-10-01"),
        "effective_at": at(effective),
        "detected_at": at(effective),
        "version": 1,
        "source": ChangeSource(
            channel="webhook",
            audit_record_id=f"audit-{change_id}",
            webhook_id=f"webhook-{change_id}",
        ),
    }
    return SubscriptionChanged(**facts | changes)


def opening(change_id: str, quantity: int, **changes: Any) -> SubscriptionChanged:
    """The first sight of a subscription that was there before."""
    facts: dict[str, Any] = {"kind": ChangeKind.OPENING, "version": 1} | changes
    effective = facts.pop("effective", "2026-04-01T00:00:00")
    return change(change_id, (0, quantity), effective, **facts)


def sheet_row(product: LicenceProduct, cost: str, listed: str, **changes: Any) -> SheetRow:
    facts: dict[str, Any] = {
        "sheet_id": "sheet",
        "market": "US",
        "currency": "USD",
        "product_key": product.key,
        "segment": product.segment,
        "unit_price": Decimal(cost),
        "erp_price": Decimal(listed),
        "effective_from": _EARLY,
        "effective_until": None,
        "fetched_at": _FETCHED,
    }
    return SheetRow(**facts | changes)


def sheet(
    rows: Sequence[tuple[LicenceProduct, str, str]],
    *,
    sheet_id: str = "sheet-1",
    market: str = "US",
    currency: str = "USD",
    effective_from: str = "2020-01-01",
    fetched: str = "2026-01-01",
) -> PriceSheetPublished:
    return PriceSheetPublished(
        sheet_id=sheet_id,
        market=market,
        currency=currency,
        part=1,
        parts=1,
        fetched_at=at(fetched),
        rows=tuple(
            PriceRow(
                product=product,
                product_name=product.key,
                unit_price=Decimal(cost),
                erp_price=Decimal(listed),
                effective_from=day(effective_from),
                effective_until=None,
            )
            for product, cost, listed in rows
        ),
    )


def rule(rule_id: str, price: Price, kind: RuleKind = RuleKind.LICENCE, **given: Any) -> Rule:
    """Keywords of the scope and of the rule may be mixed."""
    of_scope = ("contract_id", "customer_id", "product_key", "meter_category")
    names = (*of_scope, "azure_subscription_id")
    scope = Scope(kind, **{name: given.pop(name) for name in names if name in given})
    facts: dict[str, Any] = {"version": 1, "valid_from": _EARLY}
    return Rule(rule_id=rule_id, scope=scope, price=price, **facts | given)


def fixed(product: LicenceProduct, amount: str, *, currency: str = "USD", **given: Any) -> Rule:
    name = given.pop("rule_id", f"fixed-{product.key}")
    return rule(name, Fixed(Decimal(amount), currency), product_key=product.key, **given)


def markup(category: str | None, percent: str, **given: Any) -> Rule:
    """A usage rule that shares a third of the partner earned credit."""
    name = given.pop("rule_id", f"AZ-RULE {category or '*'}")
    price = Markup(Decimal(percent), Fraction(1, 3))
    return rule(name, price, RuleKind.USAGE, meter_category=category, **given)


def alder_book() -> PriceBook:
    """The prices of scenario 1."""
    return PriceBook.of(
        [fixed(PREMIUM, "22.55"), fixed(PREMIUM_MONTHLY, "27.06")],
        [sheet_row(PREMIUM, "18.04", "22.00"), sheet_row(PREMIUM_MONTHLY, "21.65", "26.40")],
    )


def alder_changes() -> list[SubscriptionChanged]:
    """Scenario 1: subscription A goes 40 → 45 → 43, subscription B stays at 6."""
    return [
        opening("oA", 40),
        opening(
            "oB", 6, subscription_id="B", product=PREMIUM_MONTHLY,
            product_name="Business Premium – monthly",
            term_start=day("2026-04-01"), term_end=day("2026-05-01"),
        ),
        change("e1", (40, 45), "2026-04-14T09:12:00", version=2),
        change("e2", (45, 43), "2026-04-18T16:40:00", version=3),
    ]  # fmt: skip


def birch(**changes: Any) -> ContractChanged:
    """The contract of scenario 2."""
    terms: dict[str, Any] = {
        "account_id": "birch",
        "currency": "EUR",
        "timing": Timing.ARREARS,
        "invoice_offset_days": 14,
        "billed_through": day("2026-04-01"),
        "provider_customer_id": "birch-tenant",
    }
    return contract("BIR-AZ", **terms | changes)


def birch_rules() -> list[Rule]:
    """AZ-RULE of scenario 2."""
    return [markup("Virtual Machines", "10"), markup("Storage", "15"), markup(None, "8")]


def usage_line(
    line_id: str, on: str, azure: str, category: str, meter: str, **given: Any
) -> UsageLine:
    """A daily rated line. Give `quantity` and `price`; `pec` in percent, default 0."""
    price, pec = Decimal(given.pop("price")), Decimal(given.pop("pec", "0")) / 100
    quantity, rate = Decimal(given.pop("quantity")), Decimal(given.pop("rate", "0.9184"))
    effective = price * (1 - pec)
    facts: dict[str, Any] = {
        "line_id": line_id,
        "line_number": 1,
        "customer_id": "birch-tenant",
        "azure_subscription_id": azure,
        "azure_subscription_name": "",
        "usage_date": day(on),
        "meter_category": category,
        "meter_id": f"meter-{meter}",
        "meter_name": meter,
        "product_key": "DZH318Z0BPS6:0001",
        "resource_uri": f"/subscriptions/{azure}/{meter}",
        "unit": "1 Hour",
        "charge_type": "new",
        "quantity": quantity,
        "unit_price": price,
        "effective_unit_price": effective,
        "pricing_currency": "USD",
        "billing_currency": "EUR",
        "provider_rate": rate,
        "provider_rate_on": day("2026-04-30"),
        "pec_rate": pec,
        "billing_pretax": effective * quantity * rate,
    }
    return UsageLine(**facts | given)


def april_lines() -> list[UsageLine]:
    """u1 to u8 of scenario 2."""
    rows = [
        ("u1", "2026-04-03", "AZ-1", "Virtual Machines", "vm-d4", "72.000000", "0.2304", "15"),
        ("u2", "2026-04-12", "AZ-1", "Virtual Machines", "vm-d4", "168.500000", "0.2304", "15"),
        ("u3", "2026-04-12", "AZ-1", "Storage", "disk-p10", "1.000000", "19.7100", "15"),
        ("u4", "2026-04-20", "AZ-1", "Storage", "blob-hot", "512.337700", "0.0196", "0"),
        ("u5", "2026-04-21", "AZ-1", "Bandwidth", "egress", "88.120000", "0.0870", "0"),
        ("u6", "2026-04-25", "AZ-1", "SQL Database", "sql-gp", "310.250000", "0.2016", "15"),
        ("u7", "2026-04-09", "AZ-2", "Virtual Machines", "vm-b2", "96.000000", "0.0464", "0"),
        ("u8", "2026-04-27", "AZ-2", "Storage", "blob-hot", "150.250000", "0.0196", "0"),
    ]
    return [
        usage_line(
            name, on, azure, category, meter,
            quantity=quantity, price=price, pec=pec, line_number=number,
        )
        for number, (name, on, azure, category, meter, quantity, price, pec) in enumerate(rows, 1)
    ]  # fmt: skip


def late_lines() -> list[UsageLine]:
    """u9 and u10: April usage that the provider bills in May, at May's rate."""
    rows = [("u9", "2026-04-29", "24"), ("u10", "2026-04-12", "-8.5")]
    return [
        usage_line(
            name, on, "AZ-1", "Virtual Machines", "vm-d4",
            quantity=quantity, price="0.2304", pec="15", line_number=number,
            rate="0.9211", provider_rate_on=day("2026-05-29"),
        )
        for number, (name, on, quantity) in enumerate(rows, 1)
    ]  # fmt: skip


def reservation(**changes: Any) -> ProviderPurchaseRecorded:
    """r1 of scenario 2."""
    facts: dict[str, Any] = {
        "purchase_id": "r1",
        "customer_id": "birch-tenant",
        "azure_subscription_id": None,
        "invoice_number": "G000426001",
        "billing_period": period("2026-04-01", "2026-05-01"),
        "charge_period": period("2026-04-01", "2026-05-01"),
        "category": "reservation",
        "description": "Reserved VM instance, monthly instalment",
        "quantity": Decimal(1),
        "unit_price": Decimal("73.00"),
        "effective_unit_price": Decimal("61.90"),
        "pricing_currency": "USD",
        "provider_rate": Decimal("0.9184"),
        "provider_rate_on": day("2026-04-30"),
        "provider_subtotal": Decimal("56.84"),
        "billing_currency": "EUR",
        "data_set": "reconciliation/G000426001",
        "version": "v1",
    }
    return ProviderPurchaseRecorded(**facts | changes)


def usage_file(
    lines: Sequence[UsageLine],
    *,
    month: str = "2026-04",
    version: str = "v1",
    per_batch: int = 5_000,
    bucket: int = 0,
    estimate: bool = False,
    data_set: str | None = None,
) -> tuple[list[UsageBatchRecorded], UsageFileClosed]:
    """The events of one file: its batches, and the announcement that it is complete."""
    data_set = data_set or f"billed/G{month}"
    file_id = derived_id("usage-file", data_set, version)
    chunks = [lines[i : i + per_batch] for i in range(0, len(lines), per_batch)]
    batches = []
    for number, chunk in enumerate(chunks):
        header = FrameHeader(
            file_id=file_id, data_set=data_set, number=number, lines=len(chunk),
            invoice_number=None if estimate else f"G{month}", billing_month=month,
            estimate=estimate,
        )  # fmt: skip
        frame = encode(header, chunk)
        batches.append(UsageBatchRecorded(src=f"{file_id}/{number}", bucket=bucket, frame=frame))
    closed = UsageFileClosed(
        file_id=file_id,
        data_set=data_set,
        version=version,
        invoice_number=None if estimate else f"G{month}",
        billing_period=PeriodField.of(month_of(day(f"{month}-01"))),
        estimate=estimate,
        control=ControlTotal(
            batches=len(batches),
            lines=len(lines),
            quantity=sum((line.quantity for line in lines), Decimal(0)),
            billing_pretax=sum((line.billing_pretax for line in lines), Decimal(0)),
        ),
        quarantined=0,
    )
    return batches, closed


def cycle_closed(terms: ContractChanged, boundary: str) -> CycleClosed:
    """The run of the invoice that belongs to a boundary of a contract."""
    opens = monthly_cycle(terms.anchor_day, day(boundary))
    ended = previous_cycle(opens, terms.anchor_day)
    recurring: Period = opens if terms.timing is Timing.ADVANCE else ended
    invoice_date = date.fromordinal(opens.start.toordinal() + terms.invoice_offset_days)
    return CycleClosed(
        contract_id=terms.contract_id,
        run_id=f"{terms.contract_id}/{invoice_date}",
        invoice_date=invoice_date,
        recurring=PeriodField.of(recurring),
        closed=PeriodField.of(ended),
    )
