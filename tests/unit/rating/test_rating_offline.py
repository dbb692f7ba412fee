"""The command that computes a file of cases, as a person or a pipe meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rating import offline

HEAD = "case_id,sku_title,term,billing_plan,unit_price,currency,term_start,events\n"
GOOD = (
    "A,E3,P1Y,monthly,30.00,USD,2025-06-01,"
    '"[{""at"":""2025-06-01T12:00:00Z"",""type"":""purchase"",""qty"":2}]"\n'
)
BAD = GOOD.replace("A,", "B,").replace("purchase", "teleport")
NO_JSON = 'C,E3,P1Y,monthly,30.00,USD,2025-06-01,"[{"\n'


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "cases.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_row_that_cannot_be_computed_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One object a row, in the order of the file."""
    path = written(tmp_path, HEAD + BAD + GOOD + NO_JSON)

    assert offline.run(["provider-lines", path]) == 0

    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["case_id"] for one in answers] == ["B", "A", "C"]
    assert answers[0]["error"] == {"code": "event_type_unknown", "detail": "event 0: teleport"}
    assert answers[1]["lines"][0]["amount"] == "60.00"
    assert answers[2]["error"]["code"] == "case_field_invalid"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no column case_id"),
        ("case_id,term\n", "names no column billing_plan, unit_price"),
        (HEAD + 'A,"unclosed\n', "after line 1"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    """In one sentence, and with the exit code of a wrong call."""
    assert offline.run(["provider-lines", written(tmp_path, text)]) == 64
    assert words in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With what the system says about it."""
    assert offline.run(["provider-lines", "nowhere.csv"]) == 64
    assert capsys.readouterr().err == "nowhere.csv: No such file or directory\n"


def test_a_row_with_other_columns_is_an_error_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too few and too many cells."""
    offline.run(["provider-lines", written(tmp_path, HEAD + "A,E3\n" + GOOD.strip() + ",more\n")])

    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["error"]["code"] for one in answers] == ["case_columns", "case_columns"]
