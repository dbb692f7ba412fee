"""ConnectWise PSA (Manage), REST 3.0."""

from psa_connector.clients.connectwise.adapter import PROFILE, ConnectWise

__all__ = ["PROFILE", "ConnectWise"]
