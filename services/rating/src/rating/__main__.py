"""`python -m rating run | migrate | check`."""

from __future__ import annotations

from rating.main import build
from rating.settings import RatingSettings
from shared.runtime.service import main as serve


def main() -> None:
    serve(RatingSettings, build)


if __name__ == "__main__":
    main()
