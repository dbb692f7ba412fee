"""Sign-in: tokens for an application alone or for an application with a user, per partner tenant.

Tokens are JWTs under a key of this simulator, so they outlive a restart. They expire in real time;
`expire_all` makes every token given out so far invalid at once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import jwt

from simulators.exact_json import Document
from simulators.http_messages import Answer, Call
from simulators.keys import rsa_key
from simulators.partner_center.books import Books
from simulators.partner_center.records import Tenant

LIFETIME_S = 3599
PARTNER_CENTER = "https://api.partnercenter.microsoft.com"
PARTNER = "https://api.partner.microsoft.com"
GRAPH = "https://graph.microsoft.com"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid bearer token says."""

    tenant_id: str
    client_id: str
    audience: str
    user: str  # "" = application only


class Login:
    def __init__(self, keys: Path | None) -> None:
        self._key = rsa_key(keys, "login")
        self._not_before = 0.0
        self.books = Books()

    def expire_all(self) -> None:
        self._not_before = time.time()

    def token(self, call: Call, tenant_name: str) -> Answer:
        """`POST /{tenant}/oauth2/v2.0/token`."""
        tenant = self.books.tenant(tenant_name)
        if tenant is None:
            return _refused(
                400, "invalid_request", f"AADSTS90002: Tenant '{tenant_name}' not found."
            )
        form = _form(call)
        scope = form.get("scope", "")
        audience = scope.rsplit("/", 1)[0]
        if not audience.startswith("http"):
            return _refused(400, "invalid_scope", f"AADSTS70011: the scope '{scope}' is not valid.")
        user = ""
        if form.get("grant_type") == "refresh_token":
            known = {u.refresh_token: u.upn for u in tenant.users}
            user = known.get(form.get("refresh_token", ""), "")
            if not user:
                return _refused(
                    400, "invalid_grant", "AADSTS70000: the refresh token is not valid."
                )
        elif form.get("grant_type") != "client_credentials":
            return _refused(400, "unsupported_grant_type", "AADSTS70003: unsupported grant type.")
        if not _application_known(tenant, form):
            return _refused(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        grant = Grant(tenant.id, form["client_id"], audience, user)
        return Answer.of(200, self._issue(grant, form.get("refresh_token")))

    def grant_of(self, call: Call) -> Grant | None:
        """The grant behind the call's bearer token; None when it has none that holds."""
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                options={"verify_aud": False, "require": ["exp", "tid", "appid", "aud"]},
            )
        except jwt.PyJWTError:
            return None
        if claims["issued"] < self._not_before:
            return None
        return Grant(claims["tid"], claims["appid"], claims["aud"], claims.get("upn", ""))

    def _issue(self, grant: Grant, refresh_token: str | None) -> Document:
        now = time.time()
        claims: Document = {
            "aud": grant.audience,
            "tid": grant.tenant_id,
            "appid": grant.client_id,
            "iat": int(now),
            "exp": int(now) + LIFETIME_S,
            "issued": now,
        }
        if grant.user:
            claims["upn"] = grant.user
        token = jwt.encode(claims, self._key, algorithm="RS256")
        body: Document = {
            "token_type": "Bearer",
            "expires_in": LIFETIME_S,
            "ext_expires_in": LIFETIME_S,
            "access_token": token,
        }
        return body | ({"refresh_token": refresh_token} if refresh_token else {})


def _form(call: Call) -> dict[str, str]:
    as_query = Call("POST", "", call.body.decode("latin-1"), {}, b"")
    return as_query.parameters


def _application_known(tenant: Tenant, form: dict[str, str]) -> bool:
    given = form.get("client_id", ""), form.get("client_secret", "")
    if not tenant.applications:
        return all(given)
    return any((a.client_id, a.client_secret) == given for a in tenant.applications)


def _refused(status: int, error: str, description: str) -> Answer:
    return Answer.of(status, {"error": error, "error_description": description, "error_codes": []})
