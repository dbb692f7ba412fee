"""`python -m invoicing run | migrate | check`."""

from __future__ import annotations

from invoicing.main import build
from invoicing.settings import InvoicingSettings
from shared.runtime.service import main as serve


def main() -> None:
    serve(InvoicingSettings, build)


if __name__ == "__main__":
    main()
