"""Lints several package trees with one configuration, in a process that imports none of them.

Run as a program: arguments are the configuration and the trees; prints one JSON object, tree →
{"kept": bool, "report": text}. A tree's packages hide installed ones of the same name.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
from pathlib import Path


def lint(configuration: Path, tree: Path) -> dict[str, object]:
    """The verdict on one tree."""
    from importlinter.application import output, use_cases

    os.chdir(tree)
    sys.path.insert(0, str(tree))
    importlib.invalidate_caches()
    report = io.StringIO()
    output.console.file = report
    output.console.width = 500
    try:
        with contextlib.redirect_stdout(report):
            kept = use_cases.lint_imports(
                config_filename=str(configuration), cache_dir=None, no_logo=True
            )
    finally:
        sys.path.remove(str(tree))
    return {"kept": kept, "report": report.getvalue()}


def main() -> None:
    importlib.import_module("importlinter.cli")  # sets up the linter's own parts
    configuration, *trees = (Path(argument).resolve() for argument in sys.argv[1:])
    json.dump({tree.name: lint(configuration, tree) for tree in trees}, sys.stdout)


if __name__ == "__main__":
    main()
