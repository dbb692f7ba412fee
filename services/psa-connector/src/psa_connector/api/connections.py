"""Connections: written with credentials, shown without them (G8)."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from psa_connector.domain.connection import Connection
from psa_connector.handlers import mapping
from psa_connector.store import connections
from shared.kernel.errors import Invalid, NotFound
from shared.runtime.postgres import Database
from shared.runtime.sealing import Sealer
from shared.runtime.web import (
    Administers,
    CursorParam,
    Limit,
    Reads,
    decode_cursor,
    encode_cursor,
    page,
)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ConnectionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,39}$")]
Choice = Literal["heal", "approve", "report"]


class ConnectionSettings(BaseModel):
    """What a connection may decide for itself."""

    model_config = ConfigDict(extra="forbid")

    tax_mode: Literal["psa", "engine"] = "psa"
    zero_lines: Literal["no_charge", "skip"] = "no_charge"
    other_billing_cycles: bool = False
    key_field_id: int | None = Field(default=None, description="custom field for our key")
    ui_base_url: str | None = Field(default=None, description="host that answers companyinfo")
    charge_type_label: str | None = Field(default=None, description="Autotask charge type")
    api_resource_id: int | None = Field(
        default=None, description="Autotask resource of our API user, whose edits are no drift"
    )
    sweep_hours: int | None = Field(default=None, ge=0, le=744, description="0: no sweeps")
    drift_record_changed: Choice | None = None
    drift_record_missing: Choice | None = None
    drift_record_duplicated: Choice | None = None
    drift_units_changed: Choice | None = None
    drift_price_changed: Choice | None = None


class ConnectionBody(BaseModel):
    """A PSA tenant. Credentials are write-only."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "vendor": "connectwise",
                    "base_url": "https://api-na.myconnectwise.net",
                    "credentials": {
                        "company_id": "msp",
                        "public_key": "…",
                        "private_key": "…",
                        "client_id": "…",
                    },
                    "settings": {"tax_mode": "psa"},
                }
            ]
        },
    )

    vendor: str
    base_url: Annotated[str, StringConstraints(max_length=300)]
    credentials: dict[Name, SecretStr] = Field(max_length=20)
    settings: ConnectionSettings = Field(default_factory=ConnectionSettings)


class ConnectionRow(BaseModel):
    """A connection as it may be shown."""

    id: str
    vendor: str
    base_url: str
    credentials: dict[str, Literal["set"]]
    settings: dict[str, Any]
    version: int


def add_routes(
    routes: APIRouter, database: Database, vendor_hosts: tuple[str, ...], sealer: Sealer
) -> None:
    @routes.put("/connections/{connection_id}", operation_id="connections.put")
    async def put(
        connection_id: ConnectionId, body: ConnectionBody, caller: Administers
    ) -> ConnectionRow:
        """Create or change a connection. A change releases what the connection held up."""
        for url in (body.base_url, body.settings.ui_base_url):
            if url is not None:
                require_allowed(url, vendor_hosts)
        wanted = Connection(
            id=connection_id,
            vendor=body.vendor,
            base_url=body.base_url,
            credentials={k: sealer.seal(v.get_secret_value()) for k, v in body.credentials.items()},
            settings=body.settings.model_dump(mode="json", exclude_none=True),
            version=0,
        )
        async with database.transaction(actor=caller.subject) as tx:
            return _row(await mapping.put_connection(tx, wanted))

    @routes.get("/connections", operation_id="connections.list")
    async def listing(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """All connections, by id."""
        after = (decode_cursor(cursor) or [""])[0]
        async with database.read() as reader:
            found = await connections.listing(reader, after=after, limit=limit)
        following = encode_cursor(found[-1].id) if len(found) == limit else None
        return page([_row(one).model_dump() for one in found], next_cursor=following)

    @routes.get("/connections/{connection_id}", operation_id="connections.get")
    async def get(connection_id: ConnectionId, caller: Reads) -> ConnectionRow:
        """One connection; of its credentials, only which ones are set."""
        async with database.read() as reader:
            found = await connections.get(reader, connection_id)
        if found is None:
            raise NotFound("connection_unknown", f"there is no connection {connection_id}")
        return _row(found)


def require_allowed(url: str, hosts: tuple[str, ...]) -> None:
    """Credentials travel to known hosts only, and over TLS unless they stay on this machine.

    Raises:
        Invalid: `base_url_not_allowed`.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    known = any(host == allowed or host.endswith(f".{allowed}") for allowed in hosts)
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
    if not known or not secure or parts.username or parts.query or parts.fragment:
        raise Invalid("base_url_not_allowed", f"{url} is no https address of a known vendor")


def _row(connection: Connection) -> ConnectionRow:
    return ConnectionRow(
        id=connection.id,
        vendor=connection.vendor,
        base_url=connection.base_url,
        credentials=dict.fromkeys(sorted(connection.credentials), "set"),
        settings=dict(connection.settings),
        version=connection.version,
    )
