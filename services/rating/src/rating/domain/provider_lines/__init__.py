"""What Microsoft should bill for a licence subscription: its history → lines of its file.

`expected_lines` is the whole interface. Rules by the names that the provider's documentation gives
them are in `cycles` (dates), `windows` (refusals), `figures` (amounts) and `happenings` (what each
event does). Nothing here knows our customers, contracts or prices at sale.
"""

from rating.domain.provider_lines.figures import DOCUMENTED_VERSION, Rounding
from rating.domain.provider_lines.happenings import expected_lines
from rating.domain.provider_lines.lines import Any_, Line, Outcome, Refusal, Standing
from rating.domain.provider_lines.reading import Case, read_case

__all__ = [
    "DOCUMENTED_VERSION",
    "Any_",
    "Case",
    "Line",
    "Outcome",
    "Refusal",
    "Rounding",
    "Standing",
    "expected_lines",
    "read_case",
]
