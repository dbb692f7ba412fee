"""What psa-connector does with a message; HTTP routes and jobs call the same functions."""

from __future__ import annotations

from psa_connector.handlers.knowing import on_account, on_contract
from psa_connector.handlers.planning import receive
from shared.contracts.invoicing import AccountChanged, ContractChanged, InvoiceFinalised
from shared.contracts.rating import LicenceChangeRated
from shared.runtime.handlers import Handlers

HANDLERS: Handlers = {
    AccountChanged: on_account,
    ContractChanged: on_contract,
    InvoiceFinalised: receive,
    LicenceChangeRated: receive,
}
