"""The repository stands for itself: no machine, no index of packages, decisions that tell all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution

from architecture.rules.sources import Finding

# Written so that this file does not match itself.
_ELSEWHERE = {
    "a package registry": re.compile(
        r"(?i)\b(?:(?:test\.)?pypi\.(?:org|python\.org)|pythonhosted\.org|registry\.npmjs\.org"
        r"|registry\.yarnpkg\.com|repo1?\.maven\.(?:org|apache\.org)|repo\d?\.maven\.org"
        r"|central\.sonatype\.(?:org|com)|proxy\.golang\.org|crates\.io|rubygems\.org"
        r"|conda\.anaconda\.org|artifactory\.|nexus\.)"
    ),
    "a path of somebody's machine": re.compile(
        r"(?<![\w.:/}~-])(?:/home/(?!tieout\b)[a-z]\w*/|/Users/[A-Za-z]\w*/|/(?:roo[t]|wor[k])/"
        r"|[A-Z]:\\Users\\)"
    ),
}
DECISION_PARTS = ("Context.", "Decision.", "Consequences.", "Enforced by")


def mentions_of_elsewhere(path: str, text: str) -> Iterator[Finding]:
    """What only works where it was written does not work."""
    for what, pattern in _ELSEWHERE.items():
        for found in pattern.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Finding(path, line, f"{what}: {found[0]}")


def incomplete_decision(path: str, text: str) -> Iterator[Finding]:
    """Why, what, and then what; and what keeps it true."""
    number = path.rpartition("/")[2][:4]
    if not re.match(rf"# {number} \S", text):
        yield Finding(path, 1, f"the title is not `# {number} …`")
    found = re.findall(r"^\*\*([A-Z][\w ]*\.?)\*\*", text, re.MULTILINE)
    if tuple(part for part in found if part in DECISION_PARTS) != DECISION_PARTS:
        yield Finding(path, 1, f"parts are {found}, not {list(DECISION_PARTS)}")
    if text.count("\n") > 60:
        yield Finding(path, 61, "longer than a page")


def foreign_providers(
    names: Iterable[str], distributions: Iterable[Distribution], ours: str = "tieout-"
) -> dict[str, set[str]]:
    """Top-level names of ours that an installed distribution of somebody else provides, too."""
    wanted = set(names)
    found: dict[str, set[str]] = {}
    for distribution in distributions:
        name = str(distribution.metadata["Name"])
        if name.startswith(ours):
            continue
        for file in distribution.files or ():
            top = file.parts[0].removesuffix(".py")
            if top in wanted and file.suffix in {".py", ".so"}:
                found.setdefault(top, set()).add(name)
    return found
