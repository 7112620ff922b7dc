"""Draws pictures, of which a failure is only reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fsl_core.listeners import Notice


def draw_if_possible(draw: Callable[[Path], Path | None], path: Path, notice: Notice) -> Path | None:
    """The picture that ``draw`` wrote to ``path``; None where there is none to draw, or it failed and ``notice`` received the reason.

    In both cases an older picture is removed, because it would not show the newer numbers.
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
        notice(f"{path} shows earlier numbers, and could not be removed ({error.strerror})")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")
