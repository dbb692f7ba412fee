"""Sources as the rules see them: a path, its text, its syntax tree, and where in the tree it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[3]
PRODUCTION = ("shared/src", "services/*/src")
LOCAL = ("deploy/local/src", "tests/simulators/src")


@dataclass(frozen=True, order=True)
class Finding:
    """One place that breaks a rule; its text is `file:line: what`."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Source:
    """One Python file, by its path from the root of the repository."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The module's name, split: ("rating", "domain", "proration")."""
        _, _, inner = self.path.partition("src/")
        names = inner.removesuffix(".py").split("/")
        return tuple(names[:-1] if names[-1] == "__init__" else names)

    @property
    def layer(self) -> str:
        """Where in its package a module is: domain, store, handlers, api, runtime, kernel …"""
        return self.parts[1] if len(self.parts) > 1 else ""

    @property
    def is_service(self) -> bool:
        return self.path.startswith("services/")

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the tree; walking it anew for each rule would take most of the time."""
        return tuple(ast.walk(self.tree))

    def finding(self, node: ast.AST | int, message: str) -> Finding:
        line = node if isinstance(node, int) else int(getattr(node, "lineno", 1))
        return Finding(self.path, line, message)


def read(*patterns: str, root: Path = ROOT) -> list[Source]:
    """Every Python file below folders that match."""
    files = sorted(
        path for pattern in patterns for found in root.glob(pattern) for path in found.rglob("*.py")
    )
    return [Source(path.relative_to(root).as_posix(), path.read_text()) for path in files]


def imported(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Every import as a dotted name: `from a import b` names `a.b`."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                yield node, f"{node.module}.{alias.name}"


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or attribute; empty for anything computed."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def docstrings(source: Source) -> set[int]:
    """Identities of the string nodes that are docstrings, or texts standing by themselves."""
    return {
        id(node.value)
        for node in source.nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def texts(source: Source) -> Iterator[tuple[ast.Constant, str]]:
    """Every string literal that is no docstring; pieces of f-strings included."""
    prose = docstrings(source)
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node, node.value
