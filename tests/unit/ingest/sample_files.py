"""Access to the provider's published samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shared.runtime.http import loads

SAMPLES = Path(__file__).with_name("samples")


def sample(name: str) -> Any:
    return loads(sample_text(name))


def sample_text(name: str) -> str:
    return (SAMPLES / f"{name}.json").read_text()


def names(prefix: str) -> list[str]:
    return sorted(path.stem for path in SAMPLES.glob(f"{prefix}*.json"))
