"""`python -m rating simulate …`: answers from files alone, without settings, database or broker."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from decimal import Decimal
from io import TextIOWrapper
from typing import Any, NoReturn, TextIO

from pydantic import ValidationError

from rating.domain.provider_lines import expected_lines, read_case
from shared.kernel.errors import Invalid

NEEDED = ("case_id", "term", "billing_plan", "unit_price", "currency", "term_start", "events")
MAX_CELL = 10_000_000
EXIT_OK, EXIT_ROWS, EXIT_USAGE = 0, 1, 64


class Unusable(Exception):
    """The file is none; the sentence says why."""


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tieout simulate")
    kinds = parser.add_subparsers(dest="kind", required=True)
    lines = kinds.add_parser("provider-lines", help="what Microsoft should bill, a case a row")
    lines.add_argument("file", help="CSV with the columns of nce-cases.csv; - for standard input")
    charged = kinds.add_parser("charges", help="what customers would be charged, and what-ifs")
    charged.add_argument("file", help="JSON body of POST /v1/simulations/charges; - for input")
    charged.add_argument("--called", help="what the input is called in messages")
    try:
        given = parser.parse_args(arguments)
    except SystemExit as usage:
        return EXIT_OK if usage.code == 0 else EXIT_USAGE
    try:
        with _opened(given.file) as file:
            answers = provider_lines(file) if given.kind == "provider-lines" else [charges(file)]
            return _written(answers)
    except Unusable as error:
        sys.stderr.write(f"{getattr(given, 'called', None) or given.file}: {error}\n")
        return EXIT_USAGE
    except BrokenPipeError:  # whoever reads has seen enough
        sys.stderr.close()
    return EXIT_OK


def _written(answers: Iterable[Mapping[str, Any]]) -> int:
    """Every answer on a line; the exit code says whether one is an error."""
    failed = 0
    for answer in answers:
        failed += "error" in answer
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    if failed:
        rows = "1 row" if failed == 1 else f"{failed:,} rows"
        sys.stderr.write(f"{rows} could not be computed; see their error\n")
    return EXIT_ROWS if failed else EXIT_OK


def provider_lines(file: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The answer to every row of a table of cases, in their order.

    Raises:
        Unusable: it is no such table.
    """
    csv.field_size_limit(MAX_CELL)
    rows = csv.DictReader(file, strict=True)
    try:
        missing = [name for name in NEEDED if name not in (rows.fieldnames or ())]
        if missing:
            raise Unusable(f"the first line names no column {', '.join(missing)}{_hint(rows)}")
        seen: set[str] = set()
        for row in rows:
            yield _repeated(row["case_id"]) if row["case_id"] in seen else answer(row)
            seen.add(row["case_id"])
    except (csv.Error, UnicodeDecodeError) as error:
        raise Unusable(f"after line {rows.line_num}: {error}") from error


def _hint(rows: csv.DictReader[str]) -> str:
    """Spreadsheets of some countries write another separator."""
    head = ",".join(rows.fieldnames or ())
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if head.count(mark) >= len(NEEDED) - 1:
            return f"; its columns are separated by {name}: save it with commas"
    return ""


def _repeated(case_id: str) -> dict[str, Any]:
    detail = "another row above has this case_id"
    return {"case_id": case_id, "error": {"code": "case_repeated", "detail": detail}}


def charges(file: TextIO) -> dict[str, Any]:
    """The customer side of the histories in a document.

    Raises:
        Unusable: it is no such document, or asks for customers that only a running service knows.
    """
    from rating.api.simulation_bodies import SimulationBody  # the web's models are slow to import
    from rating.api.simulation_results import simulated_charges

    try:
        body = SimulationBody.model_validate(json.loads(file.read(), parse_float=Decimal))
        if body.stored:
            raise Unusable("stored customers are simulated by the running service")
        return simulated_charges(body)
    except ValidationError as error:
        problems = [f"{_place(one['loc'])}: {one['msg']}" for one in error.errors()]
        raise Unusable("; ".join(problems)) from error
    except Invalid as error:
        raise Unusable(f"{error.code}: {error.detail}") from error
    except ValueError as error:
        raise Unusable(f"this is no JSON: {error}") from error


def _place(location: Sequence[int | str]) -> str:
    return ".".join(map(str, location)) or "the document"


def answer(row: Mapping[str, str]) -> dict[str, Any]:
    """`{"case_id", "lines"}` of one row of a case table, or `{"case_id", "error"}`."""
    case_id = row["case_id"]
    try:
        if None in row or None in row.values():
            raise Invalid("case_columns", "this row has other columns than the first line")
        lines = [outcome.printed() for outcome in expected_lines(read_case(_case(row)))]
        return {"case_id": case_id, "lines": lines}
    except Invalid as error:
        return {"case_id": case_id, "error": {"code": error.code, "detail": error.detail}}


def _case(row: Mapping[str, str]) -> dict[str, Any]:
    case: dict[str, Any] = {**row, "events": _json("events", row["events"])}
    case["pc_to_bc_rates"] = _rates(row)
    return case


def _rates(row: Mapping[str, str]) -> object:
    """Exchange rates are facts of the provider's months that nothing else in the table tells: a
    column of their own, or beside the lines that used them."""
    if row.get("pc_to_bc_rates"):
        return _json("pc_to_bc_rates", row["pc_to_bc_rates"])
    if "pc_to_bc_rate" not in (row.get("expected_lines") or ""):
        return None
    lines = _json("expected_lines", row["expected_lines"])
    return {
        line["invoice_month"]: {
            "rate": line["pc_to_bc_rate"],
            "billing_currency": line.get("billing_currency"),
        }
        for line in (lines if isinstance(lines, list) else ())
        if isinstance(line, dict) and "pc_to_bc_rate" in line and "invoice_month" in line
    }


def _json(name: str, text: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number")

    try:
        return json.loads(text, parse_float=Decimal, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise Invalid("case_field_invalid", f"{name} is no JSON: {error}") from error


def _opened(path: str) -> Any:
    if path == "-":
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8-sig", newline="")
        return nullcontext(sys.stdin)
    try:
        file: TextIO = open(path, encoding="utf-8-sig", newline="")  # noqa: SIM115  # a context
    except OSError as error:
        raise Unusable(str(error.strerror)) from error
    return file
