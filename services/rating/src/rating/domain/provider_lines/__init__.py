"""What Microsoft should bill for a licence subscription: its history → lines of its file.

`expected_lines` is the whole interface. Rules by the names that the provider's documentation gives
them are in `cycles` (dates), `windows` (refusals), `figures` (amounts) and `happenings` (what each
event does). Nothing here knows our customers, contracts or prices at sale.
"""

from rating.domain.provider_lines.figures import Rounding
from rating.domain.provider_lines.happenings import expected_lines
from rating.domain.provider_lines.lines import Any_, Line, Refusal, Standing
from rating.domain.provider_lines.reading import Case, read_case

__all__ = [
    "Any_",
    "Case",
    "Line",
    "Refusal",
    "Rounding",
    "Standing",
    "expected_lines",
    "read_case",
]
