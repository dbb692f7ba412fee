"""How Postgres runs when the stack runs as root: as an ordinary user, since it refuses root.

Nothing is opened up for it. Where that user cannot reach the binaries or the data directory (a
checkout below /root, say), both live under /var instead; permissions of existing files stay.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError, explained

_CANDIDATES = ("postgres", "nobody")
_DATA = Path("/var/lib/tieout")
_BINARIES = Path("/var/cache/tieout")
_TRAVERSABLE = 0o755


@dataclass(frozen=True, slots=True)
class User:
    """The identity a child is started with."""

    uid: int
    gid: int

    def owns(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)

    def can_reach(self, path: Path) -> bool:
        """Whether every directory above `path` lets this user through."""
        above = path.parent.resolve()
        return all(self._may_enter(directory) for directory in (above, *above.parents))

    def _may_enter(self, directory: Path) -> bool:
        facts = directory.stat()
        if facts.st_uid == self.uid:
            return bool(facts.st_mode & stat.S_IXUSR)
        if facts.st_gid == self.gid:
            return bool(facts.st_mode & stat.S_IXGRP)
        return bool(facts.st_mode & stat.S_IXOTH)


def server_user(data: Path) -> User | None:
    """Whom Postgres runs as: the owner of the data directory, else any ordinary user.

    None means as whoever runs the stack, which is right for everybody but root.

    Raises:
        StackError: on a system that has only root.
    """
    if os.geteuid() != 0:
        return None
    if data.is_dir() and data.stat().st_uid != 0:
        return User(data.stat().st_uid, data.stat().st_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_uid, entry.pw_gid)
    raise StackError(
        "Postgres refuses to run as root and this system has neither a user 'postgres' nor "
        "'nobody'; add one, or run tieout as an ordinary user."
    )


def reachable_data_directory(wanted: Path, user: User | None) -> Path:
    """Where the cluster's directory is to be: `wanted`, or what a link there leads `user` to."""
    if user is None or user.can_reach(wanted):
        return wanted
    digest = hashlib.sha256(str(wanted.absolute()).encode()).hexdigest()[:12]
    place = _DATA / digest
    with explained(place):
        for directory in (_DATA, place):
            directory.mkdir(mode=_TRAVERSABLE, parents=True, exist_ok=True)
        if not wanted.is_symlink():
            wanted.symlink_to(place / wanted.name)
    return place / wanted.name


def remove_data_directory(wanted: Path) -> None:
    """Remove the cluster that a link at `wanted` leads to, and nothing that is not ours."""
    real = wanted.resolve()
    if wanted.is_symlink() and _DATA in real.parents:
        shutil.rmtree(real.parent, ignore_errors=True)


def reachable_binaries(site: Path, *, package: str, version: str, user: User | None) -> Path:
    """The directory beside which `package` lies: `site`, or a copy that `user` can reach."""
    if user is None or user.can_reach(site / package / "pginstall"):
        return site
    copy = _BINARIES / f"{package}-{version}"
    if copy.is_dir():
        return copy
    with explained(copy):
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        for name in (package, f"{package}.libs"):
            if (site / name).is_dir():
                shutil.copytree(site / name, unfinished / name)
        for directory in (_BINARIES, unfinished):
            directory.chmod(_TRAVERSABLE)
        try:
            unfinished.rename(copy)
        except OSError:  # another start finished first; its copy is as good
            shutil.rmtree(unfinished)
    return copy
