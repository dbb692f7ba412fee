"""Bearer tokens: what is believed, what is refused, and what an issuer that fails may cost."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import jwt
import pytest
import respx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from shared.runtime import auth
from shared.runtime.auth import ALGORITHMS, Unauthorised, Verifier

ISSUER = "https://login.example.test/issuer"
JWKS = f"{ISSUER}/keys.json"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {
        "iss": ISSUER, "aud": "tieout", "sub": "operator", "scope": "billing:read pricing:admin",
        "iat": now, "exp": now + 300,
    }  # fmt: skip
    return {name: value for name, value in (usual | changes).items() if value is not None}


def signed(
    *, key: Any = RSA, kid: str | None = "rsa", algorithm: str = "RS256", **changes: Any
) -> str:
    headers = {"kid": kid} if kid else {}
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def handmade(header: dict[str, Any], payload: dict[str, Any], *, secret: bytes) -> str:
    """A token as an attacker writes it: any header, HMAC over it with any secret."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    text = f"{part(json.dumps(header).encode())}.{part(json.dumps(payload).encode())}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def key_set() -> dict[str, Any]:
    listed = [
        (jwt.algorithms.RSAAlgorithm, RSA, "rsa", "RS256"),
        (jwt.algorithms.ECAlgorithm, ELLIPTIC, "ec", "ES256"),
        (jwt.algorithms.OKPAlgorithm, EDWARDS, "ed", "EdDSA"),
    ]
    keys = [
        {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "alg": alg, "use": "sig"}  # type: ignore[attr-defined]  # each has its own key type
        for kind, key, kid, alg in listed
    ]
    return {"keys": keys}


@pytest.fixture
def issuer() -> Iterator[respx.Route]:
    with respx.mock(assert_all_called=False) as router:
        yield router.get(JWKS).mock(return_value=httpx.Response(200, json=key_set()))


@pytest.fixture
async def verifier(issuer: respx.Route) -> AsyncIterator[Verifier]:
    made = Verifier(issuer=ISSUER, audience="tieout", jwks_url=JWKS)
    yield made
    await made.close()


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The process clock of the key cache, moved by hand."""
    now = [1_000.0]
    monkeypatch.setattr(auth, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("key", "kid", "algorithm"),
    [(RSA, "rsa", "RS256"), (ELLIPTIC, "ec", "ES256"), (EDWARDS, "ed", "EdDSA")],
)
async def test_a_token_of_the_issuer_names_its_caller(
    verifier: Verifier, key: Any, kid: str, algorithm: str
) -> None:
    """Every algorithm of the allow-list is understood."""
    caller = await verifier.verify(signed(key=key, kid=kid, algorithm=algorithm))

    assert algorithm in ALGORITHMS
    assert caller.subject == "operator"
    assert caller.scopes == {"billing:read", "pricing:admin"}


async def test_keys_are_read_from_exactly_the_configured_address(
    verifier: Verifier, issuer: respx.Route
) -> None:
    """Issuers do not forgive a slash at the end."""
    await verifier.verify(signed())

    assert [str(call.request.url) for call in issuer.calls] == [JWKS]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": "somebody-else"}, id="wrong audience"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"iss": "https://evil.example.test"}, id="wrong issuer"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"exp": int(time.time()) - 61 - 60}, id="expired"),
        pytest.param({"exp": None}, id="never expires"),
        pytest.param({"nbf": int(time.time()) + 86_400}, id="not valid yet"),  # parameters are old
        pytest.param({"sub": None}, id="names nobody"),
        pytest.param({"key": STRANGER}, id="signed by a stranger under a known key id"),
        pytest.param({"kid": "other"}, id="unknown key id"),
        pytest.param({"kid": None}, id="no key id"),
        pytest.param({"kid": "ec"}, id="key id of a key of another kind"),
        pytest.param({"algorithm": "RS384"}, id="algorithm not allowed"),
    ],
)
async def test_a_token_with_one_thing_wrong_is_refused(
    verifier: Verifier, changes: dict[str, Any]
) -> None:
    """Everything else about these tokens is right."""
    with pytest.raises(Unauthorised):
        await verifier.verify(signed(**changes))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
async def test_an_unsigned_token_is_refused(verifier: Verifier, algorithm: str) -> None:
    """`alg: none` in any spelling."""
    header = {"alg": algorithm, "typ": "JWT", "kid": "rsa"}
    unsigned = handmade(header, claims(), secret=b"").rpartition(".")[0] + "."

    with pytest.raises(Unauthorised):
        await verifier.verify(unsigned)


@pytest.mark.parametrize("claimed", ["HS256", "RS256"])
@pytest.mark.parametrize("spelling", [serialization.Encoding.PEM, serialization.Encoding.DER])
async def test_a_public_key_is_no_shared_secret(
    verifier: Verifier, claimed: str, spelling: serialization.Encoding
) -> None:
    """The classic confusion: HMAC keyed with the published key."""
    public = RSA.public_key().public_bytes(
        spelling, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    forged = handmade({"alg": claimed, "kid": "rsa"}, claims(), secret=public)

    with pytest.raises(Unauthorised):
        await verifier.verify(forged)


async def test_keys_inside_a_token_are_ignored(verifier: Verifier, issuer: respx.Route) -> None:
    """`jwk`, `jku` and `x5u` are an attacker's words."""
    stranger = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(STRANGER.public_key()))
    headers = {"kid": "rsa", "jwk": stranger, "jku": "https://evil.example.test/keys"}
    forged = jwt.encode(claims(), STRANGER, algorithm="RS256", headers=headers)

    with pytest.raises(Unauthorised):
        await verifier.verify(forged)

    assert {str(call.request.url) for call in issuer.calls} == {JWKS}


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "ü.ü.ü", "e30.e30.", "." * 50])
async def test_what_is_no_token_is_refused(verifier: Verifier, text: str) -> None:
    """Nothing but Unauthorised comes out, and the text is not repeated."""
    with pytest.raises(Unauthorised) as refused:
        await verifier.verify(text)

    assert not text or text not in refused.value.detail


