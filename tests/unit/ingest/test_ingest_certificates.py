"""Whose certificate is believed: chain, issuer, subject, key, dates, and how it is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ingest.clients.certificates import Certificates, CertificateUnavailable, Trust
from ingest.domain.signature import Algorithm, SignedBy
from shared.kernel.errors import Invalid
from shared.runtime.http import HttpClient

HOST = "pcnotifications-dispatch.microsoft.com"
URL = "https://certs.example/notifications.cer"
BODY = b'{"EventName":"test-created"}'
NOW = datetime.now(UTC)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def name(common: str, organization: str = "Microsoft Corporation") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


@dataclass
class Authority:
    """A certificate that signs others."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate


def authority(common: str, *, by: Authority | None = None, org: str = "Microsoft Corporation",
              depth: int | None = None) -> Authority:  # fmt: skip
    key = rsa_key()
    issuer = by.certificate.subject if by else name(common, org)
    signer = by.key if by else key
    certificate = (
        builder(name(common, org), issuer, key, signer)
        .add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
        .add_extension(usage(signs=True), critical=True)
        .sign(signer, hashes.SHA256())
    )
    return Authority(key, certificate)


def leaf(by: Authority, key: Key, *, host: str = HOST, ends: datetime | None = None,
         begins: datetime | None = None, is_ca: bool = False) -> x509.Certificate:  # fmt: skip
    return (
        builder(name(host), by.certificate.subject, key, by.key, ends=ends, begins=begins)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(by.key, hashes.SHA256())
    )


def builder(
    subject: x509.Name, issuer: x509.Name, key: Key, signer: rsa.RSAPrivateKey, *,
    ends: datetime | None = None, begins: datetime | None = None,
) -> x509.CertificateBuilder:  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins or NOW - timedelta(days=1))
        .not_valid_after(ends or NOW + timedelta(days=30))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
    )


def usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


ROOT, STRANGER = authority("Root"), authority("Root")
KEY = rsa_key()
GOOD = leaf(ROOT, KEY)


class Web:
    """Serves one answer and counts who asked."""

    def __init__(self, content: bytes = b"", status: int = 200) -> None:
        self.content, self.status, self.calls = content, status, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        return httpx.Response(self.status, stream=httpx.ByteStream(self.content))


def certificates(web: Web, root: Path, **trust: object) -> Certificates:
    http = HttpClient("", name="test", transport=httpx.MockTransport(web))
    chosen = {"hosts": {"certs.example"}, "subjects": {HOST}, "root_file": root, **trust}
    return Certificates(http, Trust(**chosen))  # type: ignore[arg-type]  # a test's shorthand


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "roots.pem"
    path.write_bytes(pem(ROOT.certificate))
    return path


def signed(key: rsa.RSAPrivateKey = KEY, body: bytes = BODY, url: str = URL) -> SignedBy:
    return SignedBy(key.sign(body, padding.PKCS1v15(), hashes.SHA256()), url, Algorithm.RSA_SHA256)


@pytest.mark.parametrize("encoding", [serialization.Encoding.PEM, serialization.Encoding.DER])
async def test_a_good_signature_under_a_good_chain_is_believed(
    root: Path, encoding: serialization.Encoding
) -> None:
    """PEM or DER."""
    await certificates(Web(GOOD.public_bytes(encoding)), root).verify(signed(), BODY)


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_the_named_hash_is_the_one_that_is_checked(root: Path, algorithm: Algorithm) -> None:
    """Stronger ones are accepted; another one than was used is not."""
    kinds = {
        Algorithm.RSA_SHA256: hashes.SHA256(),
        Algorithm.RSA_SHA384: hashes.SHA384(),
        Algorithm.RSA_SHA512: hashes.SHA512(),
    }
    verifier = certificates(Web(pem(GOOD)), root)
    signature = KEY.sign(BODY, padding.PKCS1v15(), kinds[algorithm])

    await verifier.verify(SignedBy(signature, URL, algorithm), BODY)
    for other in set(Algorithm) - {algorithm}:
        with pytest.raises(Invalid, match="signature_wrong"):
            await verifier.verify(SignedBy(signature, URL, other), BODY)


