"""Who knows one service knows six: the same parts, the same table of handlers, the same README."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from architecture.rules.sources import Finding, Source

HEADINGS = (
    "Decides", "Consumes", "Publishes", "Owns", "Does not own", "Invariants", "When it fails",
)  # fmt: skip
FILES = ("__init__.py", "__main__.py", "main.py", "settings.py", "py.typed")
PACKAGES = ("domain", "migrations")
EITHER = ("store", "handlers", "api")  # a module, or a package of that name


def missing_parts(service: Path, package: str) -> Iterator[Finding]:
    """A service directory with its package inside."""
    inner = service / "src" / package
    parts = {
        **{f"src/{package}/{name}": (inner / name).is_file() for name in FILES},
        **{f"src/{package}/{name}/": (inner / name).is_dir() for name in PACKAGES},
        **{
            f"src/{package}/{name}.py": (inner / f"{name}.py").is_file()
            or (inner / name / "__init__.py").is_file()
            for name in EITHER
        },
        "README.md": (service / "README.md").is_file(),
        "pyproject.toml": (service / "pyproject.toml").is_file(),
    }
    for part, there in parts.items():
        if not there:
            yield Finding(f"services/{service.name}", 1, f"no {part}")
    if not list((inner / "migrations").glob("0001_*.py")):
        yield Finding(f"services/{service.name}", 1, f"no src/{package}/migrations/0001_*.py")


def wrong_headings(path: str, text: str) -> Iterator[Finding]:
    """The seven headings, in their order, and something under each."""
    found = re.findall(r"^## +(.+?) *$", text, re.MULTILINE)
    if tuple(found) != HEADINGS:
        yield Finding(path, 1, f"headings are {found}, not {list(HEADINGS)}")
    for title, body in re.findall(r"^## +(.+?) *\n(.*?)(?=^## |\Z)", text, re.M | re.S):
        if not body.strip():
            yield Finding(path, 1, f"nothing under {title!r}")


def missing_handler_tables(sources: Iterable[Source]) -> Iterator[Finding]:
    """One table per service says which events it has a use for."""
    by_service: dict[str, list[Source]] = {}
    for source in sources:
        if source.is_service:
            by_service.setdefault(source.path.split("/")[1], []).append(source)
    for service, members in sorted(by_service.items()):
        tables = [
            (member, node)
            for member in members
            if member.layer == "handlers"
            for node in member.tree.body
            if _is_table(node)
        ]
        if len(tables) != 1:
            yield Finding(f"services/{service}", 1, f"{len(tables)} tables named HANDLERS")
        for member, node in tables:
            if not isinstance(getattr(node, "value", None), ast.Dict):
                yield member.finding(node, "HANDLERS is no literal table")


def _is_table(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == "HANDLERS" for target in targets)
