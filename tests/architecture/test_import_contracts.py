"""The import contracts hold in the tree, and each of them catches the violation it is there for."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import pytest

from architecture.rules.sources import ROOT

CONFIGURATION = ROOT / "pyproject.toml"
PROGRAM = Path(__file__).with_name("lint_trees.py")
MODULES = ("ingest", "invoicing", "tax")  # a layer is a module …
PACKAGES = ("rating", "psa_connector", "payments")  # … or a package of that name
LAYERS = ("api", "jobs", "handlers", "store", "clients")


class Verdict(TypedDict):
    kept: bool
    report: str


@dataclass(frozen=True)
class Planted:
    """A line of code in a place where it must not be."""

    id: str
    path: str
    line: str
    contract: str
    reported: str


PLANTED = [
    Planted(
        "a service imports another",
        "rating/handlers/usage.py",
        "import invoicing.store",
        "Services never import each other",
        "rating.handlers.usage -> invoicing.store",
    ),
    Planted(
        "a service imports another's domain for its types",
        "tax/domain/rates.py",
        "from invoicing.domain import rules",
        "Services never import each other",
        "tax.domain.rates -> invoicing.domain.rules",
    ),
    Planted(
        "a domain speaks HTTP",
        "tax/domain/rates.py",
        "import httpx",
        "Domain code does no I/O",
        "tax.domain.rates -> httpx",
    ),
    Planted(
        "a domain looks at the clock",
        "rating/domain/proration.py",
        "from time import time",
        "Domain code does no I/O",
        "rating.domain.proration -> time",
    ),
    Planted(
        "a domain uses the runtime",
        "payments/domain/charge.py",
        "from shared.runtime import clock",
        "Domain code does no I/O",
        "payments.domain.charge -> shared.runtime",
    ),
    Planted(
        "a domain logs",
        "ingest/domain/changes.py",
        "import structlog",
        "Domain code does no I/O",
        "ingest.domain.changes -> structlog",
    ),
    Planted(
        "a domain reaches the network through a contract",
        "shared/contracts/tax.py",
        "import asyncio",
        "Domain code does no I/O",
        "shared.contracts.tax -> asyncio",
    ),
    Planted(
        "a store imports handlers",
        "tax/store.py",
        "from tax import handlers",
        "Inside a service, dependencies point inwards",
        "tax.store -> tax.handlers",
    ),
    Planted(
        "a client imports the store beside it",
        "payments/clients/stripe.py",
        "from payments.store import attempts",
        "Inside a service, dependencies point inwards",
        "payments.clients.stripe -> payments.store",
    ),
    Planted(
        "handlers import the API",
        "rating/handlers/usage.py",
        "from rating.api import charges",
        "Inside a service, dependencies point inwards",
        "rating.handlers.usage -> rating.api",
    ),
    Planted(
        "a domain imports its store",
        "ingest/domain/changes.py",
        "from ingest import store",
        "Inside a service, dependencies point inwards",
        "ingest.domain.changes -> ingest.store",
    ),
    Planted(
        "a module that nobody placed",
        "tax/utils.py",
        "ANSWER = 42",
        "Inside a service, dependencies point inwards",
        "utils",
    ),
    Planted(
        "handlers speak SQL",
        "rating/handlers/usage.py",
        "import asyncpg",
        "SQL only in stores",
        "rating.handlers.usage -> asyncpg",
    ),
    Planted(
        "an API speaks SQL",
        "tax/api.py",
        "import asyncpg",
        "SQL only in stores",
        "tax.api -> asyncpg",
    ),
    Planted(
        "a client goes around our HTTP client",
        "payments/clients/stripe.py",
        "import httpx",
        "Only the runtime speaks Kafka and HTTP",
        "payments.clients.stripe -> httpx",
    ),
    Planted(
        "a job consumes the bus itself",
        "ingest/jobs.py",
        "import aiokafka",
        "Only the runtime speaks Kafka and HTTP",
        "ingest.jobs -> aiokafka",
    ),
    Planted(
        "contracts import the runtime",
        "shared/contracts/tax.py",
        "from shared.runtime import clock",
        "The shared library is layered",
        "shared.contracts.tax -> shared.runtime",
    ),
    Planted(
        "the kernel imports contracts",
        "shared/kernel/money.py",
        "from shared.contracts import tax",
        "The shared library is layered",
        "shared.kernel.money -> shared.contracts.tax",
    ),
    Planted(
        "a service imports a simulator",
        "payments/clients/stripe.py",
        "from simulators import vendor",
        "Production code never imports simulators or the local stack",
        "payments.clients.stripe -> simulators",
    ),
    Planted(
        "the runtime imports the local stack",
        "shared/runtime/clock.py",
        "import stack",
        "Production code never imports simulators or the local stack",
        "shared.runtime.clock -> stack",
    ),
    Planted(
        "two modules import each other",
        "rating/domain/proration.py",
        "from rating.domain import rules",
        "No import cycles anywhere",
        "proration",
    ),
]


def skeleton() -> dict[str, str]:
    """A small tree in which everything is in its place, one import along every allowed arrow."""
    files = {
        "shared/__init__.py": "",
        "shared/kernel/__init__.py": "",
        "shared/kernel/money.py": "import decimal",
        "shared/contracts/__init__.py": "",
        "shared/contracts/tax.py": "from shared.kernel import money",
        "shared/runtime/__init__.py": "",
        "shared/runtime/clock.py": "import time, httpx, asyncpg, aiokafka, shared.contracts.tax",
        "simulators/__init__.py": "",
        "simulators/vendor.py": "import shared.kernel.money",
        "stack/__init__.py": "import simulators.vendor, tax.main",
    }
    for service in (*MODULES, *PACKAGES):
        files |= {
            f"{service}/__init__.py": "",
            f"{service}/__main__.py": f"from {service} import main",
            f"{service}/main.py": f"from {service} import api, jobs, settings",
            f"{service}/settings.py": "",
            f"{service}/migrations/__init__.py": "",
            f"{service}/domain/__init__.py": "",
            f"{service}/domain/rules.py": "import shared.contracts.tax, shared.kernel.money",
        }
        arrows = {
            "api": f"from {service} import handlers\nimport shared.runtime.clock",
            "jobs": f"from {service} import handlers, clients",
            "handlers": f"from {service} import store\nfrom {service}.domain import rules",
            "store": f"import asyncpg\nfrom {service}.domain import rules",
            "clients": f"import shared.runtime.clock\nfrom {service}.domain import rules",
        }
        for layer in LAYERS:
            name = f"{layer}.py" if service in MODULES else f"{layer}/__init__.py"
            files[f"{service}/{name}"] = arrows[layer]
    files |= {
        "rating/handlers/usage.py": "",
        "rating/api/charges.py": "",
        "rating/domain/rules.py": "from rating.domain import proration",
        "rating/domain/proration.py": "",
        "ingest/domain/changes.py": "",
        "tax/domain/rates.py": "",
        "payments/domain/charge.py": "",
        "payments/clients/stripe.py": "",
        "payments/store/attempts.py": "",
    }
    return files


def grow(tree: Path, planted: Planted | None) -> None:
    files = skeleton()
    if planted is not None:
        files[planted.path] = f"{files.get(planted.path, '')}\n{planted.line}\n"
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    """All trees, linted by one process: most of the time is starting it."""
    root = tmp_path_factory.mktemp("trees")
    cases: list[Planted | None] = [None, *PLANTED]
    for number, case in enumerate(cases):
        grow(root / _name(number), case)
    trees = [str(root / _name(number)) for number in range(len(cases))]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(CONFIGURATION), *trees],
        capture_output=True,
        text=True,
        check=True,
    )
    verdicts: dict[str, Verdict] = json.loads(done.stdout.splitlines()[-1])
    return verdicts


def _name(number: int) -> str:
    return f"case-{number:02d}"


def test_our_own_tree_keeps_every_contract() -> None:
    """The same as `lint-imports` by hand."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-3000:]


def test_a_tree_with_everything_in_its_place_is_kept(verdicts: dict[str, Verdict]) -> None:
    """Otherwise the planted violations below would prove nothing."""
    assert verdicts[_name(0)]["kept"], verdicts[_name(0)]["report"]


@pytest.mark.parametrize("number", range(1, len(PLANTED) + 1), ids=[case.id for case in PLANTED])
def test_a_planted_violation_is_caught(verdicts: dict[str, Verdict], number: int) -> None:
    """By the contract that is there for it, naming the module and the line."""
    planted, verdict = PLANTED[number - 1], verdicts[_name(number)]

    assert not verdict["kept"]
    assert f"{planted.contract} BROKEN" in verdict["report"], verdict["report"]
    assert planted.reported in verdict["report"], verdict["report"]
