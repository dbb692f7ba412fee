"""`python -m stack.lock_jars [VERSION]`: resolve Kafka's jars anew and rewrite `kafka-jars.lock`.

Without a version the newest release is taken. The log back end is added at the version of log4j
that Kafka itself asks for: without it the broker would log nothing.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.maven import MavenContext

from stack.jars import Coordinate, Jar, fetch, sha256

_KAFKA = ("org.apache.kafka", "kafka_2.13")
_LOG_BACK_END = ("org.apache.logging.log4j", "log4j-slf4j-impl")  # for slf4j 1.7, which Kafka has
_HEADER = """\
# The jars of the local broker, in class path order: group:artifact:version:sha256
# Rewritten by `python -m stack.lock_jars`; never edited by hand.
"""


def main() -> None:
    target = Path(__file__).with_name("kafka-jars.lock")
    with tempfile.TemporaryDirectory() as scratch:
        context = MavenContext(repo_cache=Path(scratch) / "resolve")
        coordinates = _resolve(context, sys.argv[1] if len(sys.argv) > 1 else "RELEASE")
        with ThreadPoolExecutor(12) as threads:
            jars = list(threads.map(lambda c: _pinned(c, Path(scratch) / "jars"), coordinates))
    target.write_text(_HEADER + "".join(f"{jar.line()}\n" for jar in jars))
    print(f"{target}: {len(jars)} jars")


def _resolve(context: MavenContext, version: str) -> list[Coordinate]:
    kafka = context.create_dependency(":".join((*_KAFKA, version)))
    asked, transitive = context.resolver.resolve([kafka])
    found = [Coordinate(d.groupId, d.artifactId, d.version) for d in [*asked, *transitive]]
    log4j = next(c.version for c in found if c.artifact == "log4j-api")
    return [*found, Coordinate(*_LOG_BACK_END, log4j)]


def _pinned(coordinate: Coordinate, scratch: Path) -> Jar:
    return Jar(coordinate, sha256(fetch(coordinate, scratch)))


if __name__ == "__main__":
    main()
