"""Autotask PSA, REST 1.0."""

from psa_connector.clients.autotask.adapter import CHARGE_TYPE_LABEL, PROFILE, Autotask

__all__ = ["CHARGE_TYPE_LABEL", "PROFILE", "Autotask"]
