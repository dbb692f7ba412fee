"""Usage from the provider's exports to batches on the bus: versions, totals, crashes, bad files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from ingest.handlers import exporting, loading, usage_loading
from ingest.store import exports as export_store
from integration.ingest.conftest import Scene
from shared.contracts.ingest import USAGE_BUCKETS, UsageBatchRecorded, UsageFileClosed
from shared.contracts.usage_frame import UsageLine, lines_of, open_frame
from shared.kernel.ids import bucket_of
from support.partner_center import ALDER, BIRCH

INVOICE = "G000426001"


def line(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "customerId": BIRCH if number % 3 else ALDER,
        "entitlementId": "AZ-1",
        "usageDate": f"2026-04-{number % 30 + 1:02d}",
        "meterCategory": "Virtual Machines",
        "meterId": "vm-d4",
        "quantity": f"{number}.5",
        "unitPrice": "0.2304",
        "rateOfPartnerEarnedCredit": "0.15",
        "additionalInfo": f'{{"lineId":"u{number}"}}',
        **changes,
    }


async def publish(scene: Scene, lines: Sequence[dict[str, Any]], **data: Any) -> dict[str, Any]:
    """The provider has lines to export; the version they got."""
    body = {
        "invoice_number": INVOICE, "billing_month": "2026-04", "currency": "EUR",
        "exchange_rate": "0.91840", "exchange_rate_date": "2026-04-30", "lines": list(lines),
        **data,
    }  # fmt: skip
    told: dict[str, Any] = await scene.partner.pull("POST", "/usage", body)
    return told


async def invoice(scene: Scene) -> None:
    await scene.partner.pull(
        "POST", "/invoices",
        {"id": INVOICE, "invoice_date": "2026-05-08", "period_start": "2026-04-01",
         "period_end": "2026-04-30", "currency": "EUR"},
    )  # fmt: skip


async def order(scene: Scene, **body: Any) -> str:
    given = body or {"kind": "billed", "invoice_number": INVOICE}
    made = await scene.ingest.ok("POST", "/v1/usage-exports", json=given)
    return str(made["id"])


async def export(scene: Scene, **body: Any) -> dict[str, Any]:
    """A whole export, waits cut short; the row that tells of it."""
    return await finish(scene, await order(scene, **body))


async def finish(scene: Scene, export_id: str) -> dict[str, Any]:
    for _ in range(40):
        await scene.ingest.work("exports")
        row: dict[str, Any] = await scene.ingest.ok("GET", f"/v1/usage-exports/{export_id}")
        if row["state"] in ("done", "failed"):
            return row
        await scene.execute("UPDATE export SET due_at = now()")
    raise AssertionError(f"the export never ends: {row}")


async def batches(scene: Scene, *, after: int = 0) -> list[UsageBatchRecorded]:
    return await scene.ingest.harness.published(UsageBatchRecorded, after=after)


async def closed(scene: Scene, *, after: int = 0) -> list[UsageFileClosed]:
    return await scene.ingest.harness.published(UsageFileClosed, after=after)


def read(found: Sequence[UsageBatchRecorded]) -> list[UsageLine]:
    lines = [x for batch in found for x in lines_of(open_frame(batch.frame)[1])]
    return sorted(lines, key=lambda x: x.line_number)


async def test_every_line_of_two_blobs_arrives_once_with_its_digits(scene: Scene) -> None:
    """Two blobs, several gzip members in each, chunks of four lines."""
    await invoice(scene)
    await scene.partner.switch(blob_lines=6, gzip_member_lines=2)
    told = await publish(scene, [line(n) for n in range(1, 12)])

    row = await export(scene)

    assert (row["state"], row["outcome"]) == ("done", "loaded")
    found = await batches(scene)
    lines = read(found)
    assert [x.line_id for x in lines] == [f"u{n}" for n in range(1, 12)]
    assert [x.quantity for x in lines] == [Decimal(f"{n}.5") for n in range(1, 12)]
    assert {x.provider_rate for x in lines} == {Decimal("0.9184")}
    [file] = await closed(scene)
    assert (file.version, file.data_set, file.estimate) == (
        told["etag"], f"billed/{INVOICE}", False,
    )  # fmt: skip
    assert (file.control.lines, file.control.batches) == (11, len(found))
    assert file.control.quantity == sum((x.quantity for x in lines), Decimal(0))
    assert file.control.billing_pretax == sum((x.billing_pretax for x in lines), Decimal(0))
    assert (str(file.billing_period.start), str(file.billing_period.end)) == (
        "2026-04-01", "2026-05-01",
    )  # fmt: skip


async def test_a_batch_holds_lines_of_one_bucket_and_knows_its_address(scene: Scene) -> None:
    """Rating reads by bucket and finds a line by source and row."""
    await publish(scene, [line(n) for n in range(1, 12)])

    row = await export(scene)

    found = await batches(scene)
    for batch in found:
        header, table = open_frame(batch.frame)
        owners = {bucket_of(x.customer_id, USAGE_BUCKETS) for x in lines_of(table)}
        assert owners == {batch.bucket}
        assert batch.src == f"{header.file_id}/{header.number}"
        assert header.file_id == row["file_id"]
    numbers = [open_frame(batch.frame)[0].number for batch in found]
    assert numbers == list(range(len(found)))


async def test_the_same_version_is_loaded_once(scene: Scene) -> None:
    """The second export says so; so does a hundredth."""
    await publish(scene, [line(n) for n in range(1, 6)])
    first = await export(scene)
    mark = await scene.ingest.harness.mark()

    second = await export(scene)

    assert (second["state"], second["outcome"]) == ("done", "unchanged")
    assert second["file_id"] == first["file_id"]
    assert "already" in second["reason"]
    assert await scene.ingest.harness.outbox(after=mark) == []


async def test_a_new_version_is_another_file_of_the_same_data_set(scene: Scene) -> None:
    """It replaces the data set; who reads it decides by data set and version."""
    await publish(scene, [line(1), line(2)])
    first = await export(scene)
    mark = await scene.ingest.harness.mark()
    told = await publish(scene, [line(1), line(2, quantity="9")])

    second = await export(scene)

    assert second["file_id"] != first["file_id"]
    [file] = await closed(scene, after=mark)
    assert (file.version, file.data_set) == (told["etag"], f"billed/{INVOICE}")
    assert len(read(await batches(scene, after=mark))) == 2


async def test_a_version_that_comes_back_is_loaded_again(scene: Scene) -> None:
    """A correction that the provider takes back: who reads follows to what is there now."""
    one, other = [line(1), line(2)], [line(1), line(2, quantity="9")]
    rows, told = [], []
    for lines in (one, other, one, one, other, one):
        told.append((await publish(scene, lines))["etag"])
        rows.append(await export(scene))

    assert [row["outcome"] for row in rows] == [*["loaded"] * 3, "unchanged", *["loaded"] * 2]
    files = await closed(scene)
    assert told[0] == told[2]
    assert [file.version for file in files] == [
        told[0], told[1], f"{told[0]}#2", f"{told[1]}#2", f"{told[0]}#3",
    ]  # fmt: skip
    assert len({file.file_id for file in files}) == 5
    assert {file.data_set for file in files} == {f"billed/{INVOICE}"}
    assert len(read(await batches(scene))) == 10


async def test_a_load_that_was_overtaken_by_a_newer_version_is_not_finished(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed last, it would count, and the newer version would be taken for loaded."""
    await publish(scene, [line(1), line(2)])
    late = await order(scene)
    killed: list[object] = []

    async def dies(work: object) -> None:
        killed.append(work)
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(loading, "load_usage", dies)
        while not killed:
            await scene.ingest.work("exports")
            await scene.execute("UPDATE export SET due_at = now()")
        await scene.execute("UPDATE export SET due_at = now() + interval '1 hour'")
    await publish(scene, [line(1), line(2, quantity="9")])
    assert (await export(scene))["outcome"] == "loaded"

    await scene.execute("UPDATE export SET due_at = now() WHERE id = $1", late)
    row = await finish(scene, late)

    assert (row["state"], row["outcome"]) == ("done", "superseded")
    [file] = await closed(scene)
    assert file.file_id != row["file_id"]