async def test_an_intermediate_may_come_with_the_leaf(root: Path) -> None:
    """Roots alone are trusted; what comes along only connects."""
    middle = authority("Issuing CA", by=ROOT, depth=0)
    content = pem(leaf(middle, KEY), middle.certificate)

    await certificates(Web(content), root).verify(signed(), BODY)


UNTRUSTED = {
    "another chain with the same names": pem(leaf(STRANGER, KEY)),
    "its own root brought along": pem(leaf(STRANGER, KEY), STRANGER.certificate),
    "another service of Microsoft": pem(leaf(ROOT, KEY, host="other.microsoft.com")),
    "expired": pem(leaf(ROOT, KEY, ends=NOW - timedelta(hours=1))),
    "not valid yet": pem(leaf(ROOT, KEY, begins=NOW + timedelta(hours=1))),
    "a short key": pem(leaf(ROOT, rsa_key(1024))),
    "no RSA key": pem(leaf(ROOT, ec.generate_private_key(ec.SECP256R1()))),
    "no certificate": b"hello",
    "empty": b"",
    "too large": b"x" * 70_000,
}


@pytest.mark.parametrize("what", UNTRUSTED)
async def test_what_is_not_the_notification_service_is_refused(root: Path, what: str) -> None:
    """Also with a signature that fits the key."""
    with pytest.raises(Invalid, match="certificate_refused"):
        await certificates(Web(UNTRUSTED[what]), root).verify(signed(), BODY)


async def test_an_issuer_of_another_name_is_refused(tmp_path: Path) -> None:
    """Even one that is a trusted root."""
    other = authority("Root", org="Somebody Else")
    path = tmp_path / "roots.pem"
    path.write_bytes(pem(other.certificate))

    with pytest.raises(Invalid, match="not Microsoft Corporation"):
        await certificates(Web(pem(leaf(other, KEY))), path).verify(signed(), BODY)


async def test_only_listed_hosts_are_ever_called(root: Path) -> None:
    """The address is judged before anything is sent."""
    web = Web(pem(GOOD))
    for url in ("https://evil.example/x", "http://certs.example/x"):
        with pytest.raises(Invalid, match="certificate_address_refused"):
            await certificates(web, root).verify(signed(url=url), BODY)

    assert web.calls == 0


@pytest.mark.parametrize("status", [301, 404, 500])
async def test_an_answer_without_a_certificate_proves_nothing(root: Path, status: int) -> None:
    """Redirects are not followed."""
    with pytest.raises(CertificateUnavailable):
        await certificates(Web(pem(GOOD), status), root).verify(signed(), BODY)


async def test_missing_roots_prove_nothing(tmp_path: Path) -> None:
    """The file may appear later."""
    verifier = certificates(Web(pem(GOOD)), tmp_path / "roots.pem")
    with pytest.raises(CertificateUnavailable):
        await verifier.verify(signed(), BODY)
    (tmp_path / "roots.pem").write_bytes(pem(ROOT.certificate))

    await verifier.verify(signed(), BODY)


async def test_verdicts_are_kept_refusals_too(root: Path) -> None:
    """A caller with bad certificates cannot make us fetch them again and again."""
    good, bad = Web(pem(GOOD)), Web(pem(leaf(STRANGER, KEY)))
    trusting, refusing = certificates(good, root), certificates(bad, root)
    for _ in range(3):
        await trusting.verify(signed(), BODY)
        with pytest.raises(Invalid):
            await refusing.verify(signed(), BODY)

    assert (good.calls, bad.calls) == (1, 1)


async def test_a_replaced_certificate_is_noticed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same address may hold a new certificate one day; one more look, not one a request."""
    web, new_key = Web(pem(GOOD)), rsa_key()
    verifier = certificates(web, root)
    await verifier.verify(signed(), BODY)
    web.content = pem(leaf(ROOT, new_key))
    with pytest.raises(Invalid, match="signature_wrong"):
        await verifier.verify(signed(new_key), BODY)
    monkeypatch.setattr("ingest.clients.certificates.YOUNG_S", -1.0)

    await verifier.verify(signed(new_key), BODY)

    assert web.calls == 2
