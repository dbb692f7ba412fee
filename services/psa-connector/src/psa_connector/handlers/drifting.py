"""Drift as rows: opened, healed by ordinary intents, asked about, dismissed; every decision is
recorded (G7). A drift that is seen again changes nothing unless something else is there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from psa_connector.clients.psa import Edit
from psa_connector.domain.drift import Action, FieldDrift, Finding
from psa_connector.handlers.planning import SEND
from psa_connector.store import amendments, drifts, intents, queue
from psa_connector.store.drifts import Drift, Whereabouts
from shared.kernel.errors import Conflict, NotFound
from shared.runtime.postgres import Transaction

FIXED = frozenset({"dismissed", "failed"})
"""States that a person left or has to leave; only something new in the PSA changes them."""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding with what the policy says and who did it."""

    at: Whereabouts
    finding: Finding
    action: Action
    edit: Edit | None = None

    @property
    def told(self) -> Finding:
        """The finding with the vendor's word on who changed it."""
        if self.edit is None:
            return self.finding
        return replace(self.finding, edited_by=self.edit.by, edited_at=self.edit.at)


async def take(tx: Transaction, found: Found, old: Drift | None) -> bool:
    """Write down one finding and begin what the policy says. True: it is news."""
    evidence = found.edit.text if found.edit else None
    if old is None:
        drift = await drifts.add(tx, found.at, found.told, action=found.action, evidence=evidence)
        await _record(tx, "drift.found", drift)
        await _begin(tx, drift)
        return True
    if old.state == "healing":
        await drifts.found_again(tx, old, found.action)
        return False
    if _shows(old.fields) == _shows(found.finding.fields):
        drift = await drifts.found_again(tx, old, found.action)
        if old.state not in FIXED and drift.action is not old.action:
            await _begin(tx, drift)
        return False
    drift = await drifts.found_differently(
        tx, old, found.told, action=found.action, evidence=evidence, sweep_id=found.at.sweep_id
    )
    await amendments.give_up(tx, drift.id)
    await _record(tx, "drift.changed", drift)
    await _begin(tx, drift)
    return True


async def gone(tx: Transaction, old: Drift) -> None:
    """What was wrong is right again, and not by us."""
    if old.state != "healing":
        await drifts.set_state(tx, old.id, "gone")
        await amendments.give_up(tx, old.id)
        await _record(tx, "drift.gone", old)


async def approve(tx: Transaction, id: str) -> Drift:
    """A person lets a drift be healed.

    Raises:
        NotFound: `drift_unknown`.
        Conflict: `drift_not_healable`, `drift_settled`.
    """
    drift = await _open(tx, id)
    if not drift.repairs:
        raise Conflict("drift_not_healable", f"{drift.kind} is corrected in the PSA, or not at all")
    if drift.state == "failed":
        for intent in await amendments.of_drift(tx, id):
            await intents.plan_again(tx, intent.id)
            await queue.go_now(tx, intent)
    await _record(tx, "drift.approved", drift)
    await _heal(tx, drift)
    return await drifts.get(tx, id) or drift


async def dismiss(tx: Transaction, id: str, reason: str) -> Drift:
    """A person leaves the PSA as it is; the drift comes back when it shows something else.

    Raises:
        NotFound: `drift_unknown`.
        Conflict: `drift_settled`.
    """
    drift = await _open(tx, id)
    await drifts.set_state(tx, id, "dismissed", detail=reason)
    await amendments.give_up(tx, id)
    await _record(tx, "drift.dismissed", drift, reason=reason)
    return await drifts.get(tx, id) or drift


async def _open(tx: Transaction, id: str) -> Drift:
    drift = await drifts.lock(tx, id)
    if drift is None:
        raise NotFound("drift_unknown", f"there is no drift {id}")
    if drift.state in {"healing", "healed", "gone"}:
        raise Conflict("drift_settled", f"the drift is {drift.state}")
    return drift


async def _begin(tx: Transaction, drift: Drift) -> None:
    match drift.action:
        case Action.HEAL:
            await _heal(tx, drift)
        case Action.APPROVE:
            await drifts.set_state(tx, drift.id, "waiting")
        case Action.REPORT:
            await drifts.set_state(tx, drift.id, "reported")


async def _heal(tx: Transaction, drift: Drift) -> None:
    original = None if drift.intent_id is None else await intents.get(tx, drift.intent_id)
    if original is None:
        raise RuntimeError("what can be healed was made by an intent")
    await amendments.plan_repairs(
        tx, original, drift.repairs, drift_id=drift.id, revision=drift.revision
    )
    await drifts.set_state(tx, drift.id, "healing")
    await _record(tx, "drift.healing", drift)
    tx.wake(SEND)


def _shows(fields: Sequence[FieldDrift]) -> list[tuple[str, str]]:
    return [(one.field, one.found) for one in fields]


async def _record(tx: Transaction, action: str, drift: Drift, *, reason: str | None = None) -> None:
    before: Mapping[str, JsonValue] = {one.field: one.wanted for one in drift.fields}
    found: dict[str, JsonValue] = {one.field: one.found for one in drift.fields}
    after: dict[str, JsonValue] = {
        "connection": drift.connection_id,
        "target": drift.target_id,
        "kind": drift.kind.value,
        "object": drift.object,
        "policy": drift.action.value,
        "edited_by": drift.edited_by,
        "edited_at": drift.edited_at,
        "evidence": drift.evidence,
        "found": found,
    }
    await tx.record(action, f"drift/{drift.id}", before=dict(before), after=after, reason=reason)
