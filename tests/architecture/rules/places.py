"""Things that have exactly one place: metrics, waiting, and the names of modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from architecture.rules.sources import Finding, Source, dotted, imported

METRICS = frozenset({"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"})
REGISTRY = "shared/src/shared/runtime/telemetry.py"
SAYS_NOTHING = frozenset(
    {"utils", "util", "utilities", "helpers", "helper", "misc", "common", "manager", "managers"}
)


def metrics_elsewhere(source: Source) -> Iterator[Finding]:
    """Metrics are declared once, with a meaning each; a dashboard is built from that one list."""
    if source.path == REGISTRY:
        return
    for statement, name in imported(source):
        package, _, member = name.rpartition(".")
        if package.split(".")[0] == "prometheus_client" and member in METRICS:
            yield source.finding(statement, f"a metric outside {REGISTRY}: {member}")
    for node in source.nodes:
        if isinstance(node, ast.Call):
            owner, _, member = dotted(node.func).rpartition(".")
            if owner.rpartition(".")[2] == "prometheus_client" and member in METRICS:
                yield source.finding(node, f"a metric outside {REGISTRY}: {member}")


def sleeps(source: Source, allowed: Mapping[str, str]) -> Iterator[Finding]:
    """A service that sleeps waits for time instead of for a fact; the runtime's jobs do that.

    `asyncio.sleep(0)` only lets others run. `allowed` names files with the reason they may wait.
    """
    if not source.is_service or source.path in allowed:
        return
    bare = {name for _, name in imported(source) if name in {"asyncio.sleep", "time.sleep"}}
    for node in source.nodes:
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        slept = name in {"asyncio.sleep", "time.sleep"} or (bool(bare) and name == "sleep")
        yields = [a.value for a in node.args if isinstance(a, ast.Constant)] == [0]
        if slept and not yields:
            yield source.finding(node, f"{name}() in a service")


def names_that_say_nothing(source: Source) -> Iterator[Finding]:
    """Everything fits into `utils`, so nobody finds it there."""
    for part in PurePosixPath(source.path.removesuffix(".py")).parts:
        word = part.strip("_").removesuffix("_manager")
        if word in SAYS_NOTHING or word != part.strip("_"):
            yield source.finding(1, f"a name that says nothing: {part}")
