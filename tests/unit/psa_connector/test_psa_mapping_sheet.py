"""Mappings as a sheet: read back as written, and every wrong line told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa_connector.domain.mapping import ContractMapping
from psa_connector.domain.mapping_sheet import (
    COLUMNS,
    ContractLine,
    ProductLine,
    SheetLine,
    read_sheet,
    write_sheet,
)

HEAD = ",".join(COLUMNS)
CONNECTIONS = frozenset({"cw", "at"})
IDS = st.from_regex(r"[A-Za-z0-9_.:-]{1,20}", fullmatch=True)
KEYS = st.text(
    st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40
)  # spaces around a cell are a spreadsheet's
PLACES = st.one_of(
    st.just(ContractMapping(None, None, None)),
    st.builds(ContractMapping, st.sampled_from(sorted(CONNECTIONS)), IDS, IDS),
)
LINES = st.lists(
    st.one_of(
        st.builds(ContractLine, KEYS, PLACES),
        st.builds(ProductLine, st.sampled_from(sorted(CONNECTIONS)), KEYS, IDS),
    ),
    unique_by=lambda line: (
        ("", line.contract_id)
        if isinstance(line, ContractLine)
        else (line.connection_id, line.product_key)
    ),
    max_size=8,
)


@given(LINES, st.text(max_size=20))
def test_what_is_exported_is_read_back_g5(lines: list[SheetLine], name: str) -> None:
    """Whatever keys and names contain."""
    text = "".join(write_sheet((line, name) for line in lines))
    sheet = read_sheet(text, CONNECTIONS)
    assert (list(sheet.lines.values()), sheet.faults) == (lines, ())


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("agreement,cw,ALD-1,250,7001,,", "kind_unknown"),
        ("contract,nowhere,ALD-1,250,7001,,", "connection_unknown"),
        ("contract,cw,,250,7001,,", "key_invalid"),
        ("contract,cw,ALD-1,250,,,", "mapping_incomplete"),
        ("contract,,ALD-1,250,7001,,", "mapping_incomplete"),
        ("contract,cw,ALD-1,250,7001,501,", "mapping_mixed"),
        ("contract,cw,ALD-1,250,70/../1,,", "id_invalid"),
        ("product,cw,BP,250,,501,", "mapping_mixed"),
        ("product,cw,BP,,,,", "mapping_incomplete"),
        ("product,,BP,,,501,", "mapping_incomplete"),
        ("product", "key_invalid"),
    ],
)
def test_a_wrong_line_is_told_with_its_number_g5(line: str, code: str) -> None:
    """The heading is line 1; the right lines beside it are read."""
    sheet = read_sheet(f"{HEAD}\nproduct,cw,good,,,1,\n{line}\n", CONNECTIONS)
    assert [(fault.line, fault.code) for fault in sheet.faults] == [(3, code)]
    assert sheet.lines == {2: ProductLine("cw", "good", "1")}


def test_a_line_twice_is_told_g5() -> None:
    """The second one would win silently."""
    text = f"{HEAD}\ncontract,cw,ALD-1,250,7001,,\n\ncontract,at,ALD-1,1,2,,\n"
    (fault,) = read_sheet(text, CONNECTIONS).faults
    assert (fault.line, fault.code, fault.detail) == (4, "line_repeated", "line 2 maps the same")


def test_a_sheet_without_its_heading_says_what_is_missing_g5() -> None:
    """Instead of taking the first line for one."""
    sheet = read_sheet("contract,cw,ALD-1,250,7001,,\n", CONNECTIONS)
    assert [(fault.line, fault.code) for fault in sheet.faults] == [(1, "heading_invalid")]


def test_columns_may_stand_in_any_order_and_with_a_mark_g5() -> None:
    """As a spreadsheet saves them."""
    text = (
        "\ufeffexternal_id,key,kind,connection_id,target_id,company_id\r\n501,BP,product,cw,,\r\n"
    )
    assert read_sheet(text, CONNECTIONS).lines == {2: ProductLine("cw", "BP", "501")}


def test_a_name_that_looks_like_a_formula_is_text() -> None:
    """Account names come from outside."""
    (_, row) = write_sheet([(ProductLine("cw", "BP", "501"), "=cmd()")])
    assert row.rstrip().endswith(",'=cmd()")
