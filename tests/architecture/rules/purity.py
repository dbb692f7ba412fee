"""What a domain may not touch: the world, the clock, chance, and binary fractions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from architecture.rules.sources import Finding, Source, dotted, imported

WORLD = frozenset(
    {
        "aiokafka", "anyio", "asyncio", "asyncpg", "builtins", "concurrent", "ctypes", "fastapi",
        "ftplib", "glob", "http", "httpx", "importlib", "io", "jwt", "locale", "logging", "mmap",
        "multiprocessing", "os", "pathlib", "pickle", "platform", "prometheus_client", "psycopg",
        "pydantic", "pydantic_settings", "random", "requests", "sched", "secrets", "select",
        "selectors", "shutil", "signal", "smtplib", "socket", "sqlalchemy", "sqlite3", "ssl",
        "starlette", "structlog", "subprocess", "sys", "tempfile", "tenacity", "threading", "time",
        "urllib.request", "uvicorn", "webbrowser",
    }
)  # fmt: skip
WORLD_NAMES = frozenset({"uuid.uuid1", "uuid.uuid4", "shared.kernel.ids.new_id"})
BUILT_INS = frozenset(
    {"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint", "globals"}
)
CLOCKS = frozenset({"now", "utcnow", "today"})


def touches_the_world(source: Source) -> Iterator[Finding]:
    """A decision is a function of its arguments.

    With a clock or a file behind it, the figure of last month cannot be computed again, and the
    test that would show so needs a server.
    """
    for statement, name in imported(source):
        if _is_of_the_world(name):
            yield source.finding(statement, f"a domain imports {name}")
    for node in source.nodes:
        match node:
            case ast.AsyncFunctionDef():
                yield source.finding(node, f"a domain waits: async def {node.name}")
            case ast.Call(func=ast.Name(id=name)) if name in BUILT_INS:
                yield source.finding(node, f"a domain calls {name}()")
            case ast.Call(func=ast.Attribute(attr=attribute) as called) if attribute in CLOCKS:
                owner = dotted(called.value).rpartition(".")[2]
                if owner in {"datetime", "date", "clock"}:
                    yield source.finding(node, f"a domain reads the clock: {owner}.{attribute}()")
            case _:
                pass


def _is_of_the_world(name: str) -> bool:
    parents = {name.rsplit(".", depth)[0] for depth in range(name.count(".") + 1)}
    return bool(parents & WORLD) or name in WORLD_NAMES


def floats(source: Source) -> Iterator[Finding]:
    """Money is `Decimal`: a binary fraction loses cents at random.

    The one use of the name that is allowed is to refuse one: `isinstance(value, float)`.
    """
    refusals = {
        id(name)
        for node in source.nodes
        if isinstance(node, ast.Call) and dotted(node.func) == "isinstance"
        for name in ast.walk(node)
    }
    for node in source.nodes:
        if id(node) in refusals:
            continue
        match node:
            case ast.Constant(value=float() | complex() as value):
                yield source.finding(node, f"a binary fraction: {value!r}")
            case ast.Name(id="float") | ast.Attribute(attr="float"):
                yield source.finding(node, "float")
            case ast.Constant(value=str() as text) if text.strip() == "float":
                yield source.finding(node, "float, as a text annotation")
            case _:
                pass
