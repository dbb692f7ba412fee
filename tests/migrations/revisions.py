"""The revisions as they are on disk, read without running them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.topics import SERVICES
from shared.runtime.postgres import schema_of

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "shared/src/shared/runtime/migrations"


@dataclass(frozen=True, slots=True)
class Revision:
    """One file of a `migrations/` folder."""

    path: Path
    reason: str | None
    constants: dict[str, object]

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def sql(self) -> str:
        return str(self.constants["UPGRADE"])


def own_revisions(service: str) -> list[Revision]:
    """Of one service, oldest first."""
    package = schema_of(service)
    folder = ROOT / "services" / service / "src" / package / "migrations"
    return [_read(path) for path in sorted(folder.glob("[0-9]*.py"))]


def all_revisions() -> list[Revision]:
    """The runtime's and every service's."""
    runtime = [_read(path) for path in sorted(RUNTIME.glob("*.py"))]
    return runtime + [revision for service in SERVICES for revision in own_revisions(service)]


def _read(path: Path) -> Revision:
    tree = ast.parse(path.read_text())
    constants = {
        target.id: ast.literal_eval(statement.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    return Revision(path, ast.get_docstring(tree), constants)
