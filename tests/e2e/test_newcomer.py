"""Somebody tries the product: the demo, then the example of the documentation, then own stories."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from e2e.theatre import Theatre, shipped
from stack.explaining import Explained, explanation
from stack.play import Played
from stack.player.numbering import in_use, number_plays
from stack.story.reader import StoryErrors, read_scripts

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack"), pytest.mark.timeout(600)]

DOCUMENT = Path(__file__).parents[2] / "docs" / "stories.md"


@pytest.fixture(scope="session")
async def after_the_demo(stage: Theatre) -> Theatre:
    """A stack on which the stories of the demo were played."""
    for name in ("alder-dental", "birch-logistics", "elm-legal", "multi-cloud"):
        await stage.played(name)
    return stage


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of docs/stories.md, copied as a reader copies it."""
    [text] = re.findall(r"```yaml\n(story: .*?)```", DOCUMENT.read_text(), re.DOTALL)
    path = tmp_path_factory.mktemp("documented") / "my-first.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
async def first(after_the_demo: Theatre, example: Path) -> Played:
    """The first play of the example."""
    return await after_the_demo.play([example])


async def test_the_documented_example_plays_after_the_demo(first: Played) -> None:
    """Nothing of it is in use there, and every figure is what the page says."""
    assert first.differences == []
    assert [names.play for names in first.plays] == [1]
    assert [invoice["number"] for invoice in first.findings.invoices] == ["ACME-000001"]


async def test_a_prefix_of_the_demo_is_refused_before_anything_is_written(
    after_the_demo: Theatre, first: Played, example: Path
) -> None:
    """With file, line and column; not one contract more, and no number is used up."""
    assert first.differences == []
    theatre, words = after_the_demo, {"my-first": "taken", "acme": "taken", "ACME-1": "TAKEN-1"}
    words |= {"  us:": "  mine:", "seller: us": "seller: mine"}
    path, line = changed(example, "taken", words | {"fix: ACME-": "fix: HUS-"}, find="HUS-")
    before = await theatre.services.pages("invoicing", "/v1/contracts")

    with pytest.raises(StoryErrors) as caught:
        await theatre.play([path])

    assert str(caught.value) == (
        f"{path}:{line}:5: sellers.mine.invoice_prefix: invoice numbers with HUS- belong to the "
        "seller harbor-us on this stack; choose another prefix"
    )
    assert await theatre.services.pages("invoicing", "/v1/contracts") == before
    path, _ = changed(example, "taken", words | {"fix: ACME-": "fix: TAKEN-"})
    [names] = number_plays(read_scripts([path]), await in_use(theatre.services))
    assert names.play == 1


async def test_a_copy_under_another_name_leaves_the_first_alone(
    after_the_demo: Theatre, first: Played, example: Path
) -> None:
    """Same contract and customer, another price: ids of its own, and the first invoice stands."""
    theatre = after_the_demo
    copy, _ = changed(example, "copy", {"my-first": "copy", "fixed: 34.50": "fixed: 40.00"})
    number = first.findings.invoices[0]["number"]
    charges = await theatre.services.pages("rating", "/v1/charges", contract_id="ACME-1")

    played = await theatre.play([copy])

    [invoice] = played.findings.invoices
    assert invoice["contract_id"].startswith("ACME-1.")
    assert invoice["net"] == "520.00"  # 12 × 40.00 + 2 × 40.00 × 15/30
    assert len(played.differences) == 3  # its figures, against those of the first
    after = await theatre.services.pages("rating", "/v1/charges", contract_id="ACME-1")
    assert after == charges
    told = await explanation(theatre.services, number, 1)
    assert told.problems == []
    assert "later" not in shown(told)


async def test_a_line_is_explained_by_the_revision_it_billed(
    stage: Theatre, further: Played
) -> None:
    """345.00 was right when it was billed; 55.00 more came with the next invoice."""
    assert further.checked > 0

    billed = await explanation(stage.services, "LINDEN-000001", 1)
    corrected = await explanation(stage.services, "LINDEN-000002", 2)

    assert (billed.problems, corrected.problems) == ([], [])
    assert "10 × 34.50 = 345.00 USD" in shown(billed)
    assert "later revised to 400.00 USD" in shown(billed)
    assert "settled by LINDEN-000002 line 2" in shown(billed)
    assert "less 345.00 USD billed by LINDEN-000001 line 1" in shown(corrected)


async def test_every_line_of_the_demo_adds_up_to_its_explanation(after_the_demo: Theatre) -> None:
    """Licences, prorations, usage, minimum, purchase and one-time items."""
    problems = []
    for name in ("alder-dental", "birch-logistics", "elm-legal"):
        for invoice in (await after_the_demo.played(name)).findings.invoices:
            for line in invoice["lines"]:
                told = await explanation(after_the_demo.services, invoice["number"], line["number"])
                problems += told.problems

    assert problems == []


@pytest.mark.slow
async def test_numbers_of_two_customers_of_one_seller_follow_the_story(stage: Theatre) -> None:
    """Cedar stands before Dogwood, so its invoice does."""
    played = await stage.play(shipped("azure-month"))

    invoices = {i["contract"]: i["number"][-6:] for i in played.findings.invoices}
    assert invoices == {"CED-AZ": "000001", "DOG-AZ": "000002"}


def changed(
    example: Path, name: str, words: dict[str, str], *, find: str = "story:"
) -> tuple[Path, int]:
    """A copy with other words, and the line of the first that a reader would look for."""
    text = example.read_text()
    for old, new in words.items():
        assert old in text
        text = text.replace(old, new)
    path = example.with_name(f"{name}.yaml")
    path.write_text(text)
    return path, next(n for n, one in enumerate(text.splitlines(), 1) if f" {find}" in f" {one}")


def shown(told: Explained) -> str:
    text = io.StringIO()
    Console(file=text, width=300).print(told.tree)
    return text.getvalue()
