"""The PSA protocol on Autotask: adjustments seen through units, charges found by our key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from time import monotonic

from psa_connector.clients.autotask import discovering, existing, fields, probing, sweeping
from psa_connector.clients.autotask.transport import Document, Transport
from psa_connector.clients.psa import (
    Edit,
    Timing,
    Unavailable,
    VendorProfile,
    Work,
    Written,
    understood,
)
from psa_connector.domain.adjustments import Services, Units
from psa_connector.domain.adopting import ExistingLine
from psa_connector.domain.discovery import Offer, Places
from psa_connector.domain.mapping import Place
from psa_connector.domain.operations import (
    ContractCharge,
    Operation,
    OperationKind,
    RecordRemoval,
    RecordUpdate,
    ServiceAdjustment,
)
from psa_connector.domain.outcomes import Write
from psa_connector.domain.preflight import ProductFacts, TargetFacts
from psa_connector.domain.preflight_report import Probe
from psa_connector.domain.snapshots import Record, TargetSnapshot, Words
from psa_connector.domain.verdicts import Observation, Records

PROFILE = VendorProfile(
    name="autotask",
    kinds=frozenset({OperationKind.SERVICE_ADJUSTMENT, OperationKind.CONTRACT_CHARGE}),
    credentials=("username", "secret", "integration_code"),
    sweeps_at_once=sweeping.TARGETS_MAX,
)
CHARGE_TYPE_LABEL = "Operational"


class Autotask:
    """One tenant. Facts are believed for a while: a licence change costs three calls, not six."""

    def __init__(
        self,
        transport: Transport,
        timing: Timing,
        *,
        charge_type_label: str = CHARGE_TYPE_LABEL,
        api_resource_id: int | None = None,
    ) -> None:
        self._api_resource_id = api_resource_id
        self._transport = transport
        self._timing = timing
        self._charge_type_label = charge_type_label
        self._charge_type: int | None = None
        self._targets: dict[str, tuple[float, TargetFacts]] = {}
        self._products: dict[tuple[str, int], tuple[float, Document]] = {}

    async def close(self) -> None:
        await self._transport.close()

    async def forget(self, place: Place) -> None:
        self._targets.pop(place.target_id, None)
        self._products.clear()

    async def target_facts(self, place: Place) -> TargetFacts | None:
        until, facts = self._targets.get(place.target_id, (0.0, None))
        if facts is not None and monotonic() < until:
            return facts
        if not place.target_id.isdigit():
            return None
        found = await self._transport.query("Contracts", [_eq("id", int(place.target_id))])
        if not found:
            return None
        with understood(Unavailable):
            facts = fields.target_facts(found[0])
        self._targets[place.target_id] = (monotonic() + self._timing.facts_s, facts)
        return facts

    def words(self, record: Record) -> Words:
        if not isinstance(record, ContractCharge):
            raise TypeError("Autotask takes adjustments and charges")
        return fields.words_of(record)

    async def sweep(self, targets: Sequence[str], since: date) -> list[TargetSnapshot]:
        return await sweeping.sweep(self._transport, targets, since)

    async def last_edit(self, target: str, object: str, external_id: str) -> Edit | None:
        del external_id
        if not object.startswith("service/"):
            return None
        return await sweeping.last_note(self._transport, target, self._api_resource_id)

    async def product_facts(self, operations: Sequence[Operation]) -> Mapping[str, ProductFacts]:
        wanted = [found for found in map(_catalogued, operations) if found is not None]
        await self._look_up({(entity, id) for entity, id, _ in wanted})
        with understood(Unavailable):
            return {
                external_id: fields.product_facts(external_id, self._products[entity, id][1])
                for entity, id, external_id in wanted
                if (entity, id) in self._products
            }

    async def places(self) -> Places:
        return await discovering.places(self._transport)

    async def offers(self) -> Sequence[Offer]:
        return await discovering.offers(self._transport)

    async def probe(self) -> Probe:
        label = self._charge_type_label
        return await probing.probe(self._transport, charge_type_label=label)

    async def existing(self, place: Place) -> Sequence[ExistingLine]:
        """Charges that reach the customer; services are told apart by their units."""
        if not place.target_id.isdigit():
            return ()
        shown = await self._transport.query(
            "ContractCharges",
            [_eq("contractID", int(place.target_id)), _eq("isBillableToCompany", True)],
            fields=existing.FIELDS,
        )
        with understood(Unavailable):
            return tuple(existing.existing(one) for one in shown)

    async def observe(self, work: Work) -> Observation:
        match work.operation:
            case ServiceAdjustment() as adjustment:
                return await self._services(work, adjustment)
            case ContractCharge() as charge:
                return await self._charges(work, charge)
            case RecordUpdate(record=ContractCharge() as charge):
                return await self._charges(work, charge)
            case RecordRemoval(record=ContractCharge() as charge):
                return await self._charges(work, charge)
            case _:
                raise TypeError("Autotask takes adjustments and charges")

    async def write(self, work: Work, wanted: Write) -> Written:
        match work.operation:
            case ServiceAdjustment() as adjustment:
                body = fields.adjustment_body(adjustment, wanted, _contract(work))
                entity = "ContractServiceAdjustments"
                id = await self._transport.create(
                    entity, f"/{entity}", body, leave_by=work.leave_by
                )
            case ContractCharge() as charge if work.adopts is not None:
                return await self._adopt(work, charge, work.adopts)
            case ContractCharge() as charge:
                body = fields.charge_body(
                    charge,
                    work.key,
                    contract_id=_contract(work),
                    charge_type=await self._charge_type_id(),
                )
                path = f"/Contracts/{_contract(work)}/Charges"
                id = await self._transport.create(
                    "ContractCharges", path, body, leave_by=work.leave_by
                )
            case RecordUpdate(record=ContractCharge() as charge, external_id=external_id):
                return await self._update_charge(work, charge, external_id)
            case RecordRemoval(external_id=external_id):
                path = f"/Contracts/{_contract(work)}/Charges/{fields.number(external_id)}"
                id = await self._transport.write(
                    "DELETE", "ContractCharges", path, None, leave_by=work.leave_by
                )
                return Written(id, {"delete": external_id})
            case _:
                raise TypeError("Autotask takes adjustments and charges")
        return Written(id, body)

    async def _adopt(self, work: Work, charge: ContractCharge, id: str) -> Written:
        """PATCH goes to the collection, with the id in the body; only our key changes."""
        found = await self._transport.query(
            "ContractCharges",
            [_eq("contractID", _contract(work)), _eq("id", fields.number(id))],
            fields=existing.FIELDS,
        )
        with understood(Unavailable):
            body = existing.adoption(charge, found[0] if found else None, work.key)
        path = f"/Contracts/{_contract(work)}/Charges"
        await self._transport.write("PATCH", "ContractCharges", path, body, leave_by=work.leave_by)
        return Written(id, body)

    async def _charges(self, work: Work, charge: ContractCharge) -> Records:
        """Charges of the contract that carry the key."""
        found = await self._transport.query(
            "ContractCharges",
            [_eq("contractID", _contract(work)), _eq("internalPurchaseOrderNumber", work.key)],
            fields=(*fields.CHARGE_FIELDS, "isBilled"),
        )
        with understood(Unavailable):
            return Records(tuple(fields.charge_record(charge, work.key, one) for one in found))

    async def _update_charge(self, work: Work, charge: ContractCharge, id: str) -> Written:
        """PATCH goes to the collection, with the id in the body (A7)."""
        body = fields.charge_body(
            charge,
            work.key,
            contract_id=_contract(work),
            charge_type=await self._charge_type_id(),
        )
        # Create-only, and not to be un-set: what a person chose as type of the charge stands.
        body = {"id": fields.number(id)} | {
            name: body[name] for name in body if name not in {"contractID", "chargeType"}
        }
        path = f"/Contracts/{_contract(work)}/Charges"
        told = await self._transport.write(
            "PATCH", "ContractCharges", path, body, leave_by=work.leave_by
        )
        return Written(told, body)

    async def _services(self, work: Work, adjustment: ServiceAdjustment) -> Services:
        if work.service is not None:
            units = await self._units([work.service], adjustment)
            return Services((units[0],), linked=True)
        found = await self._transport.query(
            "ContractServices",
            [
                _eq("contractID", _contract(work)),
                _eq("serviceID", fields.number(adjustment.product.external_id)),
            ],
        )
        with understood(Unavailable):
            ids = [str(one["id"]) for one in found]
        free = [id for id in ids if id not in work.taken]
        candidates = await self._units(free, adjustment) if free else []
        return Services(tuple(candidates), others=len(ids) - len(free))

    async def _units(self, services: Sequence[str], adjustment: ServiceAdjustment) -> list[Units]:
        """The rows that touch the days in question, of several services in one query."""
        until = max(adjustment.effective_on, adjustment.recorded_on)
        found = await self._transport.query(
            "ContractServiceUnits",
            [
                _one_of("contractServiceID", [int(id) for id in services]),
                {
                    "op": "gte",
                    "field": "endDate",
                    "value": fields.instant(adjustment.effective_on),
                },
                {"op": "lte", "field": "startDate", "value": fields.instant(until)},
            ],
            fields=fields.UNIT_FIELDS,
        )
        rows = defaultdict(list)
        with understood(Unavailable):
            for one in found:
                rows[str(one["contractServiceID"])].append(fields.unit_row(one))
        return [Units(id, tuple(rows[id])) for id in services]

    async def _look_up(self, wanted: set[tuple[str, int]]) -> None:
        now = monotonic()
        stale = {key for key, (until, _) in self._products.items() if until <= now}
        for key in stale:
            del self._products[key]
        missing: defaultdict[str, list[int]] = defaultdict(list)
        for entity, id in sorted(wanted - self._products.keys()):
            missing[entity].append(id)
        for entity, ids in missing.items():
            found = await self._transport.query(entity, [_one_of("id", ids)])
            with understood(Unavailable):
                for one in found:
                    self._products[entity, int(one["id"])] = (now + self._timing.facts_s, one)

    async def _charge_type_id(self) -> int:
        """The tenant's id for the wanted label, asked once."""
        if self._charge_type is None:
            told = await self._transport.fields("ContractCharges")
            with understood(Unavailable):
                values = [
                    int(value["value"])
                    for field in told
                    if field["name"] == "chargeType"
                    for value in field.get("picklistValues") or ()
                    if value.get("label") == self._charge_type_label and value.get("isActive", True)
                ]
            if not values:
                raise Unavailable(f"this tenant has no charge type {self._charge_type_label}")
            self._charge_type = values[0]
        return self._charge_type


def _catalogued(operation: Operation) -> tuple[str, int, str] | None:
    """The entity and number behind an operation's product."""
    match operation:
        case ServiceAdjustment(product=product) if (product.external_id or "").isdigit():
            return "Services", fields.number(product.external_id), str(product.external_id)
        case ContractCharge(product=product) if product.external_id:
            text = product.external_id
            if not text.removeprefix(fields.BILLING_CODE).isdigit():
                return None
            field, id = fields.billed_as(text)
            return "Products" if field == "productID" else "BillingCodes", id, text
    return None


def _contract(work: Work) -> int:
    return fields.number(work.place.target_id)


def _eq(field: str, value: object) -> Document:
    return {"op": "eq", "field": field, "value": value}


def _one_of(field: str, values: Sequence[object]) -> Document:
    if len(values) == 1:
        return _eq(field, values[0])
    return {"op": "in", "field": field, "value": list(values)}
