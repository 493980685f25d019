"""Errors that a user can act on, each with the exit code of `python3 -m harness`."""

from __future__ import annotations

import errno

OK = 0
LAW_FAILED = 1
USAGE = 2
UNCLEAR = 3
FAILED = 4
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
MAKE_ROOM = "What was stored until now is kept: make room, then RESUME=1 goes on from there"


class Fault(Exception):
    """Something went wrong and the message says what to do about it."""

    code = FAILED


class UsageFault(Fault):
    """The command line or a hand-written file is wrong."""

    code = USAGE


class BuildFault(Fault):
    """A compiler or linker refused; the message is the tool's own."""

    def __init__(self, message: str, *, linking: bool = False) -> None:
        super().__init__(message)
        self.linking = linking
