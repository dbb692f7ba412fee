"""Generated secrets of one local stack: made once, kept in `keys/`, for their owner's eyes only."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_OWNER_ONLY = 0o600


def _sixteen_bytes() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Keyring:
    directory: Path

    def get(self, name: str, *, prefix: str = "", make: Callable[[], str] = _sixteen_bytes) -> str:
        """The secret of that name; made on first use, the same ever after."""
        path = self.directory / name
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            value = prefix + make()
            self._write(path, value)
            return value

    def _write(self, path: Path, value: str) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(descriptor, "w") as file:
            file.write(value + "\n")
