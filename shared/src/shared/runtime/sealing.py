"""Secrets that have to be stored: encrypted at rest with keys that only the environment knows.

Fernet (AES-128-CBC with HMAC-SHA-256). The first key seals, every key opens: put a new one in
front, write the secrets again, then drop the old one.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class NotSealedHere(Exception):
    """None of this process's keys opens it."""


class Sealer:
    """Seals short texts with the first of its keys."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises ValueError for no key, or for one that is not 32 bytes in URL-safe Base64."""
        if not keys:
            raise ValueError("a sealer needs a key")
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, secret: str) -> str:
        """Ciphertext as printable text; another one each time."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Raises NotSealedHere."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise NotSealedHere("sealed with a key that is not configured here") from error


def new_key() -> str:
    return Fernet.generate_key().decode()
