"""Who hears what a command does meanwhile: by default the caller of a library, through logging and warnings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from fsl_core.listeners import Advance, Notice

_log = logging.getLogger("orchestrator")

ProgressDisplay = Callable[[str], AbstractContextManager[Advance]]
"""Shows how far something is, which its text names, for as long as the block lasts."""


class SweepWarning(UserWarning):
    """What a user of a sweep should know before its numbers are believed."""


def warn_caller(message: str) -> None:
    """Issue a :class:`SweepWarning`."""
    warnings.warn(message, SweepWarning, stacklevel=2)


@contextmanager
def no_progress(what: str) -> Iterator[Advance]:
    """Show nothing."""
    yield lambda done, total: None


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """What is called while a command works.

    Attributes:
        notice: takes what is being done, in words; the logger ``orchestrator`` by default.
        warn: takes what must be known before a number is believed: a fallback data set, damaged records; a warning by default.
        progress: shows how many images are read; nothing by default.
    """

    notice: Notice = _log.info
    warn: Notice = warn_caller
    progress: ProgressDisplay = no_progress
