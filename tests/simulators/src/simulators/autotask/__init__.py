"""Simulated Autotask PSA: recurring service contracts, adjustments, charges, posting."""

from simulators.autotask.simulator import Autotask
from simulators.frame import World


def build(world: World) -> Autotask:
    return Autotask(world)


__all__ = ["Autotask", "build"]
