"""The settings of every child, in one table: what the local stack decides for its programs.

Words in braces are filled in from the port plan, the state directory and the generated secrets.
Any other `TIEOUT_…` variable of whoever starts the stack is passed on, so a knob can be tried out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.topics import SERVICES
from shared.runtime.postgres import schema_of
from shared.runtime.sealing import new_key
from stack.children import Child
from stack.home import Home
from stack.keyring import Keyring
from stack.ports import Ports
from stack.readiness import HttpOk
from stack.roles import Access

EVERY_SERVICE: Mapping[str, str] = {
    "TIEOUT_DATABASE_URL": "{database_url}",
    "TIEOUT_KAFKA_BOOTSTRAP_SERVERS": "{bootstrap_servers}",
    "TIEOUT_HTTP_PORT": "{http_port}",
    "TIEOUT_MANAGEMENT_PORT": "{management_port}",
    "TIEOUT_AUTH_ISSUER": "{simulators}/issuer",
    "TIEOUT_AUTH_JWKS_URL": "{simulators}/issuer/.well-known/jwks.json",
    "TIEOUT_AUTH_AUDIENCE": "tieout",
    "TIEOUT_KAFKA_INSTANCE_ID": "{service}-0",  # a killed service gets its partitions back at once
}
BY_SERVICE: Mapping[str, Mapping[str, str]] = {
    "ingest": {
        "TIEOUT_INGEST_PARTNER_CENTER_URL": "{simulators}/partner-center",
        "TIEOUT_INGEST_GRAPH_URL": "{simulators}/graph",
        "TIEOUT_INGEST_LOGIN_URL": "{simulators}/login",
        "TIEOUT_INGEST_TENANT_ID": "{provider_tenant_id}",
        "TIEOUT_INGEST_CLIENT_ID": "{provider_client_id}",
        "TIEOUT_INGEST_CLIENT_SECRET": "{provider_client_secret}",
        "TIEOUT_INGEST_WEBHOOK_CALLBACK_URL": "http://127.0.0.1:{http_port}/webhooks/partner-center",
        "TIEOUT_INGEST_WEBHOOK_CERTIFICATE_HOSTS": "127.0.0.1:{simulators_port}",
        "TIEOUT_INGEST_WEBHOOK_ROOT_FILE": "{keys}/webhook-root.pem",
        "TIEOUT_INGEST_BLOB_HOSTS": "127.0.0.1",
        "TIEOUT_INGEST_ALLOW_HTTP": "true",
        "TIEOUT_INGEST_DAILY_SYNC": "false",  # stories say when the provider is looked at
    },
    "psa-connector": {
        "TIEOUT_PSA_CONNECTOR_VENDOR_HOSTS": "127.0.0.1",
        "TIEOUT_PSA_CONNECTOR_CREDENTIALS_KEYS": "{psa_credentials_key}",
    },
    "payments": {
        "TIEOUT_PAYMENTS_STRIPE_URL": "{simulators}/stripe",
        "TIEOUT_PAYMENTS_STRIPE_API_KEY": "{stripe_api_key}",
        "TIEOUT_PAYMENTS_STRIPE_WEBHOOK_SECRET": "{stripe_webhook_secret}",
    },
}
SIMULATORS: Mapping[str, str] = {
    "TIEOUT_SIM_STRIPE_WEBHOOK_SECRET": "{stripe_webhook_secret}",
}
SIMULATED_TIME: Mapping[str, str] = {"TIEOUT_CLOCK_FILE": "{clock}"}  # else: the system's time

# Each of our Python programs has few threads; glibc's many arenas would only hold memory back.
EVERY_CHILD: Mapping[str, str] = {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}

PROVIDER_TENANT_ID = "7e0a1eb1-0000-4000-8000-000000000001"
PROVIDER_CLIENT_ID = "7e0a1eb1-0000-4000-8000-000000000002"

# What steers the launcher itself is not for its children.
_LAUNCHER_ONLY = (
    "DATABASE_URL",
    "KAFKA_BOOTSTRAP_SERVERS",
    "TIEOUT_HOME",
    "TIEOUT_PORT_BASE",
    "TIEOUT_CLOCK_FILE",
    *EVERY_SERVICE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Everything the table's words are filled in from."""

    home: Home
    ports: Ports
    access: Access
    bootstrap_servers: str
    keyring: Keyring
    clock_file: Path | None

    @property
    def simulators_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.simulators}"

    @property
    def common_words(self) -> dict[str, str]:
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "simulators": self.simulators_url,
            "simulators_port": str(self.ports.simulators),
            "clock": str(self.clock_file),
            "keys": str(self.home.keys),
            "provider_tenant_id": PROVIDER_TENANT_ID,
            "provider_client_id": PROVIDER_CLIENT_ID,
            "provider_client_secret": self.keyring.get("provider-client-secret"),
            "psa_credentials_key": self.keyring.get("psa-credentials-key", make=new_key),
            "stripe_api_key": self.keyring.get("stripe-api-key", prefix="sk_test_"),
            "stripe_webhook_secret": self.keyring.get("stripe-webhook-secret", prefix="whsec_"),
        }

    def of_service(self, service: str) -> dict[str, str]:
        """The environment of one service."""
        words = {
            **self.common_words,
            "service": service,
            "database_url": self.access.app(service),
            "http_port": str(self.ports.http(service)),
            "management_port": str(self.ports.management(service)),
        }
        table = {**EVERY_SERVICE, **BY_SERVICE.get(service, {})}
        if self.clock_file is not None:
            table |= SIMULATED_TIME
        return _filled(table, words)

    def of_simulators(self) -> dict[str, str]:
        """The environment of the simulators."""
        return _filled(SIMULATORS, self.common_words)


def _filled(table: Mapping[str, str], words: Mapping[str, str]) -> dict[str, str]:
    return {name: template.format_map(words) for name, template in table.items()}


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What children get of the starter's environment."""
    kept = {name: value for name, value in environ.items() if name not in _LAUNCHER_ONLY}
    return {**kept, **EVERY_CHILD}


def simulators(deployment: Deployment) -> Child:
    """Every vendor, in one process on one port."""
    port = deployment.ports.simulators
    clock = deployment.clock_file
    arguments = ["--port", str(port), "--home", str(deployment.home.root)]
    arguments += ["--clock-file", str(clock)] if clock else []
    return Child(
        name="simulators",
        command=_python("simulators", *arguments),
        environment=deployment.of_simulators(),
        ready=HttpOk(port, "/healthz"),
        ports=(port,),
    )


def service(deployment: Deployment, name: str) -> Child:
    """One of the six."""
    ports = (deployment.ports.http(name), deployment.ports.management(name))
    return Child(
        name=name,
        command=_python(schema_of(name), "run"),
        environment=deployment.of_service(name),
        ready=HttpOk(deployment.ports.management(name), "/readyz"),
        ports=ports,
        stop_within_s=25,  # a service drains for up to 20 s
    )


def all_services(deployment: Deployment) -> tuple[Child, ...]:
    return tuple(service(deployment, name) for name in SERVICES)


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", module, *arguments)
