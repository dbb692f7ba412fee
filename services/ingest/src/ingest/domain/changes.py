"""From what we knew and what is now to the steps in between, each with its time and its evidence.

Webhooks may come late, twice, in any order or never: a chain depends only on the state we knew, the
records the provider shows and the state it shows, so every order of arrival ends in the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time

from ingest.domain.audit_records import SUCCEEDED, AuditRecord
from ingest.domain.chains import Link, Path, best_path, link_on
from ingest.domain.first_sight import Origin, origin_of
from ingest.domain.kinds import kind_of
from ingest.domain.snapshots import Snapshot, State, start_of_term
from shared.contracts.ingest import ChangeKind
from shared.kernel.ids import derived_id

_OF_A_NEW_TERM = frozenset({ChangeKind.RENEWED, ChangeKind.EXTENDED})


@dataclass(frozen=True, slots=True)
class Known:
    """What we hold of a subscription: where its history starts and the steps published since."""

    start: State
    started_at: datetime
    published: tuple[Link, ...] = ()  # in the order they were published, without evidence attached
    applied: frozenset[str] = frozenset()  # keys of the records that already became steps
    scheduled_quantity: int | None = None


@dataclass(frozen=True, slots=True)
class Detection:
    """How and when we looked."""

    observed_at: datetime  # business time just before the subscription was read
    hint: datetime | None = None  # when the webhook says that something changed
    history_begins: datetime | None = None  # the account's first sync; None: never synced


@dataclass(frozen=True, slots=True)
class Step:
    """One change. `record` is its evidence; without one, `estimated` says whether we guess when."""

    kind: ChangeKind
    before: State | None
    after: State
    effective_at: datetime
    record: AuditRecord | None = None
    estimated: bool = False
    supersedes: str | None = None  # the change id of the guess that this is the truth of

    @property
    def quantity_before(self) -> int:
        return self.before.quantity if self.before else 0


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps that are news, in order of time.

    `unsettled`: part of it is a guess that another look a moment later might replace by a fact.
    """

    steps: tuple[Step, ...]
    unsettled: bool = False


def build_chain(
    known: Known | None,
    records: Sequence[AuditRecord],
    current: Snapshot,
    detection: Detection,
) -> Chain:
    """The steps that are missing between what we published and the current snapshot.

    Records are those that mention the subscription, in any order, with repeats; failed ones change
    nothing. A record whose effect is already part of a published step adds nothing, unless we had
    guessed when: then it supersedes the guess. A late one between two published steps is inserted
    there.
    """
    if not current.licence:
        return Chain(())
    usable = list({r.key: r for r in records if r.status == SUCCEEDED}.values())
    if known is None:
        origin = origin_of(current, usable, history_begins=detection.history_begins)
        return _first(origin, current, detection)
    fresh = [r for r in usable if _is_news(r, known, current)]
    sub = current.subscription_id
    told = truths(known.published, fresh, subscription_id=sub, since=known.started_at)
    fresh = [r for r in fresh if r not in told.records]
    path = best_path(
        known.start, fresh, current.state, subscription_id=sub, published=told.published
    )
    steps = [*told.steps, *_steps(path, current, detection, scheduled=known.scheduled_quantity)]
    return Chain(tuple(steps), any(_guess(s) for s in steps) or _leads_elsewhere(path, current))


def change_id_of(subscription_id: str, step: Step, *, version: int) -> str:
    """The same for the same evidence; a step without evidence is known by its place in history."""
    if step.record is not None:
        return derived_id("subscription-change", subscription_id, "record", step.record.key)
    return derived_id("subscription-change", subscription_id, "version", version)


def _is_news(record: AuditRecord, known: Known, current: Snapshot) -> bool:
    touch = record.touch(current.subscription_id)
    if touch is None or touch.creates or record.key in known.applied:
        return False
    return record.at >= known.started_at


@dataclass(frozen=True, slots=True)
class Truths:
    """Guesses that records explain now: the steps that supersede them, and what is published with
    these in their places."""

    steps: tuple[Step, ...]
    published: tuple[Link, ...]

    @property
    def records(self) -> tuple[AuditRecord, ...]:
        return tuple(step.record for step in self.steps if step.record is not None)


