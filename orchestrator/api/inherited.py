"""What a library's process inherited, acted on for the length of a launch as the command does for all of its life."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.process.environment import settle

_LEFT_ALONE = ("MPLBACKEND",)
"""A notebook set it for itself, and the figures of a report need no backend."""


def ray_address(address: str | None) -> str | None:
    """The address of a Ray cluster that is given, else RAY_ADDRESS, as for the command."""
    return os.environ.get("RAY_ADDRESS") if address is None else address


@contextmanager
def settled_environment() -> Iterator[None]:
    """Inside the block variables and filters of warnings are as a command has them; afterwards they are the caller's again.

    Raises:
        ExecutionPathError: a variable asks for another arithmetic.
        InheritedError: PYTHONPATH mixes two installations or names the current folder.
    """
    before = dict(os.environ)
    try:
        with warnings.catch_warnings():  # settling may change the filters
            settle()
            os.environ.update({name: before[name] for name in _LEFT_ALONE if name in before})
            yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
