"""Writes what is in rating's books as a price file: the latest version of everything."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

Row = dict[str, Any]

_NAMES = {
    "contract_id": "contract",
    "customer_id": "customer",
    "product_key": "product",
    "billing_plan": "plan",
    "azure_subscription_id": "azure",
}


def price_file(rules: Iterable[Row], promotions: Iterable[Row], rates: Iterable[Row]) -> str:
    """The text of a file that, applied, changes nothing."""
    document: dict[str, Any] = {}
    if found := _latest(rules, "rule_id"):
        document["rules"] = {name: _rule(row) for name, row in found.items()}
    if found := _latest(promotions, "promotion_id"):
        document["promotions"] = {name: _promotion(row) for name, row in found.items()}
    by_day = {(row["from"], row["to"], row["date"]): row for row in rates}
    if by_day:
        document["fx_rates"] = [_rate(by_day[key]) for key in sorted(by_day)]
    if not document:
        return "# There are no rules, promotions and rates yet.\nrules: {}\n"
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 200
    text = StringIO()
    yaml.dump(document, text)
    return text.getvalue()


def _latest(rows: Iterable[Row], name: str) -> dict[str, Row]:
    """Rows come by id and version."""
    return {row[name]: row for row in rows}


def _rule(row: Row) -> Row:
    scope = dict(row["scope"])
    kind = scope.pop("kind")
    found: Row = {} if kind == "licence" else {"kind": kind}
    if scope:
        found["for"] = _scope(scope)
    found |= {"price": _price(row["price"]), "from": row["valid_from"]}
    return found | _rest(row["valid_until"], row["priority"])


def _promotion(row: Row) -> Row:
    found: Row = {"name": row["name"]}
    if row["scope"]:
        found["for"] = _scope(row["scope"])
    found |= {"percent_off": _percent(row["percent"]), "from": row["starts"]}
    found |= _rest(row["ends"], row["priority"]) | {"keeps": row["keeps"]}
    if row["seat_cap"] is not None:
        found["first_seats"] = row["seat_cap"]
    if row["first_purchase"]:
        found["first_purchase"] = True
    return found


def _rate(row: Row) -> Row:
    names = {"from": "from", "to": "to", "date": "on", "rate": "rate", "source": "source"}
    return {name: row[theirs] for theirs, name in names.items()}


def _rest(until: str | None, priority: int) -> Row:
    found: Row = {"until": until} if until else {}
    return found | ({"priority": priority} if priority else {})


def _scope(scope: Row) -> Row:
    return {_NAMES.get(name, name): value for name, value in scope.items()}


def _price(price: Row) -> Any:
    kind = price["kind"]
    if kind == "list":
        return "list"
    if kind in ("fixed", "minimum"):
        return {kind: f"{price['amount']} {price['currency']}"}
    found: Row = {kind: _percent(price["percent"])}
    if kind == "usage_markup":
        if price["pec_share"] != "0":
            found["pec_share"] = price["pec_share"]
        if price["base"] != "unit_price":
            found["base"] = price["base"]
    return found


def _percent(text: str) -> str:
    return f"{Decimal(text):f} %"
