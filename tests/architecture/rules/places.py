"""Things that have exactly one place: metrics, waiting, and the names of modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from architecture.rules.sources import Finding, Source, dotted, imported

METRICS = frozenset({"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"})
SLEEPING = frozenset({"asyncio.sleep", "time.sleep"})
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
    bare = {name for _, name in imported(source) if name in SLEEPING}
    harmless = {id(call.func) for call in _calls(source) if _only_yields(call)}
    for node in source.nodes:
        if not isinstance(node, ast.Attribute | ast.Name) or id(node) in harmless:
            continue
        name = dotted(node)  # also where it is only named: somebody is given it to sleep with
        if name in SLEEPING or (bool(bare) and name == "sleep"):
            yield source.finding(node, f"{name} in a service")


def _calls(source: Source) -> Iterator[ast.Call]:
    return (node for node in source.nodes if isinstance(node, ast.Call))


def _only_yields(call: ast.Call) -> bool:
    return [a.value for a in call.args if isinstance(a, ast.Constant)] == [0]


def patched_sleep(source: Source) -> Iterator[Finding]:
    """Every watcher on the loop would spin, and a test that never yields never ends."""
    for call in _calls(source):
        words = [ast.unparse(argument) for argument in call.args[:2]]
        if dotted(call.func).endswith("setattr") and "sleep" in ".".join(words):
            yield source.finding(call, "replaces a sleep for the whole process")


def names_that_say_nothing(source: Source) -> Iterator[Finding]:
    """Everything fits into `utils`, so nobody finds it there."""
    for part in PurePosixPath(source.path.removesuffix(".py")).parts:
        word = part.strip("_").removesuffix("_manager")
        if word in SAYS_NOTHING or word != part.strip("_"):
            yield source.finding(1, f"a name that says nothing: {part}")
