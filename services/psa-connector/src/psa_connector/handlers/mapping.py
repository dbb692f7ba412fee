"""Connections, mappings and retries: what people decide, recorded, and what it sets in motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import JsonValue

from psa_connector.clients.vendors import profile_of
from psa_connector.domain.connection import Connection
from psa_connector.domain.intents import State, retry
from psa_connector.domain.mapping import ContractMapping
from psa_connector.handlers.planning import PLAN, SEND, plan_source
from psa_connector.store import connections, drifts, intents, mappings, queue, sources
from psa_connector.store.intents import Intent
from shared.kernel.errors import Conflict, Invalid, NotFound
from shared.runtime.postgres import Transaction


async def put_connection(tx: Transaction, wanted: Connection) -> Connection:
    """Create or change a connection; what it blocked is planned again.

    Raises:
        Invalid: `vendor_unknown`, `credentials_incomplete`.
        Conflict: `connection_vendor_fixed`: keys and ids of one vendor mean nothing to another.
    """
    _check_credentials(wanted)
    before = await connections.lock(tx, wanted.id)
    if before is not None and before.vendor != wanted.vendor:
        raise Conflict("connection_vendor_fixed", f"{wanted.id} is a {before.vendor} connection")
    kept = await connections.put(tx, wanted)
    await sources.reopen_connection(tx, kept.id)
    await tx.record(
        "connection.put",
        f"connection/{kept.id}",
        before=None if before is None else _shown(before),
        after=_shown(kept),
    )
    tx.wake(PLAN)
    tx.wake(SEND)
    return kept


async def map_contract(tx: Transaction, contract_id: str, mapping: ContractMapping) -> None:
    """Say where a contract goes, or that it goes nowhere; what waited for it is planned.

    Raises:
        Invalid: `mapping_incomplete` for ids without a connection.
        NotFound: `connection_unknown`.
    """
    if mapping.connection_id is None and (mapping.company_id or mapping.target_id):
        raise Invalid("mapping_incomplete", "ids without a connection lead nowhere")
    if mapping.connection_id is not None:
        await _require_connection(tx, mapping.connection_id)
    before = await mappings.contract(tx, contract_id)
    if before == mapping:
        return
    await mappings.put_contract(tx, contract_id, mapping)
    await sources.reopen_contract(tx, contract_id)
    await tx.record(
        "mapping.contract-put",
        f"contract/{contract_id}",
        before=None if before is None else _plain(before),
        after=_plain(mapping),
    )
    tx.wake(PLAN)


async def map_product(
    tx: Transaction, connection_id: str, product_key: str, external_id: str
) -> None:
    """Say what a product is in a PSA; what missed it is planned.

    Raises:
        NotFound: `connection_unknown`.
    """
    await _require_connection(tx, connection_id)
    before = await mappings.products(tx, connection_id, [product_key])
    if before.get(product_key) == external_id:
        return
    await mappings.put_product(tx, connection_id, product_key, external_id)
    await sources.reopen_connection(tx, connection_id)
    await tx.record(
        "mapping.product-put",
        f"connection/{connection_id}",
        before=dict(before),
        after={product_key: external_id},
    )
    tx.wake(PLAN)


async def retry_intent(tx: Transaction, id: str) -> Intent:
    """Try again what waits for a person. A blocked one is planned again with today's mappings.

    Raises:
        NotFound: `intent_unknown`.
        Conflict: `intent_not_waiting`.
    """
    intent = await intents.lock(tx, id)
    if intent is None:
        raise NotFound("intent_unknown", f"there is no intent {id}")
    retry(intent.state)
    if intent.state is State.BLOCKED and intent.amends is None:
        source = await sources.lock(tx, intent.source_seq)
        await plan_source(tx, source, again=True)
    else:
        await intents.plan_again(tx, id)
        await sources.set_checked(tx, intent.source_seq, passed=False)
    if intent.drift_id is not None:
        await drifts.set_state(tx, intent.drift_id, "healing")
    await queue.go_now(tx, intent)
    await tx.record(
        "intent.retried",
        f"intent/{id}",
        before={"state": intent.state.value, "reason": intent.reason},
        reason=intent.detail,
    )
    tx.wake(SEND)
    return await intents.get(tx, id) or replace(intent, state=State.PLANNED)


def _check_credentials(wanted: Connection) -> None:
    missing = set(profile_of(wanted.vendor).credentials) - wanted.credentials.keys()
    if missing:
        names = ", ".join(sorted(missing))
        raise Invalid("credentials_incomplete", f"{wanted.vendor} needs {names}")


async def _require_connection(tx: Transaction, connection_id: str) -> None:
    if await connections.get(tx, connection_id) is None:
        raise NotFound("connection_unknown", f"there is no connection {connection_id}")


def _shown(connection: Connection) -> dict[str, JsonValue]:
    """Without the values of credentials (G8)."""
    names: list[JsonValue] = [*sorted(connection.credentials)]
    settings: Mapping[str, JsonValue] = connection.settings
    return {
        "vendor": connection.vendor,
        "base_url": connection.base_url,
        "credentials": names,
        "settings": dict(settings),
        "version": connection.version,
    }


def _plain(mapping: ContractMapping) -> dict[str, JsonValue]:
    return {
        "connection_id": mapping.connection_id,
        "company_id": mapping.company_id,
        "target_id": mapping.target_id,
    }
