"""Pictures are for people: one that cannot be drawn fails nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Notice = Callable[[str], None]
"""Takes a sentence for people."""


def draw_if_possible(draw: Callable[[Path], Path | None], path: Path, notice: Notice) -> Path | None:
    """The picture that ``draw`` left at ``path``; None where it drew none, or could not: then ``notice`` is given the reason.

    An older picture does not stay beside newer numbers.
    """
    try:
        done = draw(path)
        if done is None:
            path.unlink(missing_ok=True)
        return done
    except Exception as error:
        notice(f"{path.name} was not drawn ({type(error).__name__}: {_first_line(error)})")
        _remove(path, notice)
        return None


def _remove(path: Path, notice: Notice) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        notice(f"{path} is of earlier numbers, and could not be removed ({error.strerror})")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")
