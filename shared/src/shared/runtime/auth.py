"""Who is calling: OAuth2 bearer tokens, checked against the keys of one configured issuer.

Algorithm allow-list, issuer, audience and lifetime are checked on every request. Keys come from the
configured JWKS address only and are refreshed on an unknown `kid` at most once a minute; keys once
read stay valid while the issuer does not answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

import jwt
from jwt.exceptions import PyJWTError

from shared.runtime.http import HttpClient, OutcomeUnknown, Retry, Unreachable
from shared.runtime.retry import Backoff

ALGORITHMS = ("RS256", "ES256", "EdDSA")
REFRESH_EVERY_S = 60.0
ASK_AGAIN_S = 5.0  # after the issuer did not answer
LEEWAY_S = 60
_RETRY = Retry(Backoff(first_s=0.2, longest_s=1.0, total_s=5.0, attempts=3), after_unknown=True)


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified caller and what it may do."""

    subject: str
    scopes: frozenset[str]


class Unauthorised(Exception):
    """No valid credential. `detail` never repeats the token."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Verifier:
    """Turns a bearer token into a `Caller`."""

    def __init__(self, *, issuer: str, audience: str, jwks_url: str) -> None:
        self._issuer = issuer
        self._audience = audience
        address = urlsplit(jwks_url)
        origin = f"{address.scheme}://{address.netloc}"
        self._http = HttpClient(origin, name="issuer", timeout_s=5)
        self._path = jwks_url.removeprefix(origin)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asking = asyncio.Lock()
        self._ask_from = float("-inf")

    async def close(self) -> None:
        await self._http.close()

    async def verify(self, token: str) -> Caller:
        """Raises Unauthorised."""
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid")))
            claims = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except PyJWTError as error:
            raise Unauthorised(f"the bearer token is not valid: {error}") from error
        scopes = str(claims.get("scope", "")).split()
        return Caller(subject=str(claims["sub"]), scopes=frozenset(scopes))

    async def _key(self, kid: str) -> jwt.PyJWK:
        if kid not in self._keys:
            await self._refresh()
        if kid not in self._keys:
            raise Unauthorised(
                "the bearer token is signed with a key that the issuer does not list"
            )
        return self._keys[kid]

    async def _refresh(self) -> None:
        """Ask the issuer, unless it was asked a moment ago: forged key ids cost it nothing."""
        async with self._asking:
            if monotonic() < self._ask_from:
                return
            try:
                self._keys = await self._read_keys()
                self._ask_from = monotonic() + REFRESH_EVERY_S
            except (Unreachable, OutcomeUnknown, ValueError, PyJWTError) as error:
                self._ask_from = monotonic() + ASK_AGAIN_S
                raise Unauthorised(
                    "the token issuer's keys cannot be read at the moment"
                ) from error

    async def _read_keys(self) -> dict[str, jwt.PyJWK]:
        answer = await self._http.request("GET", self._path, retry=_RETRY)
        document = answer.json() if answer.ok else None
        if not isinstance(document, dict):
            raise ValueError(f"the issuer answered {answer.status} without a key set")
        keys = jwt.PyJWKSet.from_dict(document).keys
        return {str(key.key_id): key for key in keys if key.public_key_use in {None, "sig"}}
