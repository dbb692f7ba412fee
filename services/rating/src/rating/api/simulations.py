"""Routes that compute and keep nothing: what would be charged, and what another premise changes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from rating.api.simulation_bodies import ProviderCaseBody, SimulationBody
from rating.api.simulation_results import simulated_charges
from rating.domain.provider_lines import expected_lines, read_case
from rating.handlers.simulating import stored
from shared.runtime.postgres import Database
from shared.runtime.web import Reads


def router(database: Database) -> APIRouter:
    routes = APIRouter()

    @routes.post("/simulations/charges", operation_id="simulations.charges")
    async def simulate_charges(body: SimulationBody, caller: Reads) -> dict[str, Any]:
        """The customer side of licence histories: charges by invoice, computed by the functions
        that bill, for customers written here or stored. With `instead`, the difference another
        price sheet, contract, term or rate would make, per customer and line. Nothing is kept."""
        if not body.stored:
            return simulated_charges(body)
        async with database.read() as reader:
            known = await stored(reader, body.stored)
        return simulated_charges(body, known)

    @routes.post("/simulations/provider-lines", operation_id="simulations.provider_lines")
    async def simulate_provider_lines(body: ProviderCaseBody, caller: Reads) -> dict[str, Any]:
        """The provider's side of a licence history: the lines of its reconciliation file, each with
        its amount under every documented rounding. Nothing is kept."""
        case = read_case(body.model_dump())
        return {"lines": [outcome.printed() for outcome in expected_lines(case)]}

    return routes
