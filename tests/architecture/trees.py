"""The sources of the tree, parsed once for all rules."""

from __future__ import annotations

from functools import cache

from architecture.rules import sources
from architecture.rules.sources import Finding, Source


@cache
def production() -> tuple[Source, ...]:
    """The shared library and the services."""
    return tuple(sources.read(*sources.PRODUCTION))


@cache
def everything() -> tuple[Source, ...]:
    """Production code, the simulators and the local stack."""
    return production() + tuple(sources.read(*sources.LOCAL))


@cache
def checks() -> tuple[Source, ...]:
    """The tests but these."""
    return tuple(s for s in sources.read("tests/**/*.py") if "/architecture/" not in s.path)


def domains() -> list[Source]:
    return [source for source in production() if source.is_service and source.layer == "domain"]


def listed(findings: list[Finding]) -> str:
    """For an assertion message: one `file:line: what` per line."""
    return "\n" + "\n".join(str(finding) for finding in sorted(findings))


def planted(text: str, path: str = "services/rating/src/rating/domain/planted.py") -> Source:
    """A snippet as if it stood there."""
    return Source(path, text)
