"""SQL is a named constant in a store: found, read, prepared by a test, never put together."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from architecture.rules.sources import Finding, Source, dotted, texts

_STATEMENT = re.compile(
    r"^\s*(?:--[^\n]*\n\s*)*"
    r"(?:SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|WITH\s+(?:RECURSIVE\s+)?\w+\s"
    r"|MERGE\s+INTO\s|TRUNCATE\s|VALUES\s*\(|LOCK\s+TABLE\s|CALL\s+\w|NOTIFY\s+\w|LISTEN\s+\w)"
)
_PIECE = re.compile(
    r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|FROM|ORDER BY|SET)\s+[\w\"$]"
)
_RUN = frozenset({"fetch", "fetchrow", "fetchval", "execute", "executemany", "prepare", "cursor"})
_HANDLES = frozenset(
    {"tx", "reader", "connection", "conn", "transaction", "database", "_connection"}
)
# Where SQL may be: a service's store and its migrations, and the runtime's own modules.
_HOMES = frozenset({"store", "migrations", "runtime"})
# The handle passes on what it is given; Alembic's environment speaks to the session only.
_PASSES_ON = frozenset(
    {
        "shared/src/shared/runtime/connection.py",
        "shared/src/shared/runtime/postgres.py",
        "shared/src/shared/runtime/migration_environment/env.py",
    }
)


@dataclass(frozen=True)
class Statement:
    """One SQL constant."""

    path: str
    line: int
    name: str
    sql: str


def is_sql(text: str) -> bool:
    return _STATEMENT.match(text) is not None


def statements(source: Source) -> Iterator[Statement]:
    """Every upper-case constant of a module that is SQL."""
    for node in source.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str() as sql)):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str() as sql)):
                pass
            case _:
                continue
        if name.lstrip("_").isupper() and is_sql(sql):
            yield Statement(source.path, node.lineno, name, sql)


def outside_stores(source: Source) -> Iterator[Finding]:
    """Routes, handlers, jobs and domains ask stores; then the tables are one module's business."""
    if source.layer in _HOMES:
        return
    for node, text in texts(source):
        if is_sql(text):
            yield source.finding(node, f"SQL outside a store: {' '.join(text.split())[:40]}")


def put_together(source: Source) -> Iterator[Finding]:
    """SQL made of pieces cannot be prepared by a test, and pieces may come from outside."""
    if source.layer == "migrations":
        return
    for node in source.nodes:
        how, pieces = _pieces(node)
        if any(is_sql(piece) or _PIECE.search(piece) for piece in pieces):
            yield source.finding(node, f"SQL put together with {how}")


def _pieces(node: ast.AST) -> tuple[str, list[str]]:
    """How a text is put together, and of what; `x` stands for what is only known later."""
    match node:
        case ast.JoinedStr(values=values) if any(isinstance(v, ast.FormattedValue) for v in values):
            return "an f-string", ["".join(_literal(value) or "x" for value in values)]
        case ast.Call(func=ast.Attribute(attr="format", value=template)):
            return "format()", [_literal(template)]
        case ast.BinOp(op=ast.Mod(), left=template):
            return "%", [_literal(template)]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return "+", [_literal(left), _literal(right)]
        case _:
            return "", []


def _literal(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def without_a_name(source: Source) -> Iterator[Finding]:
    """What is run must be an upper-case constant: only those are prepared by a test."""
    if source.layer not in {"store", "runtime"} or source.path in _PASSES_ON:
        return
    for node in source.nodes:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = dotted(node.func.value).rpartition(".")[2]
        if node.func.attr not in _RUN or owner not in _HANDLES or not node.args:
            continue
        branches = _branches(node.args[0])
        if not all(dotted(b).rpartition(".")[2].lstrip("_").isupper() for b in branches):
            yield source.finding(node, f"{owner}.{node.func.attr}() of something without a name")


def _branches(argument: ast.expr) -> list[ast.expr]:
    if isinstance(argument, ast.IfExp):
        return [argument.body, argument.orelse]
    return [argument]
