"""Simulated Stripe: customers, payment methods, payment intents, events, signed webhooks."""

from simulators.frame import World
from simulators.stripe.simulator import Stripe


def build(world: World) -> Stripe:
    return Stripe(world)


__all__ = ["Stripe", "build"]
