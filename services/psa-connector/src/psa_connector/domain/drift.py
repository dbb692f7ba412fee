"""Drift: the PSA must not win. What it holds is compared with what we want and what we last saw.

Each kind of difference has one answer: heal it by an ordinary intent, ask a person first, or only
report it. What a PSA has billed is never edited; nothing read here changes an amount of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from psa_connector.domain import preflight
from psa_connector.domain.mapping import Reason
from psa_connector.domain.operations import (
    Addition,
    ContractCharge,
    Operation,
    RecordRemoval,
    RecordUpdate,
)
from psa_connector.domain.preflight import Expectation
from psa_connector.domain.snapshots import (
    HeldRecord,
    InWords,
    TargetSnapshot,
    Wanted,
    WantedRecord,
    is_billed,
)
from shared.kernel.money import Rounding, round_to

ABSENT = "nothing"


class DriftKind(StrEnum):
    """The differences a sweep can find. Stable: people filter by them, settings name them."""

    RECORD_CHANGED = "record_changed"
    RECORD_MISSING = "record_missing"
    RECORD_DUPLICATED = "record_duplicated"
    RECORD_CHANGED_AFTER_BILLING = "record_changed_after_billing"
    RECORD_MISSING_AFTER_BILLING = "record_missing_after_billing"
    RECORD_DUPLICATED_AFTER_BILLING = "record_duplicated_after_billing"
    RECORD_KEY_REMOVED = "record_key_removed"
    RECORD_FOREIGN = "record_foreign"
    TARGET_CHANGED = "target_changed"
    UNITS_CHANGED = "units_changed"
    UNITS_CHANGED_AFTER_POSTING = "units_changed_after_posting"
    PRICE_CHANGED = "price_changed"
    PRICE_CHANGED_AFTER_POSTING = "price_changed_after_posting"


class Action(StrEnum):
    HEAL = "heal"
    APPROVE = "approve"
    REPORT = "report"


POLICY: Mapping[DriftKind, Action] = {
    DriftKind.RECORD_CHANGED: Action.HEAL,
    DriftKind.RECORD_MISSING: Action.HEAL,
    DriftKind.RECORD_DUPLICATED: Action.HEAL,
    DriftKind.RECORD_CHANGED_AFTER_BILLING: Action.REPORT,
    DriftKind.RECORD_MISSING_AFTER_BILLING: Action.REPORT,
    DriftKind.RECORD_DUPLICATED_AFTER_BILLING: Action.REPORT,
    DriftKind.RECORD_KEY_REMOVED: Action.REPORT,
    DriftKind.RECORD_FOREIGN: Action.REPORT,
    DriftKind.TARGET_CHANGED: Action.REPORT,
    DriftKind.UNITS_CHANGED: Action.HEAL,
    DriftKind.UNITS_CHANGED_AFTER_POSTING: Action.REPORT,
    DriftKind.PRICE_CHANGED: Action.HEAL,
    DriftKind.PRICE_CHANGED_AFTER_POSTING: Action.REPORT,
}
HEALABLE = frozenset(kind for kind, action in POLICY.items() if action is Action.HEAL)


@dataclass(frozen=True, slots=True)
class FieldDrift:
    """One field, three ways."""

    field: str
    wanted: str
    last_seen: str
    found: str


@dataclass(frozen=True, slots=True)
class Repair:
    """One intent that would put it right; `record_key` is the key inside the PSA's record."""

    operation: Operation
    record_key: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, how it would be put right, and what it is worth where it was billed."""

    kind: DriftKind
    object: str
    external_id: str | None = None
    intent_id: str | None = None
    fields: tuple[FieldDrift, ...] = ()
    difference: Decimal | None = None  # billed minus wanted
    repairs: tuple[Repair, ...] = ()
    edited_by: str | None = None
    edited_at: str | None = None


def action_for(
    kind: DriftKind, chosen: Mapping[str, str], *, target_is_sound: bool = True
) -> Action:
    """What is done about a kind. A connection may ask for less than healing, never for more; on a
    target that preflight would block nothing is written before a person has looked."""
    default = POLICY[kind]
    if kind not in HEALABLE:
        return default
    action = Action(chosen.get(kind.value, default.value))
    return Action.APPROVE if action is Action.HEAL and not target_is_sound else action


def find_target(wanted: Wanted, seen: TargetSnapshot) -> tuple[Finding, ...]:
    """An agreement or contract that a push would stop at (company, currency, flags, end)."""
    expected = Expectation(wanted.target_id, wanted.company_id, wanted.currency, ())
    blocks = preflight.check(expected, seen.facts, {})
    if not blocks:
        return ()
    fields = tuple(
        FieldDrift(block.reason.value, ABSENT, ABSENT, block.detail)
        for block in blocks
        if block.reason is not Reason.BILLING_CYCLE_UNSUPPORTED
    )
    if not fields:
        return ()
    id = wanted.target_id
    return (Finding(DriftKind.TARGET_CHANGED, f"target/{id}", external_id=id, fields=fields),)


def find_records(wanted: Wanted, seen: TargetSnapshot, in_words: InWords) -> Iterator[Finding]:
    """Additions or charges that are not as we left them; foreign ones are named, not touched."""
    by_key: dict[str, list[HeldRecord]] = {}
    strangers = {}
    for held in seen.records:
        if held.key is not None and held.key in wanted.keys:
            by_key.setdefault(held.key, []).append(held)
        else:
            strangers[held.external_id] = held
    for one in wanted.records:
        lost = strangers.pop(one.external_id or "", None) if one.key not in by_key else None
        if lost is not None:
            yield _without_key(one, lost)
        else:
            yield from _find_record(one, by_key.get(one.key, []), seen, in_words)
    yield from map(_foreign, strangers.values())


def _without_key(wanted: WantedRecord, held: HeldRecord) -> Finding:
    """Our record, but nobody could find it by its key: a second one would bill twice."""
    return Finding(
        kind=DriftKind.RECORD_KEY_REMOVED,
        object=f"record/{wanted.key}",
        external_id=held.external_id,
        intent_id=wanted.intent_id,
        fields=(FieldDrift("key", wanted.key, wanted.key, held.key or ABSENT),),
        edited_by=held.edited_by,
        edited_at=held.edited_at,
    )


def _find_record(
    wanted: WantedRecord, found: Sequence[HeldRecord], seen: TargetSnapshot, in_words: InWords
) -> Iterator[Finding]:
    if not found:
        yield _missing(wanted, seen, in_words)
        return
    kept = min(found, key=lambda held: (not held.billed, _number(held.external_id)))
    yield from _duplicates(wanted, [held for held in found if held is not kept])
    changes = _changes(wanted, kept, in_words)
    if not changes:
        return
    fresh = _fitting(wanted)
    yield Finding(
        kind=DriftKind.RECORD_CHANGED_AFTER_BILLING if kept.billed else DriftKind.RECORD_CHANGED,
        object=f"record/{wanted.key}",
        external_id=kept.external_id,
        intent_id=wanted.intent_id,
        fields=changes,
        difference=_money(kept.amount - amount_of(wanted.operation)) if kept.billed else None,
        repairs=() if kept.billed else (Repair(RecordUpdate(fresh, kept.external_id), wanted.key),),
        edited_by=kept.edited_by,
        edited_at=kept.edited_at,
    )


def _changes(wanted: WantedRecord, held: HeldRecord, in_words: InWords) -> tuple[FieldDrift, ...]:
    """Differences from what we want, unless a close under way explains them."""
    options = [in_words(operation) for operation in _options(wanted)]
    told = [
        [name for name in option if option[name] != held.words.get(name, ABSENT)]
        for option in options
    ]
    names, words = min(zip(told, options, strict=True), key=lambda pair: len(pair[0]))
    last = wanted.last_seen or words
    return tuple(
        FieldDrift(name, words[name], last.get(name, ABSENT), held.words.get(name, ABSENT))
        for name in names
    )


def _options(wanted: WantedRecord) -> list[Addition | ContractCharge]:
    operation = wanted.operation
    if isinstance(operation, ContractCharge):
        return [operation]
    ends = sorted(wanted.ends, key=str)
    return [replace(operation, last_on=end) for end in ends]


def _fitting(wanted: WantedRecord) -> Addition | ContractCharge:
    """With the close that is under way not yet done: it follows by itself."""
    return _options(wanted)[-1]


def _missing(wanted: WantedRecord, seen: TargetSnapshot, in_words: InWords) -> Finding:
    fresh = _fitting(wanted)
    billed = isinstance(fresh, Addition) and is_billed(fresh, seen.invoiced)
    words = in_words(fresh)
    last = wanted.last_seen or words
    return Finding(
        kind=DriftKind.RECORD_MISSING_AFTER_BILLING if billed else DriftKind.RECORD_MISSING,
        object=f"record/{wanted.key}",
        external_id=wanted.external_id,
        intent_id=wanted.intent_id,
        fields=tuple(FieldDrift(n, words[n], last.get(n, ABSENT), ABSENT) for n in words),
        difference=_money(-amount_of(fresh)) if billed else None,
        repairs=() if billed else (Repair(fresh, wanted.key),),
    )


def _duplicates(wanted: WantedRecord, others: Iterable[HeldRecord]) -> Iterator[Finding]:
    """Further records with our key: unbilled ones go, billed ones are for a person."""
    for held in others:
        billed = held.billed
        after_billing = DriftKind.RECORD_DUPLICATED_AFTER_BILLING
        yield Finding(
            kind=after_billing if billed else DriftKind.RECORD_DUPLICATED,
            object=f"record/{wanted.key}/{held.external_id}",
            external_id=held.external_id,
            intent_id=wanted.intent_id,
            fields=(FieldDrift("records with our key", "1", "1", "one more"),),
            difference=_money(held.amount) if billed else None,
            repairs=()
            if billed
            else (Repair(RecordRemoval(held.external_id, wanted.operation), wanted.key),),
            edited_by=held.edited_by,
            edited_at=held.edited_at,
        )


def _foreign(held: HeldRecord) -> Finding:
    return Finding(
        kind=DriftKind.RECORD_FOREIGN,
        object=f"foreign/{held.external_id}",
        external_id=held.external_id,
        fields=(FieldDrift("key", ABSENT, ABSENT, held.key or "no key of ours"),),
        edited_by=held.edited_by,
        edited_at=held.edited_at,
    )


def amount_of(operation: Addition | ContractCharge) -> Decimal:
    """What the PSA would put on its document for one period."""
    return operation.extended if isinstance(operation, Addition) else operation.amount


def _money(amount: Decimal) -> Decimal:
    """Without the places that a vendor only pads with."""
    cents = round_to(amount, 2, Rounding.HALF_AWAY)
    return cents if cents == amount else amount.normalize()


def _number(external_id: str) -> tuple[int, str]:
    return (int(external_id), "") if external_id.isdigit() else (0, external_id)
