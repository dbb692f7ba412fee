"""Every vendor there is, and one client per connection, rebuilt when the connection changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from psa_connector.clients import autotask, connectwise
from psa_connector.clients.autotask import transport as autotask_transport
from psa_connector.clients.connectwise import transport as connectwise_transport
from psa_connector.clients.psa import Denied, PsaClient, Timing, VendorProfile
from psa_connector.domain.connection import Connection
from psa_connector.domain.operations import OperationKind
from shared.kernel.errors import Invalid
from shared.runtime.sealing import NotSealedHere, Sealer

Secrets = Mapping[str, str]
Build = Callable[[Connection, Secrets, Timing], PsaClient]


def _connectwise(connection: Connection, secrets: Secrets, timing: Timing) -> PsaClient:
    login = connectwise_transport.Login(**secrets)
    ui_base_url = connection.settings.get("ui_base_url")
    transport = connectwise_transport.Transport(
        connection.base_url,
        login,
        timing,
        ui_base_url=None if ui_base_url is None else str(ui_base_url),
    )
    key_field_id = connection.settings.get("key_field_id")
    return connectwise.ConnectWise(
        transport, key_field_id=None if key_field_id is None else int(key_field_id)
    )


def _autotask(connection: Connection, secrets: Secrets, timing: Timing) -> PsaClient:
    login = autotask_transport.Login(**secrets)
    transport = autotask_transport.Transport(connection.base_url, login, timing)
    label = connection.settings.get("charge_type_label") or autotask.CHARGE_TYPE_LABEL
    resource = connection.settings.get("api_resource_id")
    return autotask.Autotask(
        transport,
        timing,
        charge_type_label=str(label),
        api_resource_id=None if resource is None else int(resource),
    )


_VENDORS: Mapping[str, tuple[VendorProfile, Build]] = {
    connectwise.PROFILE.name: (connectwise.PROFILE, _connectwise),
    autotask.PROFILE.name: (autotask.PROFILE, _autotask),
}


def profile_of(vendor: str) -> VendorProfile:
    """What may be known of a vendor without its client.

    Raises:
        Invalid: `vendor_unknown`.
    """
    if vendor not in _VENDORS:
        names = ", ".join(sorted(_VENDORS))
        raise Invalid("vendor_unknown", f"{vendor} is none of {names}")
    return _VENDORS[vendor][0]


def kinds_of(vendor: str) -> frozenset[OperationKind]:
    """The kinds of operation a vendor takes."""
    return profile_of(vendor).kinds


class Clients:
    """The clients of this process."""

    def __init__(self, timing: Timing, sealer: Sealer) -> None:
        self._timing = timing
        self._sealer = sealer
        self._clients: dict[str, tuple[int, PsaClient]] = {}
        self._replaced: list[PsaClient] = []

    def of(self, connection: Connection) -> PsaClient:
        """The client of a connection as it is now. A replaced client may still be in use, so it is
        closed with the process.

        Raises:
            Denied: its credentials were stored under a key this process does not have.
        """
        version, client = self._clients.get(connection.id, (0, None))
        if client is not None and version == connection.version:
            return client
        if client is not None:
            self._replaced.append(client)
        profile, build = _VENDORS[profile_of(connection.vendor).name]
        built = build(connection, self._secrets(connection, profile), self._timing)
        self._clients[connection.id] = (connection.version, built)
        return built

    def _secrets(self, connection: Connection, profile: VendorProfile) -> Secrets:
        sealed = connection.credentials
        try:
            return {name: self._sealer.open(sealed[name]) for name in profile.credentials}
        except NotSealedHere as error:
            detail = f"the credentials of {connection.id} are {error}; put the connection again"
            raise Denied(detail) from error

    async def close(self) -> None:
        for _, client in self._clients.values():
            await client.close()
        for client in self._replaced:
            await client.close()
