"""A development identity provider: client-credentials tokens that Tieout's services accept."""

from simulators.frame import World
from simulators.issuer.simulator import Issuer


def build(world: World) -> Issuer:
    return Issuer(world)


__all__ = ["Issuer", "build"]
