"""A price change as people read it: what is added, changed and ended, and the money it moves."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from stack.output import many, money

Row = dict[str, Any]

MARKS = {"added": "green", "changed": "yellow", "ended": "red"}
SHOWN = 30
HIDDEN = ("object", "base", "version", "rule_id", "promotion_id", "text")


def what_happens(item: Row, before: Row | None) -> str:
    """`added`, `changed` or `ended`: it gets an end that it did not have, or an earlier one."""
    if before is None:
        return "added"
    for end in ("valid_until", "ends"):
        if item.get(end) and (not before.get(end) or item[end] < before[end]):
            return "ended"
    return "changed"


def differences(item: Row, before: Row) -> list[str]:
    """`valid_until: none → 2026-07-01`, for everything that is different."""
    names = [name for name in item if name not in HIDDEN and item[name] != before.get(name)]
    return [f"{name}: {_words(before.get(name))} → {_words(item[name])}" for name in names]


def show_items(console: Console, items: list[Row], known: dict[str, Row]) -> None:
    """Each item on a line, with what is different in it below."""
    for item in items:
        before = known.get(item["object"])
        what = what_happens(item, before)
        text = item.get("text") or f"{item.get('rate')} ({item.get('source')})"
        console.print(f"[{MARKS[what]}]{what:8}[/] {item['object']}  {text}", soft_wrap=True)
        if before is None:
            scope = f"for {_words(item['scope'])}, " if "scope" in item else ""
            since = item.get("valid_from") or item.get("starts") or item.get("date")
            console.print(f"         {scope}from {since}", markup=False, soft_wrap=True)
        else:
            for line in differences(item, before):
                console.print(f"         {line}", markup=False, soft_wrap=True)


def show_unknown(console: Console, contracts: list[str]) -> None:
    """Contracts that may come yet, or are a slip of the pen."""
    for name in contracts:
        words = f"warning: there is no contract {name}; what is for it prices nothing yet"
        console.print(words, style="yellow", markup=False, soft_wrap=True)


def show_effect(console: Console, effect: Row) -> None:
    """Sums, then the subscriptions and charges that move."""
    if not effect["charges_changed"] and not effect["monthly"]:
        console.print("No charge and no month to come would change.")
        return
    console.print(
        f"\n{many(effect['customers'], 'customer')} looked at; charges as they stand move by "
        f"{_sums(effect['totals'])}, a month at the new prices by {_sums(effect['monthly_totals'])}"
    )
    if effect["monthly"]:
        table = Table(
            "contract", "subscription", "product", "seats", "a month", "then", "difference"
        )
        for row in effect["monthly"][:SHOWN]:
            table.add_row(
                row["contract_id"], row["subscription_id"], row["product"], f"{row['quantity']:,}",
                f"{row['before']} {row['currency']}", row["after"], row["difference"],
            )  # fmt: skip
        console.print(table)
    for row in effect["monthly"]:
        if row["held"]:
            console.print(
                f"! {row['contract_id']}: nothing could be charged for {row['product']} any more "
                f"({row['held']})", style="red", markup=False, soft_wrap=True,
            )  # fmt: skip
    if effect["charges"]:
        table = Table("contract", "billed on", "charge", "is", "would be", "difference")
        for row in effect["charges"][:SHOWN]:
            table.add_row(
                row["contract_id"], row["bill_on"], row["description"], row["before"] or "–",
                row["after"] or "–", f"{row['difference']} {row['currency']}",
            )  # fmt: skip
        console.print(table)
        if effect["billed_totals"]:
            console.print(
                f"Of these, {_sums(effect['billed_totals'])} correct invoices that are out, and go "
                "on the next ones."
            )
        if effect["charges_changed"] > SHOWN:
            console.print(f"… and {many(effect['charges_changed'] - SHOWN, 'more charge')}")


def show_change(console: Console, change: Row) -> None:
    """What is active now, and what waits for whom."""
    for item in change["items"]:
        console.print(f"{change['state']:8} {item['object']} version {item['version']}")
    if change["state"] == "waiting":
        console.print(
            f"\n{_sums(change['effect']['at_stake'])} a month are at stake; a second person, not "
            f"{change['author']}, approves it (in the local stack with --as NAME):\n"
            f"tieout prices approve {change['change_id']}",
            soft_wrap=True,
        )


def _sums(sums: Row) -> str:
    return (
        ", ".join(f"{money(amount)} {currency}" for currency, amount in sums.items()) or "nothing"
    )


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {part}" for name, part in value.items()) or "everything"
    return "none" if value is None else str(value)
