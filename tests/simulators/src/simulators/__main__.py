"""`python -m simulators --port P --home DIR --clock-file F`: every vendor on one local port."""

from __future__ import annotations

import argparse
import gc
from pathlib import Path

import uvicorn

from shared.runtime.clock import clock_from
from simulators.app import available, create_app
from simulators.frame import World


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m simulators", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--home", type=Path, required=True, help="state and keys live here")
    parser.add_argument("--clock-file", type=Path, help="simulated time; absent = system clock")
    given = parser.parse_args()
    world = World(
        clock=clock_from(given.clock_file),
        base_url=f"http://{given.host}:{given.port}",
        home=given.home,
    )
    app = create_app(world, clock_file=given.clock_file, names=available())
    gc.collect()
    gc.freeze()  # modules and vendor contracts stay; no need to walk over them again
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