async def test_bad_lines_are_quarantined_with_their_reason_and_the_rest_goes_on(
    scene: Scene,
) -> None:
    """Lines in = lines published + lines refused."""
    await publish(scene, [line(1), line(2, customerId=""), line(3)])

    row = await export(scene)

    [file] = await closed(scene)
    assert (file.control.lines, file.quarantined) == (2, 1)
    listed = await scene.ingest.ok("GET", f"/v1/quarantine?source_id={row['file_id']}")
    [refused] = listed["data"]
    assert (refused["line_number"], refused["code"]) == (2, "customer_missing")
    assert '"lineId\\":\\"u2' in refused["raw"]
    shown = await scene.ingest.ok("GET", f"/v1/usage-files/{row['file_id']}")
    assert (shown["lines_read"], shown["lines"], shown["quarantined"]) == (3, 2, 1)


async def test_any_line_can_be_seen_as_the_provider_sent_it(scene: Scene) -> None:
    """By file and line number, across chunks."""
    await publish(scene, [line(n) for n in range(1, 12)])
    row = await export(scene)

    for number in (1, 4, 5, 11):
        path = f"/v1/usage-files/{row['file_id']}/lines/{number}"
        shown = await scene.ingest.ok("GET", path)
        assert shown["line"]["additionalInfo"] == f'{{"lineId":"u{number}"}}'
        assert f'"quantity":{number}.5' in shown["raw"]
    missing = await scene.ingest.http.get(f"/v1/usage-files/{row['file_id']}/lines/12")
    assert (missing.status_code, missing.json()["code"]) == (404, "usage_line_unknown")


