"""What the stack writes to disk: its home, its secrets, and the jars it is willing to run."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.home import Home
from stack.jars import Coordinate, Jar, ensure, locked, parse
from stack.keyring import Keyring
from stack.unprivileged import User, reachable_binaries

KAFKA = Coordinate("org.example", "kafka", "1.0")
GOOD = b"the bytes that were locked"
LOCKED = Jar(KAFKA, hashlib.sha256(GOOD).hexdigest())


class Registry:
    """Stands where the network is."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.asked = 0

    def fetch(self, coordinate: Coordinate, into: Path) -> Path:
        self.asked += 1
        if self.answer is None:
            raise ConnectionError("no route to the registry")
        into.mkdir(exist_ok=True)
        path = into / "download"
        path.write_bytes(self.answer)
        return path


def test_a_jar_with_other_bytes_than_the_lock_is_refused_and_not_kept(tmp_path: Path) -> None:
    """Whatever was put in its place is never on the class path."""
    registry = Registry(b"something else")

    with pytest.raises(StackError, match=r"kafka-1\.0\.jar was downloaded with other bytes"):
        ensure([LOCKED], tmp_path, fetch=registry.fetch)

    assert list(tmp_path.iterdir()) == []


def test_a_jar_spoilt_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    """A cut-off copy or a bad disk must not end in a JVM's stack trace."""
    (tmp_path / KAFKA.file_name).write_bytes(GOOD[:5])
    registry = Registry(GOOD)

    paths = ensure([LOCKED], tmp_path, fetch=registry.fetch)

    assert [path.read_bytes() for path in paths] == [GOOD]


def test_a_jar_that_is_there_needs_no_network(tmp_path: Path) -> None:
    """Every start but the first is offline."""
    (tmp_path / KAFKA.file_name).write_bytes(GOOD)
    registry = Registry(None)

    ensure([LOCKED], tmp_path, fetch=registry.fetch)

    assert registry.asked == 0


def test_without_network_the_first_start_says_so(tmp_path: Path) -> None:
    """One sentence, and the alternative."""
    registry = Registry(None)

    with pytest.raises(StackError, match=r"needs a network connection.*KAFKA_BOOTSTRAP_SERVERS"):
        ensure([LOCKED], tmp_path, fetch=registry.fetch)

    assert registry.asked > 1


def test_progress_counts_up_to_the_whole(tmp_path: Path) -> None:
    """The bar that a person watches during the one long wait."""
    other = Jar(Coordinate("org.example", "scala", "2"), LOCKED.sha256)
    seen: list[tuple[int, int]] = []

    ensure(
        [LOCKED, other],
        tmp_path,
        fetch=Registry(GOOD).fetch,
        progress=lambda done, total: seen.append((done, total)),
    )

    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_the_committed_lock_pins_every_jar_and_a_log_back_end() -> None:
    """Without an SLF4J back end the broker would log nothing."""
    jars = locked()

    assert all(len(jar.sha256) == 64 for jar in jars)
    assert len({jar.coordinate.file_name for jar in jars}) == len(jars)
    assert {"kafka_2.13", "log4j-core", "log4j-slf4j-impl"} <= {j.coordinate.artifact for j in jars}
    assert parse("\n".join(jar.line() for jar in jars)) == jars


def test_a_directory_with_other_files_is_not_taken_over(tmp_path: Path) -> None:
    """TIEOUT_HOME may be mistyped."""
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(StackError, match="not Tieout's"):
        Home(tmp_path).prepare()


def test_reset_removes_nothing_that_is_not_a_state_directory(tmp_path: Path) -> None:
    """The same mistake, later and worse."""
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(StackError, match="nothing was removed"):
        Home(tmp_path).remove()

    assert (tmp_path / "thesis.tex").exists()


def test_too_little_room_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres and Kafka would each fail in their own obscure way."""
    monkeypatch.setattr("stack.home.FREE_BYTES_NEEDED", 1 << 62)

    with pytest.raises(StackError, match="free at least 1 GB"):
        Home(tmp_path / "home").prepare()


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    """A restart must still know the passwords of the cluster."""
    keyring = Keyring(tmp_path / "keys")

    first = keyring.get("stripe-api-key", prefix="sk_test_")

    assert first.startswith("sk_test_")
    assert keyring.get("stripe-api-key", prefix="sk_test_") == first
    assert (tmp_path / "keys" / "stripe-api-key").stat().st_mode & 0o777 == 0o600


def test_a_directory_closed_to_others_is_not_opened_for_the_server_user(tmp_path: Path) -> None:
    """As root, Postgres runs as somebody else; /root stays shut all the same."""
    closed = tmp_path / "closed"
    (closed / "package").mkdir(parents=True)
    closed.chmod(0o700)
    stranger = User(uid=os.getuid() + 12345, gid=os.getgid() + 12345)

    assert not stranger.can_reach(closed / "package")
    assert closed.stat().st_mode & 0o777 == 0o700


def test_an_ordinary_user_runs_the_binaries_where_they_are(tmp_path: Path) -> None:
    """No copy is made for anybody but root."""
    assert reachable_binaries(tmp_path, package="x", version="1", user=None) == tmp_path
