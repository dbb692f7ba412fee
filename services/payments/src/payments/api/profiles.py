"""How an account pays, over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints

from payments.api.fields import KeyPath
from payments.domain.profiles import Profile, new_profile
from payments.handlers import charges
from payments.store import billing
from shared.kernel.errors import NotFound
from shared.runtime.postgres import Database
from shared.runtime.web import Operates, Reads

Token = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class ProfileBody(BaseModel):
    """Tokens of the provider. A card or bank number is refused, never stored and never logged."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "provider": "stripe",
                    "provider_customer_id": "cus_Q1w2e3r4t5",
                    "provider_method_id": "pm_1a2b3c4d5e",
                }
            ]
        },
    )

    provider: Token
    provider_customer_id: Token
    provider_method_id: Token


class ProfileAnswer(BaseModel):
    """How an account pays."""

    account_id: str
    provider: str
    provider_customer_id: str
    provider_method_id: str
    usable: bool
    unusable_reason: str | None


def router(database: Database) -> APIRouter:
    """Routes under /v1/profiles."""
    routes = APIRouter(prefix="/v1", tags=["profiles"])

    @routes.put("/profiles/{account_id}", operation_id="profiles.put")
    async def put_profile(
        account_id: KeyPath, body: ProfileBody, caller: Operates
    ) -> ProfileAnswer:
        """How an account pays from now on. Invoices that are final already are not charged by it;
        POST /v1/attempts does that."""
        profile = new_profile(account_id, **body.model_dump())
        async with database.transaction(actor=caller.subject) as tx:
            return _profile(await charges.keep_profile(tx, profile))

    @routes.get("/profiles/{account_id}", operation_id="profiles.get")
    async def get_profile(account_id: KeyPath, caller: Reads) -> ProfileAnswer:
        """The tokens an account pays with."""
        async with database.read() as reader:
            profile = await billing.find_profile(reader, account_id)
        if profile is None:
            raise NotFound("profile_unknown", f"account {account_id} has no profile")
        return _profile(profile)

    return routes


def _profile(profile: Profile) -> ProfileAnswer:
    return ProfileAnswer(
        account_id=profile.account_id,
        provider=profile.provider,
        provider_customer_id=profile.provider_customer_id,
        provider_method_id=profile.provider_method_id,
        usable=profile.usable,
        unusable_reason=profile.unusable_reason,
    )
