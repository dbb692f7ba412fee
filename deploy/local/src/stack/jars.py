"""The broker's jars: exactly those of `kafka-jars.lock`, fetched once, checked at every start.

A line of the lock is `group:artifact:version:sha256`. A file that does not have that sum is never
run: a spoilt one in the cache is fetched again, a fetched one with another sum is refused.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from stack.errors import StackError, explained

_LOCK = "kafka-jars.lock"
_CONNECTIONS = 12
_ATTEMPTS = 2
_FETCH_TIMEOUT_S = 15

Progress = Callable[[int, int], None]  # how many are there, of how many


@dataclass(frozen=True, slots=True, order=True)
class Coordinate:
    """One published artifact."""

    group: str
    artifact: str
    version: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


@dataclass(frozen=True, slots=True, order=True)
class Jar:
    """An artifact and the sum its bytes must have."""

    coordinate: Coordinate
    sha256: str

    def line(self) -> str:
        c = self.coordinate
        return f"{c.group}:{c.artifact}:{c.version}:{self.sha256}"


Fetch = Callable[[Coordinate, Path], Path]  # into a directory of one's own, to the file


def locked() -> tuple[Jar, ...]:
    """The committed list, in class path order."""
    text = files("stack").joinpath(_LOCK).read_text()
    return parse(text)


def parse(text: str) -> tuple[Jar, ...]:
    lines = (line.strip() for line in text.splitlines())
    rows = (line.split(":") for line in lines if line and not line.startswith("#"))
    return tuple(Jar(Coordinate(g, a, v), digest) for g, a, v, digest in rows)


def fetch(coordinate: Coordinate, into: Path) -> Path:
    """Download one artifact through `jgo`, from wherever that is set up to look.

    Raises:
        OSError, RuntimeError: when it cannot be had.
    """
    from jgo.maven import MavenContext  # slow to import, and needed once per machine

    context = MavenContext(repo_cache=into, timeout=_FETCH_TIMEOUT_S)
    project = context.project(coordinate.group, coordinate.artifact)
    return Path(project.at_version(coordinate.version).artifact().resolve())


def ensure(
    jars: Sequence[Jar],
    directory: Path,
    *,
    progress: Progress = lambda done, total: None,
    fetch: Fetch = fetch,
) -> list[Path]:
    """The verified files of `jars` in `directory`, fetching what is not there.

    Raises:
        StackError: without network, or when a download has other bytes than the lock says.
    """
    with explained(directory), ThreadPoolExecutor(_CONNECTIONS) as threads:
        directory.mkdir(parents=True, exist_ok=True)
        present = set(threads.map(lambda jar: _verified(jar, directory), jars)) - {None}
        missing = [jar for jar in jars if jar not in present]
        done = len(present)
        if missing:
            progress(done, len(jars))
        try:
            for _ in threads.map(lambda jar: _install(jar, directory, fetch), missing):
                done += 1
                progress(done, len(jars))
        except StackError:
            threads.shutdown(cancel_futures=True)
            raise
    return [directory / jar.coordinate.file_name for jar in jars]


def _verified(jar: Jar, directory: Path) -> Jar | None:
    path = directory / jar.coordinate.file_name
    return jar if path.is_file() and sha256(path) == jar.sha256 else None


def _install(jar: Jar, directory: Path, fetch: Fetch) -> None:
    with tempfile.TemporaryDirectory(dir=directory, prefix=".fetch-") as scratch:
        fetched = _fetch_patiently(jar.coordinate, Path(scratch), fetch)
        found = sha256(fetched)
        if found != jar.sha256:
            raise StackError(
                f"{jar.coordinate.file_name} was downloaded with other bytes than {_LOCK} pins "
                f"(sha256 {found[:12]}…, not {jar.sha256[:12]}…); it is not used. "
                "Check what stands between this machine and the registry, then try again."
            )
        fetched.replace(directory / jar.coordinate.file_name)


def _fetch_patiently(coordinate: Coordinate, scratch: Path, fetch: Fetch) -> Path:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return fetch(coordinate, scratch)
        except (OSError, RuntimeError, AssertionError) as error:  # jgo asserts a clean directory
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk, not the network
            reason = error
            shutil.rmtree(scratch / coordinate.group.split(".")[0], ignore_errors=True)
            if attempt == _ATTEMPTS:
                break
    raise StackError(
        f"Kafka's {coordinate.file_name} could not be downloaded ({type(reason).__name__}). The "
        "first start needs a network connection; connect and run the command again, or set "
        "KAFKA_BOOTSTRAP_SERVERS to a Kafka of your own."
    ) from reason


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
