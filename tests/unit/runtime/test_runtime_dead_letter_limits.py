"""When dead letters mean broken code: too many in a row, or too large a share of a partition."""

from __future__ import annotations

from shared.runtime.dead_letters import Limits, LimitState
from shared.runtime.kafka import Partition

ONE, TWO = Partition("tieout.test", 0), Partition("tieout.test", 1)
LIMITS = Limits(consecutive=3, ratio_percent=10, window=50)


def fed(state: LimitState, partition: Partition, outcomes: str) -> list[str | None]:
    """`x` is a dead letter, `.` is not."""
    return [state.record(partition, failed=outcome == "x") for outcome in outcomes]


def test_a_run_up_to_the_limit_is_tolerated() -> None:
    """Three bad messages of one batch are bad messages."""
    assert {None} == set(fed(LimitState(LIMITS), ONE, "xxx.xxx.xxx"))


def test_a_run_past_the_limit_stops() -> None:
    """The fourth in a row says why."""
    verdicts = fed(LimitState(LIMITS), ONE, "xxxx")

    assert verdicts[:3] == [None, None, None]
    assert verdicts[3] is not None
    assert "4 messages in a row" in verdicts[3]


def test_one_success_ends_a_run() -> None:
    """Only uninterrupted failure is a pattern."""
    assert {None} == set(fed(LimitState(LIMITS), ONE, "xxx."))
    assert {None} == set(fed(LimitState(LIMITS), ONE, "xxx.xxx"))


def test_partitions_are_counted_apart() -> None:
    """Trouble on one says nothing about another."""
    state = LimitState(LIMITS)

    assert {None} == set(fed(state, ONE, "xxx") + fed(state, TWO, "xxx"))
    assert fed(state, ONE, "x") != [None]


def test_a_share_at_the_limit_is_tolerated() -> None:
    """Five of fifty are ten per cent."""
    assert {None} == set(fed(LimitState(LIMITS), ONE, ("x" + "." * 9) * 10))


def test_a_share_past_the_limit_stops_once_the_window_is_full() -> None:
    """Six of the last fifty; before that there is no share to speak of."""
    verdicts = fed(LimitState(LIMITS), ONE, "x.x.x.x.x.x." + "." * 38)

    assert {None} == set(verdicts[:49])
    assert verdicts[49] is not None
    assert "6 of the last 50" in verdicts[49]


def test_old_failures_leave_the_window() -> None:
    """A bad hour yesterday is not held against today."""
    state = LimitState(LIMITS)
    fed(state, ONE, "x.x.x.x.x.x." + "." * 38)

    assert fed(state, ONE, "." * 60)[-1] is None


def test_the_usual_limits_stop_at_eleven_in_a_row() -> None:
    """The numbers operators read in the runbook."""
    verdicts = fed(LimitState(Limits()), ONE, "x" * 11)

    assert {None} == set(verdicts[:10])
    assert verdicts[10] is not None
