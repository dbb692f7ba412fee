"""The certificate chain of the notification service: a root of our own and one leaf under it.

Made once and kept, so that the receiver can trust the root it was given. The dates span every
story, because a receiver may check them against either clock.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from simulators.keys import rsa_key

HOST = "pcnotifications-dispatch.microsoft.com"
ROOT_FILE = "webhook-root.pem"
_LEAF_FILE = "webhook-leaf.pem"
_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2045, 1, 1, tzinfo=UTC)


class NotificationCertificate:
    """Signs webhook bodies and hands out the certificate that proves it."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._key = rsa_key(directory, "webhook-leaf")
        self.root, self.leaf = self._certificates()
        self._foreign: NotificationCertificate | None = None

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(serialization.Encoding.PEM)

    @property
    def leaf_der(self) -> bytes:
        return self.leaf.public_bytes(serialization.Encoding.DER)

    @property
    def foreign(self) -> NotificationCertificate:
        """Another chain that claims the same names; nobody should trust it."""
        if self._foreign is None:
            self._foreign = NotificationCertificate(None)
        return self._foreign

    def sign(self, body: bytes) -> str:
        """RSA PKCS#1 v1.5 with SHA-256 over the raw body, base64."""
        signature = self._key.sign(body, padding.PKCS1v15(), hashes.SHA256())
        return base64.b64encode(signature).decode()

    def _certificates(self) -> tuple[x509.Certificate, x509.Certificate]:
        if self._directory is None:
            return self._issue()
        paths = self._directory / ROOT_FILE, self._directory / _LEAF_FILE
        if not all(p.exists() for p in paths):
            self._directory.mkdir(parents=True, exist_ok=True)
            for path, certificate in zip(paths, self._issue(), strict=True):
                path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        root, leaf = (x509.load_pem_x509_certificate(p.read_bytes()) for p in paths)
        return root, leaf

    def _issue(self) -> tuple[x509.Certificate, x509.Certificate]:
        root_key = rsa_key(self._directory, "webhook-root")
        root_name = _name("Simulated Notification Root (test only)")
        usage = _usage(signs_certificates=True)
        root = (
            _builder(root_name, root_name, root_key.public_key(), root_key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(root_key, hashes.SHA256())
        )
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        leaf = (
            _builder(_name(HOST), root_name, self._key.public_key(), root_key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
            .sign(root_key, hashes.SHA256())
        )
        return root, leaf


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Microsoft Corporation"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, issuer_key: rsa.RSAPublicKey
) -> x509.CertificateBuilder:
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(authority, critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