def truths(
    published: Sequence[Link],
    fresh: Sequence[AuditRecord],
    *,
    subscription_id: str,
    since: datetime,
) -> Truths:
    """A guess is explained by records from after the step before it that lead, without a gap, from
    what it found to what it left."""
    steps: list[Step] = []
    links: list[Link] = []
    for link in sorted(published, key=lambda one: one.at):
        between = [record for record in fresh if since <= record.at <= link.at]
        told = _truth_of(link, between, subscription_id)
        steps += told
        links += [Link(s.record.at, s.before, s.after) for s in told if s.record] or [link]
        since = link.at
    return Truths(tuple(steps), tuple(links))


def _truth_of(link: Link, records: Sequence[AuditRecord], subscription_id: str) -> list[Step]:
    if link.guess is None or link.found is None or link.found.billing == link.left.billing:
        return []
    path = best_path(link.found, records, link.left, subscription_id=subscription_id)
    if path.jumps or not path.links:
        return []
    steps, running = list[Step](), link.found
    for one in path.links:
        if one.record is not None and one.left != running:
            step = _recorded(running, one.left, one.record)
            steps.append(replace(step, supersedes=link.guess))
            running = one.left
    same_time = [step.effective_at for step in steps] == [link.at]
    return [] if same_time else steps


def _steps(
    path: Path, current: Snapshot, detection: Detection, *, scheduled: int | None
) -> list[Step]:
    steps: list[Step] = []
    running, at = path.start, detection.hint or detection.observed_at
    for link in path.links:
        at = max(at, link.at)
        if link.record is not None:
            if link.found is not None and link.found.billing != running.billing:
                steps.append(_jump(running, link.found, by=link.at, scheduled=scheduled))
                running = link.found
            if link.left != running:
                steps.append(_recorded(running, link.left, link.record))
        running = link.left
    if running != current.state:
        steps.append(_jump(running, current.state, by=at, scheduled=scheduled))
    return steps


def _recorded(before: State, after: State, record: AuditRecord) -> Step:
    kind = kind_of(before, after, record)
    # A renewal may be processed up to a day late; its charges begin with the term all the same.
    renewed = kind in _OF_A_NEW_TERM and after.term_start <= record.at.date()
    return Step(kind, before, after, start_of_term(after) if renewed else record.at, record)


def _jump(before: State, after: State, *, by: datetime, scheduled: int | None) -> Step:
    """A step without a record. Terms tell their own time; all else happened at the latest `by`."""
    kind = kind_of(before, after)
    if kind is ChangeKind.TERM_CHANGED:
        # The day is known, the hour is not.
        at = by if by.date() <= after.term_start else start_of_term(after)
        return Step(kind, before, after, at, estimated=True)
    if kind in _OF_A_NEW_TERM:
        guessed = after.quantity not in (before.quantity, scheduled)
        return Step(kind, before, after, start_of_term(after), estimated=guessed)
    ended = datetime.combine(before.term_end, time(), tzinfo=UTC)
    if after.gone and not before.gone and ended <= by:
        return Step(kind, before, after, ended)
    return Step(kind, before, after, by, estimated=True)


def _guess(step: Step) -> bool:
    if not step.estimated or step.before is None:
        return False
    return step.before.billing != step.after.billing


def _leads_elsewhere(path: Path, current: Snapshot) -> bool:
    """A record after the last step was left out although its result is no state we passed through:
    the resource we read may be older than the record, or its counterpart is not visible yet."""
    passed = {path.start.billing, current.state.billing, *(x.left.billing for x in path.links)}
    last = max((link.at for link in path.links), default=None)
    links = (
        link_on(path.start, record, current.subscription_id)
        for record in path.skipped
        if last is None or record.at >= last
    )
    return any(link is not None and link.left.billing not in passed for link in links)


def _first(origin: Origin, current: Snapshot, detection: Detection) -> Chain:
    if origin.state.quantity == 0 and current.state.gone:
        return Chain(())  # it was over before we looked
    first = Step(origin.kind, None, origin.state, origin.at, origin.record)
    path = best_path(
        origin.state, origin.updates, current.state, subscription_id=current.subscription_id
    )
    later = _steps(path, current, detection, scheduled=None)
    return Chain((first, *later), any(_guess(s) for s in later))
