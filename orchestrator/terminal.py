"""The terminal that a command inherits: it may be lost while the command runs, or be unable to spell what is printed."""

from __future__ import annotations

import errno
import os
import termios


def leave_lost_terminal() -> None:
    """Send stdout and stderr to nowhere if they are a terminal that was closed: each write to it would fail."""
    for descriptor in (1, 2):
        if _is_lost(descriptor):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def _is_lost(descriptor: int) -> bool:
    try:
        termios.tcgetattr(descriptor)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False
