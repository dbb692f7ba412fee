"""`python -m tax run | migrate | check`."""

from __future__ import annotations

from shared.runtime.service import main as serve
from tax.main import build
from tax.settings import TaxSettings


def main() -> None:
    serve(TaxSettings, build)


if __name__ == "__main__":
    main()
