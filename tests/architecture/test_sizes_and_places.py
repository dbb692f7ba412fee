"""Sizes, and things that have one place: metrics, waiting, names of modules, topics."""

from __future__ import annotations

from typing import ClassVar

import pytest

from architecture.rules import places, sizes, topics
from architecture.trees import checks, everything, listed, planted, production
from shared.contracts import registry
from shared.contracts.envelope import Event
from shared.contracts.topics import BY_NAME

# Files of services that may wait, each with its reason.
MAY_SLEEP = {
    "services/ingest/src/ingest/clients/provider.py": "keeps the pause a throttling provider asks",
    "services/ingest/src/ingest/handlers/heartbeat.py": "renews a lease beside the work",
}
DECLARED = frozenset(registry.EVENTS) | frozenset(BY_NAME)
OWNERS = {topic.name: topic.owner for topic in BY_NAME.values()}
STORE = "services/rating/src/rating/store.py"


@pytest.mark.parametrize("rule", [sizes.long_modules, sizes.long_functions, sizes.many_parameters])
def test_nothing_is_too_large_to_read(rule: object) -> None:
    """Production code, simulators and the local stack alike."""
    assert callable(rule)
    found = [finding for source in everything() for finding in rule(source)]

    assert not found, listed(found)


def test_a_long_module_is_caught() -> None:
    """One line more than allowed, and the limit itself."""
    assert not list(sizes.long_modules(planted("x = 1\n" * sizes.MODULE_LINES)))
    found = list(sizes.long_modules(planted("x = 1\n" * (sizes.MODULE_LINES + 1))))
    assert [finding.line for finding in found] == [401]


@pytest.mark.parametrize("head", ["def f():", "async def f():", "class A:\n  def f(self):"])
def test_a_long_function_is_caught(head: str) -> None:
    """Methods and coroutines, too; decorators do not count."""
    fits = head + "\n    x = 1" * (sizes.FUNCTION_LINES - 1) + "\n"
    longer = head + "\n    x = 1" * sizes.FUNCTION_LINES + "\n"

    assert not list(sizes.long_functions(planted(fits)))
    assert [found.message for found in sizes.long_functions(planted(longer))] == ["61 lines in f()"]


def test_too_many_parameters_are_caught() -> None:
    """Positional and keyword-only ones count, `self` and the collecting ones do not."""
    eight = "class A:\n    def f(self, a, b, c, /, d, *more, e, f, g, h, **rest): ..."
    nine = "async def f(a, b, c, d, *, e, f, g, h, i): ..."

    assert not list(sizes.many_parameters(planted(eight)))
    assert len(list(sizes.many_parameters(planted(nine)))) == 1


def test_metrics_are_declared_in_one_place() -> None:
    """`shared/runtime/telemetry.py` is the list."""
    found = [finding for source in everything() for finding in places.metrics_elsewhere(source)]

    assert not found, listed(found)


@pytest.mark.parametrize(
    "text",
    [
        "from prometheus_client import Counter",
        "from prometheus_client import Gauge as Level",
        "from prometheus_client.metrics import Histogram",
        "import prometheus_client\nc = prometheus_client.Counter('a', 'b')",
    ],
)
def test_a_metric_elsewhere_is_caught(text: str) -> None:
    """However it is spelt."""
    assert list(places.metrics_elsewhere(planted(text, STORE)))


@pytest.mark.parametrize(
    "text", ["from collections import Counter", "from prometheus_client import generate_latest"]
)
def test_what_is_no_metric_is_left_alone(text: str) -> None:
    """Counting things is allowed."""
    assert not list(places.metrics_elsewhere(planted(text, STORE)))


def test_services_do_not_sleep() -> None:
    """They wait for facts; intervals and back-off are the runtime's."""
    found = [f for source in production() for f in places.sleeps(source, MAY_SLEEP)]

    assert not found, listed(found)


def test_every_permission_to_sleep_is_used() -> None:
    """A permission that outlives its reason is a hole."""
    sleepers = {f.path for source in production() for f in places.sleeps(source, {})}

    assert set(MAY_SLEEP) == sleepers


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nasync def f():\n    await asyncio.sleep(1)",
        "import time\ntime.sleep(0.1)",
        "from asyncio import sleep\nasync def f():\n    await sleep(5)",
        "from time import sleep\nsleep(5)",
        "import asyncio\nasync def f(s):\n    await asyncio.sleep(s)",
        "import asyncio\ndef f(*, sleep=asyncio.sleep): ...",
    ],
)
def test_a_service_that_sleeps_is_caught(text: str) -> None:
    """Also in the runtime's words."""
    assert list(places.sleeps(planted(text, "services/tax/src/tax/jobs.py"), {}))


