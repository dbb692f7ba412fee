"""Prices by quantity: graduated, volume, packages, blocks, percentages, minimums, commitments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from golden.peer_cases.rows import Adapter, Row, cents, closed, days, inclusive
from rating.domain import tiers
from rating.domain.proration import Span
from rating.domain.tiers import Bound, Tier, Tiers

Price = Callable[[Tiers, Fraction], Fraction]


def _optional(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _exact(value: Any) -> Fraction:
    return Fraction(str(value or 0))


def _tiers(row: Row) -> Tiers:
    """Tiers of units, or of percents of an amount."""
    rows = [
        Tier(
            up_to=_optional(given["up_to"]),
            unit_price=_exact(given.get("unit_price")) + _exact(given.get("rate_percent")) / 100,
            flat_fee=_exact(given.get("flat_fee")),
            cap=None if given.get("cap") is None else _exact(given["cap"]),
        )
        for given in row.inputs["tiers"]
    ]
    return Tiers(tuple(rows), flat_fee_at_zero=_fee_without_use(row))


def _fee_without_use(row: Row) -> bool:
    told = " ".join(str(part) for part in row.inputs["convention"].values())
    return "first tier's flat fee" in told


def _blocks(given: Iterable[Mapping[str, Any]]) -> Tiers:
    """Tiers that hold so many blocks; a started block is billed whole."""
    rows, top = [], Decimal(0)
    for tier in given:
        size = Decimal(str(tier["block_units"]))
        top += size * Decimal(tier["max_blocks"] or 0)
        bound = None if tier["max_blocks"] is None else top
        rows.append(Tier(bound, _exact(tier["price_per_block"]), block=size))
    return Tiers(tuple(rows))


def _units(row: Row, name: str = "units") -> Fraction:
    return _exact(row.inputs[name])


def _simple(price: Price, unit: str = "units", result: str = "amount") -> Adapter:
    def adapter(row: Row) -> dict[str, object]:
        return {result: price(_tiers(row), _units(row, unit))}

    return adapter


def _per_bucket(price: Price) -> Adapter:
    def adapter(row: Row) -> dict[str, object]:
        found = _tiers(row)
        amounts = [price(found, _exact(units)) for units in row.inputs["bucket_units"]]
        return {"amount": sum(amounts, Fraction(0))}

    return adapter


def base_fee_plus_graduated_seats_cents(row: Row) -> dict[str, object]:
    seats = tiers.graduated(_tiers(row), _units(row, "seats"))
    return {"amount_cents": row.inputs["base_cents"] + seats}


def graduated_prorated_events(row: Row) -> dict[str, object]:
    given = zip(row.inputs["quantity_events"], row.inputs["prorated_units"], strict=True)
    changes = [(_exact(full), _exact(prorated)) for full, prorated in given]
    return {"amount": closed(tiers.graduated_changes(_tiers(row), changes))}


def volume_prorated(row: Row) -> dict[str, object]:
    full, charged = _units(row, "full_units"), _units(row, "prorated_units")
    return {"amount": tiers.volume(_tiers(row), full, charged=charged)}


def tiered_blocks_each_tier(row: Row) -> dict[str, object]:
    parts = _blocks(row.inputs["tiers"]).spread(_units(row))
    amounts = [tier.cost(inside) for tier, inside in parts]
    return {"amount_by_tier": amounts, "total": sum(amounts, Fraction(0))}


def tiered_blocks_top_tier(row: Row) -> dict[str, object]:
    return {"total": tiers.volume(_blocks(row.inputs["tiers"]), _units(row))}


def two_unit_types(row: Row) -> dict[str, object]:
    """The topic says whether each tier prices its own units or the top tier all of them."""
    price = tiers.volume if row.topic == "volume" else tiers.graduated
    amounts = [
        price(_blocks(row.inputs["tiers"][name]), _exact(units))
        for name, units in row.inputs["units"].items()
    ]
    return {"total": sum(amounts, Fraction(0))}


def two_unit_types_blocks(row: Row) -> dict[str, object]:
    amounts = [
        tiers.blocks(_exact(line["units"]), line["block_units"]) * _exact(line["price_per_block"])
        for line in row.inputs["lines"]
    ]
    return {"total": sum(amounts, Fraction(0))}


def rate_point(row: Row) -> dict[str, object]:
    """Groups add up; in a group the dearest wins."""
    groups = [values for name, values in row.inputs.items() if name.endswith("_flat")]
    price = sum((max(map(_exact, group)) for group in groups if group), Fraction(0))
    return {"price": price * _units(row, "quantity")}


def rate_point_by_threshold(row: Row) -> dict[str, object]:
    """A level is where a price begins: the upper bound, exclusive, of the one before."""
    levels = sorted(row.inputs["thresholds"], key=lambda level: _exact(level["level"]))
    prices = [Fraction(0), *(_exact(level["flat"]) for level in levels)]
    bounds = [*(Decimal(str(level["level"])) for level in levels), None]
    rows = [Tier(bound, price) for bound, price in zip(bounds, prices, strict=True)]
    found = Tiers(tuple(row for row in rows if row.up_to != 0), bound=Bound.EXCLUSIVE)
    chosen, quantity = _units(row, "attribute_value"), _units(row, "quantity")
    return {"price": tiers.volume(found, chosen, charged=quantity)}


def packages(row: Row) -> dict[str, object]:
    started = row.inputs.get("round", "up") == "up"
    units = max(Fraction(0), _units(row) - _exact(row.inputs.get("free_units")))
    count = tiers.blocks(units, row.number("package_size"), started=started)
    in_money = _exact(row.inputs.get("price_per_package"))
    in_cents = _exact(row.inputs.get("price_per_package_cents"))
    return {"packages": count, "amount": count * in_money, "amount_cents": count * in_cents}


def _booked(row: Row, price: Callable[[Fraction], Fraction]) -> dict[str, object]:
    totals = [_exact(total) for total in row.inputs["cumulative_units"]]
    return {"booked": tiers.further(price, totals)}


def re_rate_packages(row: Row) -> dict[str, object]:
    size, price = row.number("package_size"), _exact(row.inputs["price_per_package"])
    return _booked(row, lambda units: tiers.blocks(units, size) * price)


def _re_rate(price: Price) -> Adapter:
    def adapter(row: Row) -> dict[str, object]:
        found, free = _tiers(row), _exact(row.inputs.get("free_units"))
        return _booked(row, lambda units: price(found, max(Fraction(0), units - free)))

    return adapter


def _second_invoice(row: Row) -> Fraction:
    """What this invoice adds to the invoices of the period before it."""
    before, now = _units(row, "units_before"), _units(row, "units_this_invoice")
    found = _tiers(row)
    return tiers.further(lambda units: tiers.graduated(found, units), [before, before + now])[1]


def graduated_second_invoice_of_period(row: Row) -> dict[str, object]:
    return {"amount": _second_invoice(row)}


def _capped(row: Row, gross: Fraction, *, off: Fraction = Fraction(0)) -> dict[str, object]:
    before, most = _exact(row.inputs["billed_before"]), _exact(row.inputs["maximum"])
    amount = tiers.within_maximum(before, gross - off, most)
    return {"gross": gross, "discount": gross - amount, "discounts": gross - amount,
            "amount": amount}  # fmt: skip


def graduated_with_maximum(row: Row) -> dict[str, object]:
    return _capped(row, _second_invoice(row))


def cost_plus_with_maximum(row: Row) -> dict[str, object]:
    gross = closed(_exact(row.inputs["cost_this_invoice"]) * _exact(row.inputs["multiplier"]))
    return _capped(row, Fraction(gross))


def unit_price_with_maximum(row: Row) -> dict[str, object]:
    gross = _units(row, "units_this_invoice") * _exact(row.inputs["unit_price"])
    off = tiers.percentage(gross, row.number("discount_percent"))
    return _capped(row, gross, off=off)


def graduated_with_minimum_last_invoice(row: Row) -> dict[str, object]:
    billed = _exact(row.inputs["billed_before"]) + _second_invoice(row)
    return {"true_up": tiers.top_up(billed, row.number("minimum"))}


def volume_with_minimum(row: Row) -> dict[str, object]:
    usage = tiers.volume(_tiers(row), _units(row))
    return {"usage": usage, "true_up": tiers.top_up(usage, row.number("minimum"))}


def unit_price_with_minimum_no_usage(row: Row) -> dict[str, object]:
    """A minimum is billed once, with the last invoice of the period."""
    used = _units(row) * _exact(row.inputs["unit_price"])
    is_last = not str(row.inputs["invoice"]).startswith("not ")
    missing = tiers.top_up(used, row.number("minimum")) if is_last else Fraction(0)
    return {"amount": used + missing}


def minimum_commitment_true_up_cents(row: Row) -> dict[str, object]:
    """Commitment and fee are prorated and rounded, then subtracted."""
    served = inclusive(row.day("first_day"), row.day("last_day"))
    whole = Span(served.start, served.start.fromordinal(
        served.start.toordinal() + row.inputs["period_days"]))  # fmt: skip
    counted = row.share(served, whole)
    commitment, fee = (
        cents(row.inputs[name] * counted.share) for name in ("commitment_cents", "plan_fee_cents")
    )
    return {"days": counted.numerator, "true_up_cents": tiers.top_up(fee, commitment)}


def charge_minimum_true_up_cents(row: Row) -> dict[str, object]:
    """The minimum of one charge, prorated and rounded, less what its usage came to."""
    given = row.inputs
    counted = row.share(days(given["service_days"]), days(given["period_days"]))
    minimum = cents(given["minimum_cents"] * counted.share)
    return {"true_up_cents": tiers.top_up(sum(given["usage_fees_cents"]), minimum)}


def percentage_with_min_max_per_transaction(row: Row) -> dict[str, object]:
    given = row.inputs
    amounts = [
        tiers.percentage(
            _exact(transaction), row.number("rate_percent"),
            fixed=_exact(given.get("fixed_per_transaction")),
            at_least=_optional(given.get("min_each")), at_most=_optional(given.get("max_each")),
        )
        for transaction in given["transactions"]
    ]  # fmt: skip
    return {"amount": sum(amounts, Fraction(0))}


def commitment_per_window(row: Row) -> dict[str, object]:
    given = row.inputs
    costs = [_exact(units) * _exact(given["unit_price"]) for units in given["window_units"]]
    amounts = [
        tiers.committed(
            cost, row.number("commitment"), overage=_exact(given["overage_factor"]),
            true_up=given["true_up"],
        )
        for cost in costs
    ]  # fmt: skip
    return _windows(costs, amounts, [_exact(given["commitment"])] * len(costs))


def commitment_with_time_of_day_rule(row: Row) -> dict[str, object]:
    special, otherwise = row.inputs["special_hours"], row.inputs["otherwise"]
    costs, amounts, promised = [], [], []
    for window in row.inputs["windows"]:
        rule = special if special["from"] <= window["hour"] < special["to"] else otherwise
        price = _exact(rule["unit_price"])
        cost = _exact(window["units"]) * price
        commitment = price * _exact(rule.get("commitment_units"))
        costs.append(cost)
        promised.append(commitment or cost)
        amounts.append(
            tiers.committed(
                cost, commitment or cost, overage=_exact(rule.get("overage_factor")),
                true_up=bool(rule.get("true_up")),
            )
        )  # fmt: skip
    return _windows(costs, amounts, promised)


def _windows(
    costs: Sequence[Fraction], amounts: Sequence[Fraction], promised: Sequence[Fraction]
) -> dict[str, object]:
    used = [min(cost, bound) for cost, bound in zip(costs, promised, strict=True)]
    overage = [max(a - b, Fraction(0)) for a, b in zip(amounts, promised, strict=True)]
    topped = zip(amounts, costs, promised, strict=True)
    true_up = [amount - cost for amount, cost, bound in topped if cost < bound]
    return {
        "by_window": list(amounts),
        "total": sum(amounts, Fraction(0)),
        "commitment_used": sum(used, Fraction(0)),
        "overage": sum(overage, Fraction(0)),
        "true_up": sum(true_up, Fraction(0)),
    }


ADAPTERS: Mapping[str, Adapter] = {
    "graduated": _simple(tiers.graduated),
    "graduated_cents": _simple(tiers.graduated, result="amount_cents"),
    "graduated_percentage": _simple(tiers.graduated, "base_amount"),
    "graduated_with_tier_cap": _simple(tiers.graduated),
    "graduated_per_bucket": _per_bucket(tiers.graduated),
    "graduated_prorated_events": graduated_prorated_events,
    "graduated_second_invoice_of_period": graduated_second_invoice_of_period,
    "base_fee_plus_graduated_seats_cents": base_fee_plus_graduated_seats_cents,
    "volume": _simple(tiers.volume),
    "volume_cents": _simple(tiers.volume, result="amount_cents"),
    "volume_per_bucket": _per_bucket(tiers.volume),
    "volume_prorated": volume_prorated,
    "tiered_blocks_each_tier": tiered_blocks_each_tier,
    "tiered_blocks_top_tier": tiered_blocks_top_tier,
    "two_unit_types": two_unit_types,
    "two_unit_types_blocks": two_unit_types_blocks,
    "rate_point": rate_point,
    "rate_point_by_threshold": rate_point_by_threshold,
    "package_count": packages,
    "packages": packages,
    "packages_cents": packages,
    "re_rate_packages": re_rate_packages,
    "re_rate_graduated": _re_rate(tiers.graduated),
    "re_rate_graduated_with_free_units": _re_rate(tiers.graduated),
    "re_rate_volume": _re_rate(tiers.volume),
    "re_rate_volume_with_free_units": _re_rate(tiers.volume),
    "graduated_with_maximum": graduated_with_maximum,
    "cost_plus_with_maximum": cost_plus_with_maximum,
    "unit_price_with_maximum": unit_price_with_maximum,
    "graduated_with_minimum_last_invoice": graduated_with_minimum_last_invoice,
    "volume_with_minimum": volume_with_minimum,
    "unit_price_with_minimum_no_usage": unit_price_with_minimum_no_usage,
    "minimum_commitment_true_up_cents": minimum_commitment_true_up_cents,
    "charge_minimum_true_up_cents": charge_minimum_true_up_cents,
    "percentage_with_min_max_per_transaction": percentage_with_min_max_per_transaction,
    "commitment_per_window": commitment_per_window,
    "commitment_with_time_of_day_rule": commitment_with_time_of_day_rule,
}
