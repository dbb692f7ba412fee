"""`python -m ingest run | migrate | check`."""

from __future__ import annotations

from ingest.main import build
from ingest.settings import IngestSettings
from shared.runtime.service import main as serve


def main() -> None:
    serve(IngestSettings, build)


if __name__ == "__main__":
    main()
