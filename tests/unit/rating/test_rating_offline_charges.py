"""`simulate charges` from a file alone: the answer of a request, and sentences for mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from rating import offline
from support.simulations import elm

DOCUMENT = Path(__file__).parents[3] / "docs/simulations.md"


def written(tmp_path: Path, body: object) -> str:
    file = tmp_path / "simulation.json"
    file.write_text(body if isinstance(body, str) else json.dumps(body), encoding="utf-8")
    return str(file)


def test_a_file_is_answered_as_a_request_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scenario 5, invoice by invoice."""
    assert offline.run(["charges", written(tmp_path, elm())]) == 0

    told = json.loads(capsys.readouterr().out)
    assert [invoice["net"] for invoice in told["invoices"]] == ["1306.68", "1190.18", "1047.74"]


def test_the_documented_example_comes_out_as_documented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The YAML of the documentation is the what-if it tells of."""
    found = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    body = YAML(typ="base", pure=True).load(found.group(1))

    assert offline.run(["charges", written(tmp_path, body)]) == 0

    (line,) = json.loads(capsys.readouterr().out)["instead"]["difference"]["lines"]
    assert (line["difference"], line["billable"]) == ("5.00", False)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{", "this is no JSON"),
        ({"through": "2026-01-01"}, "whom? give customers or stored"),
        ({"through": "2026-01-01", "stored": ["x"]}, "the running service"),
        (elm(through="soon"), "through: "),
        (elm(instead={"contract": {"convention": "days-of-28/v1"}}), "convention_unknown: "),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: Any, sentence: str
) -> None:
    """With the place where it is, and the exit code of a wrong use."""
    assert offline.run(["charges", written(tmp_path, body)]) == 64

    told = capsys.readouterr()
    assert sentence in told.err
    assert told.out == ""
