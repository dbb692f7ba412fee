"""Proves that a webhook was signed by the provider's notification service.

The certificate is fetched from the address in the header, but only from listed hosts, small and
without redirects, and kept by address. It must chain to a trusted root, be issued by Microsoft
Corporation and name the notification service; then the signature over the raw body must hold.
Certificates are judged in real time, as token lifetimes are.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from ingest.domain.signature import Algorithm, SignedBy, require_certificate_address
from shared.kernel.errors import Invalid
from shared.runtime.clock import SystemClock
from shared.runtime.http import HttpClient

MAX_BYTES = 65_536
MIN_KEY_BITS = 2_048
ISSUER = "Microsoft Corporation"
KEPT_S, REFUSAL_KEPT_S, YOUNG_S = 3_600.0, 30.0, 60.0
KEPT_MAX = 64

_HASHES: dict[Algorithm, hashes.HashAlgorithm] = {
    Algorithm.RSA_SHA256: hashes.SHA256(),
    Algorithm.RSA_SHA384: hashes.SHA384(),
    Algorithm.RSA_SHA512: hashes.SHA512(),
}


class CertificateUnavailable(Exception):
    """The certificate could not be fetched: nothing is proven either way, ask again later."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe."""

    hosts: Collection[str]
    subjects: Collection[str]  # DNS names of the notification service
    root_file: Path | None = None  # PEM, roots and intermediates to trust; None: the system's
    allow_http: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    key: rsa.RSAPublicKey | None
    refusal: Invalid | None
    since: float

    def fresh(self, now: float) -> bool:
        return now - self.since < (KEPT_S if self.key else REFUSAL_KEPT_S)


class Certificates:
    """Checks signatures; remembers the certificates it has judged."""

    def __init__(self, http: HttpClient, trust: Trust) -> None:
        self._http = http
        self._trust = trust
        self._kept: dict[str, _Kept] = {}
        self._roots: list[x509.Certificate] = []

    async def verify(self, signed: SignedBy, body: bytes) -> None:
        """Return when the body is the provider's.

        Raises:
            Invalid: `certificate_address_refused`, `certificate_refused`, `signature_wrong`.
            CertificateUnavailable: the certificate could not be fetched.
        """
        url = signed.certificate_url
        trust = self._trust
        require_certificate_address(url, hosts=trust.hosts, allow_http=trust.allow_http)
        kept = await self._judged(url)
        if kept.refusal is not None:
            raise kept.refusal
        if not _holds(kept.key, signed, body):
            await self._verify_with_renewed(kept, signed, body)

    async def _verify_with_renewed(self, kept: _Kept, signed: SignedBy, body: bytes) -> None:
        """The certificate behind an address may have been replaced: look once more, not often."""
        if asyncio.get_running_loop().time() - kept.since > YOUNG_S:
            self._kept.pop(signed.certificate_url, None)
            renewed = await self._judged(signed.certificate_url)
            if _holds(renewed.key, signed, body):
                return
        raise Invalid("signature_wrong", "the signature is not of this body")

    async def _judged(self, url: str) -> _Kept:
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(url)
        if kept is not None and kept.fresh(now):
            return kept
        content = await self._fetch(url)
        try:
            key, refusal = await asyncio.to_thread(self._judge, content), None
        except Invalid as error:
            key, refusal = None, error
        while len(self._kept) >= KEPT_MAX:
            self._kept.pop(next(iter(self._kept)))
        self._kept[url] = _Kept(key, refusal, now)
        return self._kept[url]

    async def _fetch(self, url: str) -> bytes:
        content = b""
        try:
            async with self._http.stream(url) as (status, chunks):
                if status != 200:
                    raise CertificateUnavailable(f"HTTP {status}")
                async for chunk in chunks:
                    content += chunk
                    if len(content) > MAX_BYTES:
                        raise Invalid("certificate_refused", f"more than {MAX_BYTES} bytes")
        except OSError as error:
            raise CertificateUnavailable(str(error)) from error
        return content

    def _judge(self, content: bytes) -> rsa.RSAPublicKey:
        leaf, *others = _certificates(content)
        if not any(
            name.value == ISSUER
            for name in leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        ):
            raise Invalid("certificate_refused", "the issuer is not Microsoft Corporation")
        self._require_chain(leaf, others)
        key = leaf.public_key()
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size < MIN_KEY_BITS:
            raise Invalid("certificate_refused", "the key is not RSA of 2048 bits or more")
        return key

    def _require_chain(self, leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> None:
        store = Store(self._trusted_roots())
        policy = PolicyBuilder().store(store).time(SystemClock().now())
        faults = []
        for subject in self._trust.subjects:
            try:
                policy.build_server_verifier(x509.DNSName(subject)).verify(leaf, list(others))
            except VerificationError as error:
                faults.append(str(error))
            else:
                return
        raise Invalid("certificate_refused", f"no trusted chain: {'; '.join(faults)[:300]}")

    def _trusted_roots(self) -> list[x509.Certificate]:
        """Read once. The file may not be there yet when the service starts.

        Raises:
            CertificateUnavailable: it is not there now either.
        """
        if not self._roots:
            self._roots = _roots(self._trust.root_file)
        return self._roots


def _roots(path: Path | None) -> list[x509.Certificate]:
    if path is None:
        context = ssl.create_default_context()
        return [x509.load_der_x509_certificate(d) for d in context.get_ca_certs(binary_form=True)]
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateUnavailable(f"the trusted roots cannot be read: {error}") from error


def _certificates(content: bytes) -> list[x509.Certificate]:
    """DER, or PEM with the intermediates behind the leaf."""
    try:
        if b"-----BEGIN CERTIFICATE-----" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except ValueError as error:
        raise Invalid("certificate_refused", "what the address holds is no certificate") from error


def _holds(key: rsa.RSAPublicKey | None, signed: SignedBy, body: bytes) -> bool:
    if key is None:
        return False
    try:
        key.verify(signed.signature, body, padding.PKCS1v15(), _HASHES[signed.algorithm])
    except InvalidSignature:
        return False
    return True
