"""How alike two names are, in whole percent; the same for the same names, always.

What people write differently for the same thing does not count: case, accents, punctuation, the
order of words, and the legal form of a company.
"""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher

CERTAIN = 100
_LEGAL_FORMS = frozenset(
    {
        "inc", "incorporated", "llc", "llp", "lp", "ltd", "limited", "plc", "corp", "corporation",
        "co", "company", "gmbh", "ag", "kg", "ug", "bv", "nv", "sa", "sas", "sarl", "srl", "spa",
        "ab", "aps", "as", "oy", "oyj", "pty", "pte", "kk", "the", "and",
    }
)  # fmt: skip
_WORDS = re.compile(r"[^\W_]+")


def likeness(ours: str, theirs: str) -> int:
    """Percent of the characters that two names share, in order; 100 only for equal words."""
    mine, other = _words(ours), _words(theirs)
    if not mine or not other:
        return 0
    if sorted(mine) == sorted(other):
        return CERTAIN
    as_written = _shared(" ".join(mine), " ".join(other))
    in_order = _shared(" ".join(sorted(mine)), " ".join(sorted(other)))
    return min(max(as_written, in_order), CERTAIN - 1)


def same_code(ours: str, theirs: str) -> bool:
    """Whether an identifier in the PSA is ours, whatever its case and spaces."""
    mine, other = ours.strip().casefold(), theirs.strip().casefold()
    return bool(mine) and mine == other


def _words(name: str) -> list[str]:
    """Words without accents; the legal form counts only when nothing else is left."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    # Abbreviated legal forms are often dotted: B.V., S.A.
    words = _WORDS.findall(re.sub(r"(?<=\b\w)\.(?=\w\b)", "", plain))
    telling = [word for word in words if word not in _LEGAL_FORMS]
    return telling or words


def _shared(one: str, other: str) -> int:
    """Symmetric, so that nobody's answer depends on who is asked first."""
    first, second = sorted((one, other))
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    return 200 * sum(block.size for block in blocks) // (len(one) + len(other))