class Killed(BaseException):
    """The process is gone."""


async def test_a_worker_killed_between_chunks_is_resumed_at_the_chunk(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed is not published again, what is not is not lost."""
    await publish(scene, [line(n) for n in range(1, 12)])
    export_id = await order(scene)
    prepare, calls = usage_loading.prepare, []

    def dies_at_the_second(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise Killed
        return prepare(*given)

    with monkeypatch.context() as patched:
        patched.setattr(usage_loading, "prepare", dies_at_the_second)
        with pytest.raises(Killed):
            await finish(scene, export_id)
    before = await batches(scene)
    await scene.execute("UPDATE export SET leased_until = now()")

    row = await finish(scene, export_id)

    found = await batches(scene)
    assert row["outcome"] == "loaded"
    assert len(read(before)) == 4
    assert found[: len(before)] == before
    assert [x.line_id for x in read(found)] == [f"u{n}" for n in range(1, 12)]
    assert (await closed(scene))[0].control.lines == 11


async def test_a_lease_lasts_as_long_as_the_work(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than it was taken for: nobody else gets the export meanwhile."""
    await publish(scene, [line(1)])
    export_id = await order(scene)
    monkeypatch.setattr(export_store, "LEASE_S", 0.3)
    load, until = exporting.load, "SELECT leased_until FROM export"
    claims: list[Any] = []

    async def slow(*given: Any) -> None:
        [first] = await scene.fetch(until)
        async with asyncio.timeout(10):
            while not await scene.fetch(
                "SELECT true WHERE now() > $1::timestamptz + interval '0.3 seconds'",
                first["leased_until"],
            ):
                async with scene.ingest.service.database.transaction() as tx:
                    claims.append(
                        await export_store.claim_export(tx, "other", account_id="default")
                    )
        await load(*given)

    monkeypatch.setattr(exporting, "load", slow)

    row = await finish(scene, export_id)

    assert claims
    assert set(claims) == {None}
    assert (row["state"], row["attempts"]) == ("done", 0)


async def test_work_whose_lease_was_taken_is_cancelled_and_changes_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other worker's state stays as it is."""
    await publish(scene, [line(1)])
    await order(scene)
    monkeypatch.setattr(export_store, "LEASE_S", 0.06)

    async def robbed(*_: Any) -> None:
        await scene.execute(
            "UPDATE export SET lease = 'other', leased_until = now() + interval '1 hour'"
        )
        await asyncio.Event().wait()

    monkeypatch.setattr(exporting, "_poll", robbed)
    await scene.execute("UPDATE export SET operation_id = 'op'")
    async with asyncio.timeout(10):
        await scene.ingest.work("exports")

    [row] = await scene.fetch("SELECT lease, attempts, reason FROM export")
    assert (row["lease"], row["attempts"], row["reason"]) == ("other", 0, None)


async def test_a_defect_counts_and_leaves_a_reason(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is raised for the log each time, and the export does not repeat for ever."""

    async def broken(*_: Any) -> None:
        raise KeyError("eTag")

    monkeypatch.setattr(exporting, "load", broken)
    await publish(scene, [line(1)])
    export_id = await order(scene)
    seen = []
    for _ in range(exporting.TRIES):
        with pytest.raises(KeyError):
            await finish(scene, export_id)
        seen.append(await scene.ingest.ok("GET", f"/v1/usage-exports/{export_id}"))
        await scene.execute("UPDATE export SET due_at = now()")

    assert {row["reason"] for row in seen} == {"defect: KeyError('eTag')"}
    assert [row["state"] for row in seen[-2:]] == ["running", "failed"]
    assert [row["attempts"] for row in seen[:2]] == [1, 2]


async def test_an_interrupted_load_gives_the_same_batches_as_an_undisturbed_one(
    scene: Scene,
) -> None:
    """Ids and bytes do not depend on where it broke."""
    await scene.partner.switch(blob_lines=5)
    await publish(scene, [line(n) for n in range(1, 12)])
    fault = {"kind": "status", "status": 500, "times": 1, "match": {"path": "part-00001"}}
    await scene.partner.pull("POST", "/faults", fault)

    row = await export(scene)

    assert (row["state"], row["attempts"]) == ("done", 1)
    found = await batches(scene)
    assert len({batch.src for batch in found}) == len(found)
    assert [x.line_number for x in read(found)] == list(range(1, 12))


async def test_a_truncated_blob_is_not_taken_for_complete(scene: Scene) -> None:
    """Never closed; read again when the provider has the whole of it."""
    told = await publish(scene, [line(n) for n in range(1, 12)])
    blobs = scene.partner.simulator.shop.exports._blobs
    [name] = [n for n in blobs._held if told["etag"] in n]
    whole = blobs._held[name]
    blobs._held[name] = whole[: len(whole) // 2]
    export_id = await order(scene)
    for _ in range(3):
        await scene.ingest.work("exports")
        await scene.execute("UPDATE export SET due_at = now()")
    waiting = await scene.ingest.ok("GET", f"/v1/usage-exports/{export_id}")
    assert await closed(scene) == []
    blobs._held[name] = whole

    row = await finish(scene, export_id)

    assert "gzip member" in waiting["reason"]
    assert row["outcome"] == "loaded"
    assert [x.line_number for x in read(await batches(scene))] == list(range(1, 12))


async def test_a_blob_that_stays_truncated_ends_as_failed_with_the_reason(scene: Scene) -> None:
    """A person sees it; nothing was closed."""
    told = await publish(scene, [line(1)])
    blobs = scene.partner.simulator.shop.exports._blobs
    [name] = [n for n in blobs._held if told["etag"] in n]
    blobs._held[name] = blobs._held[name][:-9]

    row = await export(scene)

    assert (row["state"], "gzip" in row["reason"]) == ("failed", True)
    assert await closed(scene) == []
    assert len(await scene.audit("export.failed")) == 1


async def test_links_that_expired_are_asked_for_again(scene: Scene) -> None:
    """410 is no failure, and the manifest may be a link of its own."""
    await scene.partner.switch(inline_manifest=False, export_polls=2)
    await publish(scene, [line(1)])
    export_id = await order(scene)
    await scene.ingest.work("exports")
    await scene.partner.pull("POST", "/exports/expire")

    row = await finish(scene, export_id)

    assert row["outcome"] == "loaded"


async def waiting(scene: Scene, export_id: str, kind: str = "usage") -> dict[str, Any]:
    """The export after it asked once more, if its time has come."""
    for _ in range(3):
        await scene.ingest.work("exports")
        await scene.execute("UPDATE export SET due_at = now()")
    row: dict[str, Any] = await scene.ingest.ok("GET", f"/v1/{kind}-exports/{export_id}")
    return row


async def open_work(scene: Scene) -> int:
    async with scene.ingest.service.database.read() as reader:
        return await export_store.count_open_exports(reader, account_id="default")


async def test_an_invoice_whose_lines_are_not_there_yet_is_waited_for(scene: Scene) -> None:
    """It is said in the provider's words until when; then they are loaded."""
    row = await waiting(scene, await order(scene))

    assert (row["state"], row["reason"]) == ("waiting", "5000: No data available")
    assert row["waits_until"] == "2026-04-14T15:12:00Z"
    assert await open_work(scene) == 0
    await publish(scene, [line(1)])
    assert (await waiting(scene, row["id"]))["state"] == "waiting"

    await scene.at("2026-04-14T15:12:00+00:00")
    assert await open_work(scene) == 1
    row = await finish(scene, row["id"])

    assert (row["state"], row["outcome"], row["reason"]) == ("done", "loaded", None)
    assert len(await closed(scene)) == 1


@pytest.mark.parametrize(
    ("kind", "state", "outcome"),
    [("usage", "done", "no_data"), ("reconciliation", "failed", None)],
)
async def test_an_invoice_that_stays_without_lines_is_an_answer_and_can_be_asked_for_again(
    scene: Scene, kind: str, state: str, outcome: str | None
) -> None:
    """Not everybody uses Azure; but an invoice without any line is none."""
    body = {"invoice_number": INVOICE} | ({"kind": "billed"} if kind == "usage" else {})
    made = await scene.ingest.ok("POST", f"/v1/{kind}-exports", json=body)
    await waiting(scene, made["id"], kind)
    await scene.at("2026-04-24T09:12:00+00:00")
    row = await waiting(scene, made["id"], kind)
    assert (row["state"], row["outcome"]) == (state, outcome)
    assert "No data available" in row["reason"]

    again = await scene.ingest.ok("POST", f"/v1/{kind}-exports/{made['id']}:retry")
    assert again == {"id": made["id"], "state": "pending"}
    row = await waiting(scene, made["id"], kind)

    assert (row["state"], row["waits_until"]) == ("waiting", "2026-04-24T15:12:00Z")
    assert len(await scene.audit("export.resumed")) == 1


async def test_open_usage_that_does_not_exist_is_an_answer(scene: Scene) -> None:
    """Nobody used anything in this period yet; order it again tomorrow."""
    row = await export(scene, kind="unbilled", currency="EUR", period="current")

    assert (row["state"], row["outcome"]) == ("done", "no_data")
    assert row["reason"] == "5000: No data available"


async def test_an_export_that_is_loaded_is_not_asked_for_again(scene: Scene) -> None:
    """A new order does that."""
    await publish(scene, [line(1)])
    row = await export(scene)

    loaded = await scene.ingest.http.post(f"/v1/usage-exports/{row['id']}:retry")
    unknown = await scene.ingest.http.post(f"/v1/reconciliation-exports/{row['id']}:retry")

    assert (loaded.status_code, loaded.json()["code"]) == (409, "export_not_resumable")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "export_unknown")


async def test_open_usage_is_an_estimate_of_the_running_month(scene: Scene) -> None:
    """Never invoiced: rated as a preview."""
    await publish(scene, [line(1)], invoice_number=None, period="current")

    await export(scene, kind="unbilled", currency="EUR", period="current")

    [file] = await closed(scene)
    assert (file.estimate, file.invoice_number) == (True, None)
    assert file.data_set == "unbilled/EUR/current"
    assert str(file.billing_period.start) == "2026-04-01"


async def test_two_exports_of_one_version_load_it_once(scene: Scene) -> None:
    """Ordered twice before the first one ran."""
    await publish(scene, [line(n) for n in range(1, 12)])
    first, second = await order(scene), await order(scene)

    rows = [await finish(scene, export_id) for export_id in (first, second)]

    assert sorted(row["outcome"] for row in rows) == ["loaded", "unchanged"]
    assert [x.line_number for x in read(await batches(scene))] == list(range(1, 12))
    assert len(await closed(scene)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "billed"},
        {"kind": "billed", "invoice_number": "G1", "currency": "EUR"},
        {"kind": "unbilled", "currency": "EUR"},
        {"kind": "unbilled", "currency": "EUR", "period": "next"},
        {"kind": "billed", "invoice_number": "../G1"},
        {"kind": "billed", "invoice_number": "G1", "more": 1},
    ],
)
async def test_orders_that_name_no_data_set_are_refused(scene: Scene, body: dict[str, Any]) -> None:
    """Before anything is stored."""
    answer = await scene.ingest.http.post("/v1/usage-exports", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert (await scene.ingest.ok("GET", "/v1/usage-exports"))["data"] == []
