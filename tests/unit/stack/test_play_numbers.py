"""No play touches the ids of another, and what cannot be told apart is refused before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.player.names import Names
from stack.player.numbering import InUse, number_plays, told
from stack.story.reader import Script, StoryErrors, read_script

STORY = """\
story: NAME
starts: 2026-04-01
sellers:
  us: {name: Harbor, country: US, tax: per_line, invoice_prefix: ACME-}
products:
  e3: {name: E3, sku: a:b, term: P1Y, plan: monthly, cost: 28.90 USD, list: 36.00 USD}
customers:
  acme: {name: Acme, seller: us, country: US, jurisdiction: US-WA, currency: USD}
contracts:
  ACME-1: {customer: acme, timing: advance, starts: 2026-04-01}
usage:
  - {invoice: G1, month: 2026-04, published: 2026-05-08T06:00Z, currency: USD}
"""


def script(folder: Path, name: str = "first", **changes: str) -> Script:
    """A story of this name; `changes` are words to put for others."""
    text = STORY.replace("NAME", name)
    for old, new in changes.items():
        text = text.replace(old, new)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return read_script(path)


def played(*scripts: Script) -> InUse:
    """What is in use after these were played one after the other."""
    used = InUse()
    for one in scripts:
        for names in number_plays([one], used):
            used.claim(names)
    return used


def test_the_first_play_keeps_the_names_of_the_story(tmp_path: Path) -> None:
    """On an empty stack."""
    [names] = number_plays([script(tmp_path)], InUse())

    assert names.own("ACME-1") == "ACME-1"
    assert names.prefix("ACME-") == "ACME-"


@pytest.mark.parametrize("name", ["first", "second"])
def test_names_in_use_get_a_number_whoever_uses_them(tmp_path: Path, name: str) -> None:
    """The same story again, or a copy under another name: nothing of the first is touched."""
    used = played(script(tmp_path))

    [names] = number_plays([script(tmp_path, name)], used)

    first = Names(script(tmp_path).story, 1)
    assert (names.own("ACME-1"), names.own("acme"), names.own("us")) == (
        "ACME-1.2", "acme.2", "us.2",
    )  # fmt: skip
    assert names.prefix("ACME-") == "2ACME-"
    assert names.provider_invoice("G1") != first.provider_invoice("G1")
    assert names.customer("acme") != first.customer("acme")
    assert "ACME-1.2" in told(names)
    assert "2ACME-" in told(names)


def test_a_provider_invoice_alone_is_enough(tmp_path: Path) -> None:
    """Its lines would replace those of the other story, whose charges would be withdrawn."""
    used = played(script(tmp_path))
    words = {" us": " uk", "acme": "beta", "ACME-": "BETA-"}

    [names] = number_plays([script(tmp_path, "second", **words)], used)

    assert names.play == 2
    assert names.provider_invoice("G1") == "G1P2"


def test_stories_of_one_command_are_kept_apart_too(tmp_path: Path) -> None:
    """They are set up together."""
    plays = number_plays([script(tmp_path, "first"), script(tmp_path, "second")], InUse())

    assert [names.play for names in plays] == [1, 2]


def test_a_play_that_wrote_nothing_uses_up_no_number(tmp_path: Path) -> None:
    """Numbers follow from what is there, not from how often somebody tried."""
    used = InUse(prefixes={"ACME-": "somebody"})
    with pytest.raises(StoryErrors):
        number_plays([script(tmp_path)], used)

    [names] = number_plays([script(tmp_path)], InUse())

    assert names.play == 1


def test_a_prefix_of_another_seller_is_refused_with_its_place(tmp_path: Path) -> None:
    """Invoice numbers are somebody's; nothing is renamed behind a person's back."""
    used = InUse(prefixes={"ACME-": "harbor-us"}, ids={("seller", "harbor-us")})

    with pytest.raises(StoryErrors) as caught:
        number_plays([script(tmp_path)], used)

    assert str(caught.value) == (
        f"{tmp_path / 'first.yaml'}:4:50: sellers.us.invoice_prefix: invoice numbers with ACME- "
        "belong to the seller harbor-us on this stack; choose another prefix"
    )


def test_another_price_for_the_same_sku_is_refused(tmp_path: Path) -> None:
    """There is one price sheet; another cost would revise what others were charged."""
    used = played(script(tmp_path))

    with pytest.raises(StoryErrors) as caught:
        number_plays([script(tmp_path, "second", **{"28.90": "30.00"})], used)

    assert "second.yaml:6:54: products.e3.cost: the price sheet" in str(caught.value)
    assert "says 28.90 USD" in str(caught.value)


def test_one_name_for_two_stories_of_a_command_is_refused(tmp_path: Path) -> None:
    """Findings are told apart by it."""
    twin = tmp_path / "twin"
    twin.mkdir()

    with pytest.raises(StoryErrors, match=r"twin/first\.yaml:1:1: story: first is also the name"):
        number_plays([script(tmp_path), script(twin)], InUse())
