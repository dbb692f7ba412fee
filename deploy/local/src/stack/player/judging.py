"""The verdict on a play: every figure a story expects, and what must hold whatever it expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stack.player.collecting import Findings, Row
from stack.player.comparing import Comparison, Difference
from stack.player.names import Names
from stack.player.sources import Sources
from stack.player.tying import Tied


async def judge(
    plays: Sequence[Names], findings: Findings, tied: Sequence[Tied], sources: Sources
) -> tuple[int, list[Difference]]:
    """How much was checked, and what differs."""
    checked, differences = 0, []
    for names in plays:
        comparison = Comparison(names, findings, sources)
        differences += await comparison.run()
        checked += comparison.checked
    for check in (*_psas(tied), *_usage(findings), *_waiting(plays, findings), *_trails(findings)):
        checked += 1
        if check is not None:
            differences.append(check)
    return checked, differences


# Each yields None for what is as it should be, so that it counts as checked.


def _psas(tied: Sequence[Tied]) -> Iterator[Difference | None]:
    for row in tied:
        if row.agrees and row.comparable:
            yield None
        elif not row.agrees:
            where = f"{row.story}: {row.contract}, {row.vendor} for {row.invoices}"
            yield Difference(where, f"{row.invoiced} as invoiced", f"{row.held} in the PSA")


def _usage(findings: Findings) -> Iterator[Difference | None]:
    """No line of a usage file goes missing between receipt and rating."""
    for file in findings.usage_files:
        rated = file["rated"]
        there = sum(int(rated[name]) for name in ("rated", "not_billable", "held"))
        received = int(rated["received"]["lines"])
        where = f"usage lines of {rated['invoice_number']}"
        yield None if there == received else Difference(where, str(received), str(there))


def _waiting(plays: Sequence[Names], findings: Findings) -> Iterator[Difference | None]:
    """Holds are checked over all stories: nothing may wait unless one of them says so."""
    wanted: dict[str, int | None] = {}
    for names in plays:
        for hold in names.story.expect.holds if names.story.expect else ():
            wanted[hold.reason] = hold.count
    found: dict[str, list[Row]] = {}
    for row in findings.holds:
        found.setdefault(row["reason"], []).append(row)
    for reason in sorted(wanted.keys() | found.keys()):
        there = len(found.get(reason, ()))
        if reason not in wanted:
            details = "; ".join(str(row["detail"]) for row in found[reason])[:300]
            yield Difference(f"hold {reason}", "none", f"{there}: {details}")
            continue
        count = wanted[reason]
        right = there > 0 if count is None else there == count
        expected = "at least one" if count is None else str(count)
        yield None if right else Difference(f"hold {reason}", expected, str(there))
    if not wanted and not found:
        yield None
    if findings.dead_letters:
        first = findings.dead_letters[0]
        what = f"{len(findings.dead_letters)}, first {first['service']}: {first['error']}"
        yield Difference("dead letters", "none", what)
    else:
        yield None


def _trails(findings: Findings) -> Iterator[Difference | None]:
    for service, verdict in findings.audit.items():
        intact = bool(verdict["intact"])
        where = f"audit trail of {service}"
        yield None if intact else Difference(where, "intact", str(verdict["reason"]))
