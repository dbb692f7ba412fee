"""`python -m payments run | migrate | check`."""

from __future__ import annotations

from payments.main import build
from payments.settings import PaymentsSettings
from shared.runtime.service import main as serve


def main() -> None:
    serve(PaymentsSettings, build)


if __name__ == "__main__":
    main()
