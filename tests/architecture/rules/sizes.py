"""How much a reader has to hold in mind at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from architecture.rules.sources import Finding, Source

MODULE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 8
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def long_modules(source: Source) -> Iterator[Finding]:
    """A module that does not fit is two ideas."""
    lines = source.text.count("\n")
    if lines > MODULE_LINES:
        yield source.finding(MODULE_LINES + 1, f"{lines} lines in one module")


def long_functions(source: Source) -> Iterator[Finding]:
    """A function fits on a screen."""
    for node in source.nodes:
        if isinstance(node, _Function) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield source.finding(node, f"{lines} lines in {node.name}()")


def many_parameters(source: Source) -> Iterator[Finding]:
    """More are a value that wants a name. `self`, `cls`, `*args` and `**kwargs` do not count."""
    for node in source.nodes:
        if isinstance(node, _Function):
            a = node.args
            names = [arg.arg for arg in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
            count = len([name for name in names if name not in {"self", "cls"}])
            if count > PARAMETERS:
                yield source.finding(node, f"{count} parameters of {node.name}()")
