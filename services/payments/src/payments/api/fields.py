"""What may stand in a request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import StringConstraints

_KEY = r"^[^\x00-\x1f\x7f]{1,200}$"  # the database stores no NUL, and people read no controls

Key = Annotated[str, StringConstraints(pattern=_KEY)]
KeyPath = Annotated[str, Path(pattern=_KEY)]
KeyQuery = Annotated[str | None, Query(pattern=_KEY)]
