"""What the local stack says when it cannot go on: one sentence a person can act on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

USAGE = 64  # sysexits: what was asked cannot be asked
UNAVAILABLE = 69  # a dependency is not there
NOT_PERMITTED = 77  # it was understood, and may not be done


class StackError(Exception):
    """The message is the whole explanation: what happened and what to do about it."""

    exit_code = UNAVAILABLE


class Mistaken(StackError):
    """What was typed names something that is not there, or makes no sense; the code is stable."""

    exit_code = USAGE

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{sentence} [{code}]")
        self.code = code


class NotPermitted(StackError):
    """A service understood and refused."""

    exit_code = NOT_PERMITTED


def disk_full(where: object) -> StackError:
    return StackError(
        f"The disk that holds {where} is full; free at least 1 GB "
        "(`tieout reset` drops the local data), or point TIEOUT_HOME at another disk."
    )


@contextmanager
def explained(where: object) -> Iterator[None]:
    """Turns the operating system's refusals (disk full, no permission) into a `StackError`."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise disk_full(where) from error
        if isinstance(error, PermissionError):
            raise StackError(
                f"This user may not write {error.filename or where}; "
                "point TIEOUT_HOME at a directory of your own."
            ) from error
        raise


@contextmanager
def first_of_group(where: object) -> Iterator[None]:
    """What several tasks failed of, as the one sentence of the first; a defect stays a group."""
    with explained(where):
        try:
            yield
        except BaseExceptionGroup as group:
            known, defects = group.split((StackError, OSError))
            if known is None or defects is not None:
                raise
            errors = list(_leaves(known))
            told = [error for error in errors if isinstance(error, StackError)]
            raise (told or errors)[0] from None


def _leaves(group: BaseExceptionGroup) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
