"""The PSA protocol on ConnectWise: additions, closed by their last day, found by our key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from psa_connector.clients.connectwise import (
    discovering,
    existing,
    fields,
    probing,
    sweeping,
)
from psa_connector.clients.connectwise.fields import KEY_CAPTION, KeyField
from psa_connector.clients.connectwise.transport import Transport
from psa_connector.clients.psa import (
    Edit,
    Refused,
    Unavailable,
    VendorProfile,
    Work,
    WriteUnknown,
    Written,
    understood,
)
from psa_connector.domain.adopting import ExistingLine
from psa_connector.domain.discovery import Offer, Places
from psa_connector.domain.mapping import Place
from psa_connector.domain.operations import (
    Addition,
    AdditionClose,
    Operation,
    OperationKind,
    RecordRemoval,
    RecordUpdate,
)
from psa_connector.domain.outcomes import Write
from psa_connector.domain.preflight import ProductFacts, TargetFacts, products_needed
from psa_connector.domain.preflight_report import Probe
from psa_connector.domain.snapshots import Record as RecordKind
from psa_connector.domain.snapshots import TargetSnapshot, Words
from psa_connector.domain.verdicts import Record, Records

PROFILE = VendorProfile(
    name="connectwise",
    kinds=frozenset({OperationKind.ADDITION, OperationKind.ADDITION_CLOSE}),
    credentials=("company_id", "public_key", "private_key", "client_id"),
    sweeps_at_once=20,  # additions cost a call for each agreement
)
_IDS_PER_QUERY = 100  # keeps the URL below the vendor's 2,000 characters


class ConnectWise:
    """One tenant."""

    def __init__(self, transport: Transport, *, key_field_id: int | None = None) -> None:
        self._transport = transport
        self._key_field = None if key_field_id is None else KeyField(key_field_id)

    async def close(self) -> None:
        await self._transport.close()

    async def forget(self, place: Place) -> None:
        """Nothing is cached about agreements: they are asked about once per run."""
        del place

    async def target_facts(self, place: Place) -> TargetFacts | None:
        agreement = await self._transport.get(f"/finance/agreements/{place.target_id}")
        if agreement is None:
            return None
        with understood(Unavailable):
            cycle_id = (agreement.get("billingCycle") or {}).get("id")
        cycle = (
            await self._transport.get(f"/finance/billingCycles/{cycle_id}") if cycle_id else None
        )
        with understood(Unavailable):
            return fields.target_facts(agreement, (cycle or {}).get("billingOptions"))

    def words(self, record: RecordKind) -> Words:
        if not isinstance(record, Addition):
            raise TypeError("ConnectWise takes additions")
        return fields.words_of(record)

    async def sweep(self, targets: Sequence[str], since: date) -> list[TargetSnapshot]:
        del since  # additions carry no history
        return await sweeping.sweep(self._transport, await self._key(), targets)

    async def last_edit(self, target: str, object: str, external_id: str) -> Edit | None:
        del target
        kind = "Agreement" if object.startswith("target/") else "AgreementAddition"
        return await sweeping.last_edit(self._transport, kind, external_id)

    async def product_facts(self, operations: Sequence[Operation]) -> Mapping[str, ProductFacts]:
        ids = [id for id in sorted(products_needed(operations)) if id.isdigit()]
        found: dict[str, ProductFacts] = {}
        for start in range(0, len(ids), _IDS_PER_QUERY):
            wanted = ",".join(ids[start : start + _IDS_PER_QUERY])
            items = await self._transport.scan(
                "/procurement/catalog", {"conditions": f"id in ({wanted})"}
            )
            with understood(Unavailable):
                facts = [fields.product_facts(item) for item in items]
            found |= {one.external_id: one for one in facts}
        return found

    async def places(self) -> Places:
        return await discovering.places(self._transport)

    async def offers(self) -> Sequence[Offer]:
        return await discovering.offers(self._transport)

    async def probe(self) -> Probe:
        return await probing.probe(self._transport, await self._key())

    async def existing(self, place: Place) -> Sequence[ExistingLine]:
        field = await self._key()
        shown = await self._transport.scan(f"/finance/agreements/{place.target_id}/additions", {})
        with understood(Unavailable):
            return tuple(existing.existing(one, field) for one in shown)

    async def observe(self, work: Work) -> Records:
        match work.operation:
            case Addition() as addition:
                shown = await self._with_key(work)
                with understood(Unavailable):
                    return Records(tuple(fields.record_of(addition, one) for one in shown))
            case AdditionClose():
                one = await self._transport.get(_addition(work, work.closes))
                with understood(Unavailable):
                    return Records(() if one is None else (_closing(one),))
            case RecordUpdate(record=Addition() as addition):
                return await self._repairable(work, addition)
            case RecordRemoval(record=Addition() as addition):
                return await self._repairable(work, addition)
            case _:
                raise TypeError("ConnectWise takes additions")

    async def write(self, work: Work, wanted: Write) -> Written:
        del wanted  # an addition is written whole or not at all
        match work.operation:
            case Addition() as addition if work.adopts is not None:
                return await self._adopt(work, addition, work.adopts)
            case Addition() as addition:
                return await self._create(work, addition)
            case AdditionClose() as close:
                return await self._cancel(work, close)
            case RecordUpdate(record=Addition() as addition, external_id=id):
                return await self._update(work, addition, id)
            case RecordRemoval(external_id=id):
                return await self._remove(work, id)
            case _:
                raise TypeError("ConnectWise takes additions")

    async def _create(self, work: Work, addition: Addition) -> Written:
        field = await self._key()
        body = {**fields.addition_body(addition), **field.put(work.key)}
        answer = await self._transport.send("POST", _additions(work), body, leave_by=work.leave_by)
        shown = _record(answer.text, answer.json)
        return Written(str(shown["id"]), body, answer.headers.get("x-cw-request-id"))

    async def _adopt(self, work: Work, addition: Addition, id: str) -> Written:
        """Our key into a line that somebody entered. Compared, not believed, like every PATCH."""
        field = await self._key()
        shown = await self._transport.get(_addition(work, id))
        with understood(Unavailable):
            body = existing.adoption(addition, shown, field, work.key)
        answer = await self._transport.send(
            "PATCH", _addition(work, id), body, leave_by=work.leave_by
        )
        after = _record(answer.text, answer.json)
        with understood(WriteUnknown):
            if field.read(after) != work.key:
                raise Refused(f"the PATCH was answered {answer.status}, but our key is not there")
        return Written(id, {"patch": body}, answer.headers.get("x-cw-request-id"))

    async def _cancel(self, work: Work, close: AdditionClose) -> Written:
        """A PATCH can answer 200 and do nothing: the returned record is compared, not believed."""
        last_on = fields.instant(close.last_on)
        body = [{"op": "replace", "path": "cancelledDate", "value": last_on}]
        answer = await self._transport.send(
            "PATCH", _addition(work, work.closes), body, leave_by=work.leave_by
        )
        shown = _record(answer.text, answer.json)
        with understood(WriteUnknown):
            cancelled_on = fields.day(shown.get("cancelledDate"))
        if cancelled_on != close.last_on:
            raise Refused(
                f"the PATCH was answered {answer.status}, but the addition is not cancelled on "
                f"{close.last_on}"
            )
        return Written(str(shown["id"]), {"patch": body}, answer.headers.get("x-cw-request-id"))

    async def _repairable(self, work: Work, addition: Addition) -> Records:
        """With the evidence of what is invoiced, refreshed before each write (C9)."""
        shown = await self._with_key(work)
        months = await sweeping.invoiced_months(self._transport, [work.place.target_id])
        invoiced = months.get(work.place.target_id, frozenset())
        with understood(Unavailable):
            return Records(tuple(fields.repair_record(addition, one, invoiced) for one in shown))

    async def _update(self, work: Work, addition: Addition, id: str) -> Written:
        """All owned fields in one PATCH, compared with what is returned: 200 proves nothing."""
        body = fields.patch_of(addition)
        answer = await self._transport.send(
            "PATCH", _addition(work, id), body, leave_by=work.leave_by
        )
        shown = _record(answer.text, answer.json)
        with understood(WriteUnknown):
            left = fields.repair_record(addition, shown, frozenset()).differences
        if left:
            told = "; ".join(map(str, left))
            raise Refused(f"the PATCH was answered {answer.status}, but {told}")
        return Written(id, {"patch": body}, answer.headers.get("x-cw-request-id"))

    async def _remove(self, work: Work, id: str) -> Written:
        answer = await self._transport.send(
            "DELETE", _addition(work, id), None, leave_by=work.leave_by
        )
        return Written(id, {"delete": id}, answer.headers.get("x-cw-request-id"))

    async def _with_key(self, work: Work) -> list[Mapping[str, Any]]:
        """Every addition of the agreement that carries the key."""
        field = await self._key()
        if field.id is None:
            condition = {"conditions": f'serialNumber = "{work.key}"'}
        else:
            text = f'caption = "{KEY_CAPTION}" and value = "{work.key}"'
            condition = {"customFieldConditions": text}
        shown = await self._transport.scan(_additions(work), condition)
        with understood(Unavailable):
            return [one for one in shown if field.read(one) == work.key]

    async def _key(self) -> KeyField:
        """The tenant's custom field for our key; without one, the serial number carries it."""
        if self._key_field is None:
            found = await self._transport.scan(
                "/system/userDefinedFields", {"conditions": f'caption = "{KEY_CAPTION}"'}
            )
            with understood(Unavailable):
                on_additions = [x for x in found if "addition" in str(x.get("screenId")).lower()]
                chosen = next(iter(on_additions or found), None)
                self._key_field = KeyField(int(chosen["id"]) if chosen else None)
        return self._key_field


def _additions(work: Work) -> str:
    return f"/finance/agreements/{work.place.target_id}/additions"


def _addition(work: Work, external_id: str | None) -> str:
    if external_id is None:
        raise ValueError("the addition to close has no id yet; it comes first in its target")
    return f"{_additions(work)}/{external_id}"


def _closing(shown: Mapping[str, Any]) -> Record:
    return Record(str(shown["id"]), last_on=fields.day(shown.get("cancelledDate")))


def _record(text: str, read: Any) -> Mapping[str, Any]:
    """The record in the answer to a write; an answer without one leaves the outcome open."""
    try:
        shown = read()
    except ValueError as error:
        raise WriteUnknown(f"the answer is no JSON: {text[:80]!r}") from error
    if not isinstance(shown, Mapping) or "id" not in shown:
        raise WriteUnknown("the answer shows no record")
    return shown
