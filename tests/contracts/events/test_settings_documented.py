"""Every setting of every service stands in docs/settings.md."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from shared.runtime.settings import ServiceSettings

PACKAGES = ("ingest", "rating", "invoicing", "tax", "psa_connector", "payments")
DOCUMENT = (Path(__file__).parents[3] / "docs/settings.md").read_text()


def variables(package: str) -> list[str]:
    module = importlib.import_module(f"{package}.settings")
    classes = [
        member
        for member in vars(module).values()
        if isinstance(member, type) and issubclass(member, ServiceSettings)
    ]
    return sorted({f"TIEOUT_{n.upper()}" for c in classes for n in c.model_fields})


@pytest.mark.parametrize("package", PACKAGES)
def test_every_setting_is_documented(package: str) -> None:
    """A knob nobody can find is a knob nobody sets."""
    assert [name for name in variables(package) if f"`{name}`" not in DOCUMENT] == []
