"""Token endpoint and key set. Real expiry in real time; scopes as asked for.

State: `{"clients": [{"id", "secret", "scopes"}]}`. With no clients listed anybody gets any scope,
which is what a development stack wants and a test of refusals does not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import jwt
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from shared.kernel.ids import sha256_hex
from simulators.exact_json import Document
from simulators.frame import Simulator, World
from simulators.http_messages import Answer
from simulators.keys import rsa_key

AUDIENCE = "tieout"
LIFETIME_S = 3600


class Client(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    secret: str
    scopes: list[str]


class State(BaseModel):
    model_config = ConfigDict(extra="forbid")

    clients: list[Client] = []


class Issuer(Simulator):
    name = "issuer"

    def __init__(self, world: World) -> None:
        self._state = State()
        super().__init__(world)
        self._key = rsa_key(world.keys, "issuer")
        self._jwk: Document = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        self._kid = sha256_hex(self._jwk["n"].encode())[:16]

    @property
    def issuer(self) -> str:
        return f"{self.world.base_url}/issuer"

    def mounts(self) -> Mapping[str, ASGIApp]:
        routes = [
            Route("/token", self._token, methods=["POST"]),
            Route("/.well-known/jwks.json", self._jwks),
            Route("/.well-known/openid-configuration", self._configuration),
        ]
        return {"/issuer": Router(routes)}

    def load(self, document: Document) -> None:
        self._state = State.model_validate(document)

    def dump(self) -> Document:
        return self._state.model_dump()

    def token(self, subject: str, scope: str, *, lifetime_s: int = LIFETIME_S) -> str:
        """A signed token; tests use it directly, also with a negative lifetime."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": subject,
            "scope": scope,
            "iat": now,
            "exp": now + lifetime_s,
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._kid})

    async def _token(self, request: Request) -> Answer:
        form = await request.form()
        client_id, secret = str(form.get("client_id", "")), str(form.get("client_secret", ""))
        if form.get("grant_type") != "client_credentials":
            return Answer.of(400, {"error": "unsupported_grant_type"})
        if not client_id or not secret:
            return Answer.of(401, {"error": "invalid_client"})
        scope = str(form.get("scope", ""))
        if self._state.clients:
            known = next((c for c in self._state.clients if c.id == client_id), None)
            if known is None or known.secret != secret:
                return Answer.of(401, {"error": "invalid_client"})
            if not set(scope.split()) <= set(known.scopes):
                return Answer.of(400, {"error": "invalid_scope"})
        token = self.token(client_id, scope)
        body = {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_S}
        return Answer.of(200, {**body, "scope": scope}, cache_control="no-store")

    async def _jwks(self, request: Request) -> Answer:
        del request
        key = {**self._jwk, "kid": self._kid, "use": "sig", "alg": "RS256"}
        return Answer.of(200, {"keys": [key]})

    async def _configuration(self, request: Request) -> Answer:
        del request
        document = {
            "issuer": self.issuer,
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/.well-known/jwks.json",
            "grant_types_supported": ["client_credentials"],
        }
        return Answer.of(200, document)
