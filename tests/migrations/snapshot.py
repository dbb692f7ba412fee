"""Write the schema snapshots anew: `python -m tests.migrations.snapshot` after a migration.

The snapshots are what reviewers read: `services/<service>/schema.sql` holds a service's own tables,
`shared/schema.sql` the runtime's, which are in every service's schema.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).with_name("test_schema_snapshots.py")
WRITE = "TIEOUT_WRITE_SNAPSHOTS"


def main() -> int:
    os.environ[WRITE] = "1"
    return int(pytest.main(["-p", "no:randomly", str(TESTS)]))


if __name__ == "__main__":
    sys.exit(main())
