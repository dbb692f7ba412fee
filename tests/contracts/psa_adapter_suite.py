"""What every PSA adapter owes the sending job, whatever the vendor: one suite, run per vendor.

A vendor supplies a `Bench`: how to build its client, works whose operations are new to the PSA, and
where in the vendor's API a write arrives. The suite knows nothing else of the vendor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import pytest

from psa_connector.clients.psa import (
    Denied,
    PsaClient,
    Refused,
    Throttled,
    Timing,
    Unavailable,
    Work,
    WriteUnknown,
)
from psa_connector.clients.vendors import Clients
from psa_connector.domain.adopting import LINES, rivals
from psa_connector.domain.connection import Connection
from psa_connector.domain.operations import kind_of, product_of
from psa_connector.domain.outcomes import Done, Write
from psa_connector.domain.verdicts import judge
from shared.runtime.retry import Backoff
from shared.runtime.sealing import Sealer, new_key
from support.psa_world import CREDENTIALS, Simulators

FAST = Timing(
    timeout_s=5.0, facts_s=60.0, reads=Backoff(first_s=0.01, longest_s=0.05, total_s=3, attempts=5)
)


@dataclass
class Bench:
    """A vendor on the bench."""

    vendor: str
    vendors: Simulators
    works: tuple[Work, ...]  # one per kind of operation; none of them is in the PSA
    write_paths: tuple[str, ...]  # regular expressions, parallel to `works`
    read_method: str
    count: Callable[[], Awaitable[int]]  # records that writes of `works` made
    unlike: Work  # an operation the vendor refuses

    @asynccontextmanager
    async def client(self, **credentials: str) -> AsyncIterator[PsaClient]:
        sealer = Sealer([new_key()])
        clients = Clients(FAST, sealer)
        connection = Connection(
            id="bench",
            vendor=self.vendor,
            base_url=f"{self.vendors.url}/{self.vendor}",
            credentials={
                name: sealer.seal(secret)
                for name, secret in (CREDENTIALS[self.vendor] | credentials).items()
            },
            settings={},
            version=1,
        )
        try:
            yield clients.of(connection)
        finally:
            await clients.close()

    async def fault(self, path: str, kind: str, **more: Any) -> None:
        await self.vendors.fault(self.vendor, "POST", path, kind, **more)


async def wanted(client: PsaClient, work: Work) -> Write:
    verdict = judge(work.operation, await client.observe(work))
    assert isinstance(verdict, Write)
    return verdict


class PsaAdapterSuite:
    """Subclasses supply the fixture `bench`."""

    async def test_what_is_not_there_asks_for_one_write(self, bench: Bench) -> None:
        """Looking changes nothing."""
        async with bench.client() as client:
            for work in bench.works:
                await wanted(client, work)

        assert await bench.count() == 0

    async def test_what_was_written_is_seen_by_another_process_g2(self, bench: Bench) -> None:
        """A client without any memory finds the record, and finds it equal."""
        async with bench.client() as client:
            for work in bench.works:
                written = await client.write(work, await wanted(client, work))
                assert written.external_id
                assert len(written.request_hash) == 64
        async with bench.client() as other:
            for work in bench.works:
                assert isinstance(judge(work.operation, await other.observe(work)), Done)

        assert await bench.count() == len(bench.works)

    async def test_a_lost_reply_is_unknown_and_then_seen_g3(self, bench: Bench) -> None:
        """The write arrived: the next look is proof."""
        async with bench.client() as client:
            for work, path in zip(bench.works, bench.write_paths, strict=True):
                write = await wanted(client, work)
                await bench.fault(path, "drop_after_commit")
                with pytest.raises(WriteUnknown):
                    await client.write(work, write)
                assert isinstance(judge(work.operation, await client.observe(work)), Done)

        assert await bench.count() == len(bench.works)

    async def test_a_lost_request_is_unknown_and_not_seen_g3(self, bench: Bench) -> None:
        """From outside it looks like a lost reply; only looking tells."""
        async with bench.client() as client:
            for work, path in zip(bench.works, bench.write_paths, strict=True):
                write = await wanted(client, work)
                await bench.fault(path, "drop_before")
                with pytest.raises(WriteUnknown):
                    await client.write(work, write)
                await wanted(client, work)

        assert await bench.count() == 0

    @pytest.mark.parametrize("status", [500, 502, 504])
    async def test_an_error_page_after_a_write_is_unknown_g3(
        self, bench: Bench, status: int
    ) -> None:
        """A proxy's HTML is no word of the vendor about the record."""
        async with bench.client() as client:
            for work, path in zip(bench.works, bench.write_paths, strict=True):
                write = await wanted(client, work)
                await bench.fault(path, "html_body", status=status)
                with pytest.raises(WriteUnknown):
                    await client.write(work, write)

    async def test_a_write_that_is_too_late_never_leaves_g3(self, bench: Bench) -> None:
        """Its lease may be somebody else's by the time it arrives."""
        async with bench.client() as client:
            for work in bench.works:
                write = await wanted(client, work)
                with pytest.raises(Unavailable, match="within the lease"):
                    await client.write(replace(work, leave_by=monotonic() - 0.001), write)

        assert await bench.count() == 0

    async def test_a_write_is_never_repeated_g3(self, bench: Bench) -> None:
        """One call, one request, whatever the answer."""
        async with bench.client() as client:
            for work, path in zip(bench.works, bench.write_paths, strict=True):
                write = await wanted(client, work)
                await bench.fault(path, "status", status=503)
                with pytest.raises(WriteUnknown):
                    await client.write(work, write)

                assert len(await bench.vendors.calls(bench.vendor, "POST", path)) == 1

    async def test_throttling_says_how_long_g3(self, bench: Bench) -> None:
        """429 had no effect; the vendor's own figure is kept."""
        async with bench.client() as client:
            for work, path in zip(bench.works, bench.write_paths, strict=True):
                write = await wanted(client, work)
                await bench.fault(path, "status", status=429, retry_after=17)
                with pytest.raises(Throttled) as throttled:
                    await client.write(work, write)
                assert throttled.value.wait_s == 17

        assert await bench.count() == 0

    async def test_reads_are_repeated_g4(self, bench: Bench) -> None:
        """Twice unavailable, then there: nobody notices."""
        async with bench.client() as client:
            work = bench.works[0]
            await wanted(client, work)
            await bench.vendors.fault(
                bench.vendor, bench.read_method, "", "status", status=503, times=2
            )
            await wanted(client, work)

    async def test_a_read_that_never_succeeds_wrote_nothing_g4(self, bench: Bench) -> None:
        """Unavailable is safe to try again later."""
        async with bench.client() as client:
            await bench.vendors.fault(
                bench.vendor, bench.read_method, "", "html_body", status=503, times=50
            )
            with pytest.raises(Unavailable):
                await client.observe(bench.works[0])
        await bench.vendors.heal(bench.vendor)

    async def test_refused_credentials_are_the_connections_g8(self, bench: Bench) -> None:
        """No record is to blame, and the secret is not in the words."""
        secret = "s3cret-that-must-not-show"
        name = {"connectwise": "private_key", "autotask": "secret"}[bench.vendor]
        async with bench.client(**{name: secret}) as client:
            with pytest.raises(Denied) as denied:
                await client.observe(bench.works[0])

        assert secret not in str(denied.value)

    async def test_a_refusal_is_told_in_the_vendors_words_g3(self, bench: Bench) -> None:
        """Repeating it cannot help."""
        async with bench.client() as client:
            with pytest.raises(Refused) as refused:
                await client.write(bench.unlike, Write())

        assert len(str(refused.value)) > 10

    async def test_facts_about_places_and_products_c1(self, bench: Bench) -> None:
        """Known ones are told, unknown ones are absent."""
        operations = [work.operation for work in bench.works]
        place = bench.works[0].place
        async with bench.client() as client:
            facts = await client.target_facts(place)
            nowhere = await client.target_facts(replace(place, target_id="999999"))
            products = await client.product_facts(operations)

        assert facts is not None
        assert facts.company_id == place.company_id
        assert nowhere is None
        assert all(one.active for one in products.values())
        assert products

    async def test_what_can_be_mapped_is_listed_g5(self, bench: Bench) -> None:
        """Places and products of the works are among it, by the ids that works use."""
        place = bench.works[0].place
        async with bench.client() as client:
            places, offers = await client.places(), await client.offers()

        target = next(one for one in places.targets if one.id == place.target_id)
        assert target.company_id == place.company_id
        assert place.company_id in {company.id for company in places.companies}
        assert all(company.name for company in places.companies)
        for work in bench.works:
            product = product_of(work.operation)
            assert product is not None
            offer = next(one for one in offers if one.external_id == product.external_id)
            assert kind_of(work.operation) in offer.serves
            assert offer.name

    async def test_lists_for_mapping_write_nothing_g5(self, bench: Bench) -> None:
        """Nothing is in the PSA afterwards, and no path is unknown to the vendor."""
        async with bench.client() as client:
            await client.places()
            await client.offers()

        assert await bench.count() == 0
        assert await bench.vendors.violations() == []

    async def test_lines_that_are_there_are_told_in_our_words(self, bench: Bench) -> None:
        """With our key, and as we asked for them: nothing of ours is ever taken for foreign."""
        works = [work for work in bench.works if kind_of(work.operation) in LINES]
        async with bench.client() as client:
            for work in works:
                await client.write(work, await wanted(client, work))
            lines = {line.key: line for line in await client.existing(works[0].place)}

        for work in works:
            line = lines[work.key]
            assert rivals(work.operation, [line], frozenset()) == []
            assert line.obstacles == ()
            unkeyed = replace(line, key=None)
            assert [r.is_equal for r in rivals(work.operation, [unkeyed], frozenset())] == [True]

    async def test_a_probe_tells_rights_and_time(self, bench: Bench) -> None:
        """All rights that the works need; HTTP tells the time."""
        async with bench.client() as client:
            probe = await client.probe()

        assert [right.name for right in probe.rights if not right.granted] == []
        assert len(probe.rights) >= 3
        assert probe.server_time is not None
        assert await bench.vendors.violations() == []

    async def test_the_vendors_document_is_kept(self, bench: Bench) -> None:
        """No field, type or path that the vendor does not describe."""
        async with bench.client() as client:
            for work in bench.works:
                await client.write(work, await wanted(client, work))

        assert await bench.vendors.violations() == []
