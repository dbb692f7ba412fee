"""The simulator is held to the vendor's document too: its own mistakes are loud."""

from __future__ import annotations

import pytest

from simulators.connectwise.contract import ConnectWiseContract
from simulators.exact_json import Document
from simulators.http_messages import Answer, Call

CONTRACT = ConnectWiseContract(lambda call: call.path)
ROW: Document = {"id": 1, "product": {"id": 5}, "billCustomer": "Billable", "quantity": 1}


def _call(query: str = "") -> Call:
    return Call("GET", "/finance/agreements/70/additions/1", query, {}, b"")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, [], id="as documented"),
        pytest.param({"price": 1}, ["unknown price: price is not a known field"], id="invented"),
        pytest.param({"quantity": "1"}, ["type quantity"], id="wrong type"),
        pytest.param({"billCustomer": "Perhaps"}, ["enum billCustomer"], id="not in the enum"),
        pytest.param({"product": None}, ["type product"], id="null where none is allowed"),
        pytest.param({"effectiveDate": "1 May"}, ["format effectiveDate"], id="no instant"),
    ],
)
def test_answer_is_checked(changes: Document, expected: list[str]) -> None:
    """Unknown fields, types, enums, formats."""
    found = CONTRACT.check_response(_call(), Answer.of(200, {**ROW, **changes}))

    assert [f[: len(e)] for f, e in zip(found, expected, strict=True)] == expected


def test_required_fields_may_be_missing_only_when_fields_were_chosen() -> None:
    """`fields=` makes partial records."""
    partial = Answer.of(200, {"id": 1})

    assert len(CONTRACT.check_response(_call(), partial)) == 2
    assert CONTRACT.check_response(_call("fields=id"), partial) == []


def test_undeclared_status_is_a_bug_of_the_simulator() -> None:
    """Success statuses are only those of the document."""
    with pytest.raises(ValueError, match="undeclared"):
        CONTRACT.check_response(_call(), Answer.of(202, ROW))


def test_error_body_is_checked_unless_it_is_no_json() -> None:
    """Proxies answer in HTML; the API answers in its error shape."""
    html = Answer(502, b"<html>", {"content-type": "text/html"})

    assert CONTRACT.check_response(_call(), html) == []
    assert CONTRACT.check_response(_call(), Answer.of(400, {"errors": "x"})) != []
