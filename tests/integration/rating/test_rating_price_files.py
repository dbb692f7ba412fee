"""`tieout prices` against a rating that listens: diff, apply, approve, export, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from typer.testing import CliRunner, Result

from shared.runtime.auth import Caller
from stack.cli import app
from support.in_process import EverybodyIs, InProcess
from support.rating_facts import (
    PREMIUM,
    PREMIUM_MONTHLY,
    alder_changes,
    contract,
    cycle_closed,
    sheet,
)
from support.rating_service import amounts, tell

ALDER = contract()
SHEET = sheet([(PREMIUM, "18.04", "22.55"), (PREMIUM_MONTHLY, "21.65", "27.06")])
FACTS = [ALDER, SHEET, *alder_changes(), cycle_closed(ALDER, "2026-05-01")]

TARIFF = f"""\
reason: tariff of May
rules:
  ALD-PREMIUM:
    for: {{contract: ALD-1, product: "{PREMIUM.key}"}}
    price: {{fixed: AMOUNT USD}}
    from: 2026-01-01
promotions:
  P10:
    name: Spring
    for: {{product: "{PREMIUM_MONTHLY.key}"}}
    percent_off: 10 %
    from: 2026-01-01
fx_rates:
  - {{from: USD, to: EUR, on: 2026-04-30, rate: 0.9184, source: ECB}}
"""


@asynccontextmanager
async def listening(rating: InProcess) -> AsyncIterator[str]:
    """The service's address."""
    config = uvicorn.Config(rating.app, port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


async def tieout(url: str, *words: str) -> Result:
    """The command, as somebody types it."""
    arguments = ["prices", *words, "--url", url, "--token", "test"]
    return await asyncio.to_thread(CliRunner().invoke, app, arguments)


def be(rating: InProcess, subject: str) -> None:
    scopes = frozenset({"billing:read", "pricing:admin"})
    rating.app.state.verifier = EverybodyIs(Caller(subject=subject, scopes=scopes))


async def test_a_file_is_reviewed_applied_and_exported(rating: InProcess, tmp_path: Path) -> None:
    """diff shows the money and writes nothing; apply is idempotent; an export is what was applied,
    and ending a rule is shown as such."""
    await tell(rating, FACTS)
    before = await amounts(rating)
    file = tmp_path / "prices.yaml"
    file.write_text(TARIFF.replace("AMOUNT", "23.00"))
    async with listening(rating) as url:
        be(rating, "ann")
        shown = await tieout(url, "diff", str(file))
        assert (1, before) == (shown.exit_code, await amounts(rating))
        for expected in (
            "added    price-rule/ALD-PREMIUM  fixed 23.00 USD",
            "added    promotion/P10",
            "added    fx-rate/USD-EUR/2026-04-30  0.9184 (ECB)",
            "969.65",
            "989.00",
            "-16.24",
        ):
            assert expected in shown.output
        applied = await tieout(url, "apply", str(file))
        assert "active   price-rule/ALD-PREMIUM version 1" in applied.output
        again = await tieout(url, "apply", str(file))
        nothing = await tieout(url, "diff", str(file))
        assert again.output == nothing.output
        assert (again.exit_code, nothing.exit_code) == (0, 0)
        exported = await tieout(url, "export")
        copy = tmp_path / "copy.yaml"
        copy.write_text(exported.output)
        assert nothing.output == (await tieout(url, "diff", str(copy))).output
        since = "    from: '2026-01-01'\n"
        file.write_text(exported.output.replace(since, f"{since}    until: '2026-02-01'\n", 1))
        ended = await tieout(url, "diff", str(file))
        assert "ended    price-rule/ALD-PREMIUM" in ended.output
        assert "valid_until: none → 2026-02-01" in ended.output


async def test_what_moves_too_much_waits_for_somebody_else(
    rating: InProcess, tmp_path: Path
) -> None:
    """The author is told what to type and refused; the second person's word makes it active."""
    await tell(rating, FACTS)
    file = tmp_path / "prices.yaml"
    file.write_text(TARIFF.replace("AMOUNT", "60.00"))
    async with listening(rating) as url:
        be(rating, "ann")
        assert (
            "needs the approval of a second person" in (await tieout(url, "diff", str(file))).output
        )
        applied = await tieout(url, "apply", str(file), "--reason", "dearer")
        assert "waiting  price-rule/ALD-PREMIUM version 1" in applied.output
        change = applied.output.split()[-1]
        assert f"{change}: dearer, by ann" in (await tieout(url, "waiting")).output
        refused = await tieout(url, "approve", change)
        assert (refused.exit_code, "approver_is_author" in refused.output) == (77, True)
        be(rating, "bob")
        approved = await tieout(url, "approve", change, "--reason", "checked")
        assert "active   price-rule/ALD-PREMIUM version 1" in approved.output
        assert "Nothing waits." in (await tieout(url, "waiting")).output


async def test_a_file_with_mistakes_reaches_nobody(tmp_path: Path) -> None:
    """Its mistakes are told with their places; nothing has to listen."""
    file = tmp_path / "prices.yaml"
    file.write_text("rules:\n  A: {price: {fixed: 1}, from: never}\n")
    told = await tieout("http://127.0.0.1:9", "apply", str(file))
    assert told.exit_code == 69
    assert f"{file}:2:15: rules.A.price.fixed" in told.output
    assert f"{file}:2:26: rules.A.from" in told.output
