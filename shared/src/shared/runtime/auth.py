"""Who is calling: OAuth2 bearer tokens, checked against the keys of one configured issuer.

Algorithm allow-list, issuer, audience and lifetime are checked on every request. Keys come from the
configured JWKS address only and are refreshed on an unknown `kid` at most once a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

import jwt
from jwt.exceptions import PyJWTError

from shared.runtime.http import READ_RETRY, HttpClient, OutcomeUnknown, Unreachable

ALGORITHMS = ("RS256", "ES256", "EdDSA")
REFRESH_EVERY_S = 60.0
LEEWAY_S = 60


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
        self._fetched_at = float("-inf")

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
        if kid not in self._keys and monotonic() - self._fetched_at > REFRESH_EVERY_S:
            await self._refresh()
        if kid not in self._keys:
            raise Unauthorised(
                "the bearer token is signed with a key that the issuer does not list"
            )
        return self._keys[kid]

    async def _refresh(self) -> None:
        try:
            answer = await self._http.request("GET", self._path, retry=READ_RETRY)
            keys = jwt.PyJWKSet.from_dict(answer.json()).keys if answer.ok else []
        except (Unreachable, OutcomeUnknown, ValueError, PyJWTError) as error:
            raise Unauthorised("the token issuer's keys cannot be read at the moment") from error
        self._keys = {str(key.key_id): key for key in keys}
        self._fetched_at = monotonic()
