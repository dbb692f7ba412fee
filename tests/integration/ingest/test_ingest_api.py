"""Who may do what over HTTP, and how lists are paged."""

from __future__ import annotations

import pytest

from integration.ingest.conftest import Scene
from shared.kernel.clock import FrozenClock
from shared.runtime.auth import Caller
from support.in_process import in_process
from support.partner_center import ALDER, ANNUAL, MONTHLY


async def test_readers_read_and_operators_operate(scene: Scene, clock: FrozenClock) -> None:
    """A token for reading orders nothing; prices need their own scope."""
    orders = {
        "/v1/syncs": {},
        "/v1/usage-exports": {"kind": "billed", "invoice_number": "G1"},
        "/v1/reconciliation-exports": {"invoice_number": "G1"},
        "/v1/price-sheets:import": {"market": "US", "currency": "USD"},
        "/v1/webhook-registrations": {"callback_url": "http://x/y"},
    }
    service = scene.ingest.service
    service.closing = ()
    async with in_process(service, clock, scopes="billing:read") as reader:
        statuses = {path: (await reader.http.post(path, json=body)).status_code
                    for path, body in orders.items()}  # fmt: skip
        listed = await reader.http.get("/v1/subscriptions")

    assert set(statuses.values()) == {403}
    assert listed.status_code == 200
    assert isinstance(Caller("x", frozenset()), Caller)


async def test_the_mirror_is_paged_by_subscription(scene: Scene) -> None:
    """A cursor leads to the next page; the last page has none."""
    await scene.sync()

    first = await scene.ingest.ok("GET", "/v1/subscriptions?limit=1")
    path = f"/v1/subscriptions?limit=1&cursor={first['next_cursor']}"
    second = await scene.ingest.ok("GET", path)
    third = await scene.ingest.ok("GET", f"/v1/subscriptions?cursor={second['next_cursor']}")
    of_alder = await scene.ingest.ok("GET", f"/v1/subscriptions?customer_id={ALDER}")

    ids = [row["subscription_id"] for page in (first, second) for row in page["data"]]
    assert ids == sorted([ANNUAL, MONTHLY])
    assert third == {"data": [], "next_cursor": None}
    assert len(of_alder["data"]) == 2


async def test_exports_are_paged_newest_first(scene: Scene) -> None:
    """By time and id."""
    made = [
        (await scene.ingest.ok(
            "POST", "/v1/reconciliation-exports", json={"invoice_number": f"G{n}"}
        ))["id"]
        for n in range(3)
    ]  # fmt: skip

    seen, cursor = [], ""
    while True:
        page = await scene.ingest.ok("GET", f"/v1/reconciliation-exports?limit=2{cursor}")
        seen += [row["id"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert sorted(seen) == sorted(made)
    assert seen == sorted(made, reverse=True)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/subscriptions/nope", "subscription_unknown"),
        ("/v1/changes/nope", "change_unknown"),
        ("/v1/usage-exports/nope", "export_unknown"),
        ("/v1/reconciliation-exports/nope", "export_unknown"),
        ("/v1/price-sheets/nope", "import_unknown"),
        ("/v1/syncs/nope", "sync_unknown"),
        ("/v1/usage-files/nope", "usage_file_unknown"),
        ("/v1/usage-files/nope/lines/1", "usage_line_unknown"),
    ],
)
async def test_what_does_not_exist_is_said_to(scene: Scene, path: str, code: str) -> None:
    """404 with a code."""
    answer = await scene.ingest.http.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize(
    "path", ["/v1/syncs", "/v1/usage-exports", "/v1/price-sheets", "/v1/quarantine"]
)
async def test_a_foreign_cursor_is_refused(scene: Scene, path: str) -> None:
    """Opaque, and checked."""
    for cursor in ("nonsense", "WzFd", "eyJhIjoxfQ", "WyJhIl0", "W10", "W251bGxd"):
        answer = await scene.ingest.http.get(f"{path}?cursor={cursor}")
        assert answer.status_code in (200, 422), answer.text
        assert answer.status_code == 200 or answer.json()["code"] == "cursor_invalid"


async def test_a_registration_without_an_address_is_refused(scene: Scene) -> None:
    """Neither in the order nor configured."""
    answer = await scene.ingest.http.post("/v1/webhook-registrations", json={})

    assert (answer.status_code, answer.json()["code"]) == (422, "callback_url_missing")
