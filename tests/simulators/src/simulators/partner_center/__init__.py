"""A stateful stand-in for Partner Center, its sign-in, and Graph's billing exports."""

from simulators.frame import World
from simulators.partner_center.simulator import PartnerCenter


def build(world: World) -> PartnerCenter:
    return PartnerCenter(world)


__all__ = ["PartnerCenter", "build"]
