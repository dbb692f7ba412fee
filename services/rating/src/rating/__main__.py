"""`python -m rating run | migrate | check`, and `simulate …`, which needs no settings."""

from __future__ import annotations

import sys


def main() -> None:
    if sys.argv[1:2] == ["simulate"]:
        from rating import offline

        sys.exit(offline.run(sys.argv[2:]))
    from rating.main import build  # a second of imports that a simulation does not need
    from rating.settings import RatingSettings
    from shared.runtime.service import main as serve

    serve(RatingSettings, build)


if __name__ == "__main__":
    main()
