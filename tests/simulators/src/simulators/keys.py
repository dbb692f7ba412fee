"""Private keys of the simulators: made once, kept in `<home>/keys`, readable by the owner only."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_KEY_BITS = 2048


def rsa_key(directory: Path | None, name: str) -> rsa.RSAPrivateKey:
    """The key of that name, created when it is not there; without a directory, a fresh one."""
    path = directory / f"{name}.key.pem" if directory else None
    if path is not None and path.exists():
        # We wrote it; checking its primes again would take a tenth of a second at each start.
        key = serialization.load_pem_private_key(
            path.read_bytes(), password=None, unsafe_skip_rsa_key_validation=True
        )
        if isinstance(key, rsa.RSAPrivateKey):
            return key
        raise ValueError(f"{path} does not hold an RSA key")
    made = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    if path is not None:
        write_private(path, _pem(made))
    return made


def write_private(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