def test_letting_others_run_and_the_runtime_itself_are_left_alone() -> None:
    """`sleep(0)` waits for nothing; the runtime is where waiting lives."""
    turn = "import asyncio\nasync def f():\n    await asyncio.sleep(0)"
    waits = "import asyncio\nasync def f():\n    await asyncio.sleep(1)"

    assert not list(places.sleeps(planted(turn, "services/tax/src/tax/jobs.py"), {}))
    assert not list(places.sleeps(planted(waits, "shared/src/shared/runtime/jobs.py"), {}))


def test_no_test_takes_sleep_from_the_whole_process() -> None:
    """A run hung for an hour on it: a watcher of the session's own servers never yielded again."""
    found = [f for source in checks() for f in places.patched_sleep(source)]

    assert not found, listed(found)


@pytest.mark.parametrize(
    "text",
    [
        'def f(monkeypatch):\n    monkeypatch.setattr(asyncio, "sleep", note)',
        'def f(patched):\n    patched.setattr("ingest.clients.provider.asyncio.sleep", note)',
    ],
)
def test_a_sleep_taken_from_everybody_is_caught(text: str) -> None:
    """Whichever way it is named."""
    assert list(places.patched_sleep(planted(text, "tests/unit/test_planted.py")))


def test_every_module_says_what_it_is_for() -> None:
    """No `utils`, no `helpers`, no managers."""
    found = [f for source in everything() for f in places.names_that_say_nothing(source)]

    assert not found, listed(found)


@pytest.mark.parametrize(
    "path",
    [
        "services/tax/src/tax/utils.py",
        "services/tax/src/tax/domain/helpers.py",
        "services/tax/src/tax/misc/rates.py",
        "shared/src/shared/runtime/_helpers.py",
        "services/tax/src/tax/manager.py",
        "services/tax/src/tax/rate_manager.py",
        "shared/src/shared/common/money.py",
    ],
)
def test_a_module_whose_name_says_nothing_is_caught(path: str) -> None:
    """Files and folders."""
    assert list(places.names_that_say_nothing(planted("", path)))


def test_no_source_names_an_undeclared_topic() -> None:
    """The table of topics and the classes of events are the only places that make names."""
    found = [f for source in everything() for f in topics.undeclared_names(source, DECLARED)]

    assert not found, listed(found)


@pytest.mark.parametrize(
    "text",
    [
        "TOPIC = 'tieout.rating.chargse.v1'",
        "subscribe(['tieout.rating.charges.v2'])",
        "name = f'tieout.rating.charges.v9/{partition}'",
        "dlq = 'tieout.rating.charge.v1.dlq'",
    ],
)
def test_an_undeclared_topic_is_caught(text: str) -> None:
    """A letter or a version too many."""
    assert list(topics.undeclared_names(planted(text, STORE), DECLARED))


@pytest.mark.parametrize(
    "text",
    [
        f"TOPIC = '{next(iter(BY_NAME))}'",
        f"TOPIC = '{next(iter(BY_NAME))}.dlq'",
        f"TYPE = '{next(iter(registry.EVENTS))}'",
        "pattern = 'tieout.{service}.audit.v1'",
        "'''Prose about tieout.old.topic.v1.'''",
    ],
)
def test_declared_names_and_prose_are_left_alone(text: str) -> None:
    """Dead-letter topics come with their topic."""
    assert not list(topics.undeclared_names(planted(text, STORE), DECLARED))


def test_every_event_goes_to_a_declared_topic_of_its_producer() -> None:
    """One row in the table per topic, one owner per row."""
    assert topics.undeclared_events(registry.EVENTS.values(), OWNERS) == []


def test_an_event_on_the_wrong_topic_is_caught() -> None:
    """An unknown topic, and one that is somebody else's."""

    class Lost(Event):
        TYPE: ClassVar[str] = "tieout.rating.lost.v1"
        TOPIC: ClassVar[str] = "tieout.rating.lost-and-found.v1"

    class Stolen(Event):
        TYPE: ClassVar[str] = "tieout.rating.stolen.v1"
        TOPIC: ClassVar[str] = "tieout.tax.determinations.v1"

    found = topics.undeclared_events([Lost, Stolen], OWNERS)

    assert [line.partition(":")[0] for line in found] == ["Lost", "Stolen"]
