"""`python -m psa_connector run | migrate | check`."""

from __future__ import annotations

from psa_connector.main import build
from psa_connector.settings import PsaConnectorSettings
from shared.runtime.service import main as serve


def main() -> None:
    serve(PsaConnectorSettings, build)


if __name__ == "__main__":
    main()
