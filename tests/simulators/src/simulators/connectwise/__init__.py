"""Simulated ConnectWise PSA (Manage): agreements, additions, catalog, companies, invoices."""

from simulators.connectwise.simulator import ConnectWise
from simulators.frame import World


def build(world: World) -> ConnectWise:
    return ConnectWise(world)


__all__ = ["ConnectWise", "build"]