async def test_small_clock_differences_are_forgiven(verifier: Verifier) -> None:
    """Sixty seconds, no more (the expired case above)."""
    caller = await verifier.verify(signed(exp=int(time.time()) - 50))

    assert caller.subject == "operator"


async def test_unknown_key_ids_ask_the_issuer_once_a_minute(
    verifier: Verifier, issuer: respx.Route, seconds: list[float]
) -> None:
    """Forged tokens must not turn into load on the issuer, and a new key is found in time."""
    for number in range(20):
        with pytest.raises(Unauthorised):
            await verifier.verify(signed(kid=f"forged-{number}"))
    assert issuer.call_count == 1
    rotated = key_set()
    rotated["keys"][0]["kid"] = "new"
    issuer.mock(return_value=httpx.Response(200, json=rotated))
    seconds[0] += 61

    caller = await verifier.verify(signed(kid="new"))

    assert caller.subject == "operator"
    assert issuer.call_count == 2


async def test_requests_at_once_share_one_reading_of_the_keys(
    verifier: Verifier, issuer: respx.Route
) -> None:
    """A restart under load asks once."""
    callers = await asyncio.gather(*(verifier.verify(signed()) for _ in range(50)))

    assert len(callers) == 50
    assert issuer.call_count == 1


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(404),
        httpx.Response(200, text="<html>maintenance</html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"keys": []}),
        httpx.ConnectError("down"),
    ],
)
async def test_keys_once_read_outlive_trouble_at_the_issuer(
    verifier: Verifier,
    issuer: respx.Route,
    seconds: list[float],
    trouble: httpx.Response | Exception,
) -> None:
    """An unknown key id during an outage must not lock everybody out."""
    await verifier.verify(signed())
    issuer.mock(side_effect=[trouble] * 3)
    seconds[0] += 61
    with pytest.raises(Unauthorised):
        await verifier.verify(signed(kid="other"))

    caller = await verifier.verify(signed())

    assert caller.subject == "operator"


async def test_an_issuer_that_comes_back_is_believed_within_seconds(
    verifier: Verifier, issuer: respx.Route, seconds: list[float]
) -> None:
    """A failed reading does not count as the reading of this minute."""
    issuer.mock(return_value=httpx.Response(404))
    with pytest.raises(Unauthorised, match="cannot be read"):
        await verifier.verify(signed())
    issuer.mock(return_value=httpx.Response(200, json=key_set()))
    seconds[0] += 6

    caller = await verifier.verify(signed())

    assert caller.subject == "operator"


async def test_an_encryption_key_of_the_issuer_signs_nothing(
    verifier: Verifier, issuer: respx.Route
) -> None:
    """`use: enc` keys are listed beside the signing keys by some issuers."""
    listed = key_set()
    listed["keys"][0]["use"] = "enc"
    issuer.mock(return_value=httpx.Response(200, json=listed))

    with pytest.raises(Unauthorised):
        await verifier.verify(signed())
