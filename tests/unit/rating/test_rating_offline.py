"""The command that computes a file of cases, as a person or a pipe meets it."""

from __future__ import annotations

import json
from io import StringIO
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

    assert offline.run(["provider-lines", path]) == 1

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
    offline.run(["provider-lines", written(tmp_path, HEAD + "B,E3\n" + GOOD.strip() + ",more\n")])

    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["error"]["code"] for one in answers] == ["case_columns", "case_columns"]


def test_rows_that_are_all_computed_are_exit_code_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also behind a byte order mark, as spreadsheets write it."""
    assert offline.run(["provider-lines", written(tmp_path, "\ufeff" + HEAD + GOOD)]) == 0
    assert capsys.readouterr().err == ""


def test_a_case_id_stands_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second row of it is an error of its own; the first is computed."""
    assert offline.run(["provider-lines", written(tmp_path, HEAD + GOOD + GOOD)]) == 1

    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert "lines" in first
    assert second["error"]["code"] == "case_repeated"


def test_another_separator_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As spreadsheets of some countries write it."""
    path = written(tmp_path, (HEAD + GOOD).replace(",", ";"))

    assert offline.run(["provider-lines", path]) == 64
    assert "separated by semicolons: save it with commas" in capsys.readouterr().err


def test_a_refusal_says_what_its_code_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody has to look a number up."""
    late = (
        '[{""at"":""2025-06-01T12:00:00Z"",""type"":""purchase"",""qty"":2},'
        '{""at"":""2025-06-20T12:00:00Z"",""type"":""cancel""}]'
    )
    row = f'A,E3,P1Y,monthly,30.00,USD,2025-06-01,"{late}"\n'
    offline.run(["provider-lines", written(tmp_path, HEAD + row)])

    (answer,) = map(json.loads, capsys.readouterr().out.splitlines())
    refusal = answer["lines"][-1]
    assert (refusal["error_code"], refusal["note"]) == (
        "900213", "the cancellation window is closed",
    )  # fmt: skip


def test_a_message_names_the_file_that_was_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not the pipe it came through."""
    monkeypatch.setattr("sys.stdin", StringIO("{}"))

    assert offline.run(["charges", "-", "--called", "mine.yaml"]) == 64
    assert capsys.readouterr().err.startswith("mine.yaml: ")
