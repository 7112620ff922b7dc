"""What figures are drawn on: a canvas without a window, in Matplotlib's own style, whatever the user's environment asks for.

The only module that imports Matplotlib, and none imports pyplot, which would open the user's backend.
"""

from __future__ import annotations

import io
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsl_core.atomic_file import write_atomically


@contextmanager
def _without_backend() -> Iterator[None]:
    """A notebook's ``MPLBACKEND`` is inherited by its subprocesses, where Matplotlib may refuse it and with it the import."""
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        yield
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


with _without_backend():
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

__all__ = [
    "Axes",
    "Figure",
    "FuncFormatter",
    "LogLocator",
    "MaxNLocator",
    "NullLocator",
    "default_style",
    "wrapped",
    "write_figure",
    "write_title",
]

_DOTS_PER_INCH = 110
_DEFAULTS: Any = {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"} | {"text.parse_math": False}
"""Matplotlib's own, but that a sweep's title may have dollar signs, which are no formula."""


@contextmanager
def default_style() -> Iterator[None]:
    """Inside, and in functions that it decorates, a ``matplotlibrc`` of the user's counts for nothing: pictures are compared."""
    with mpl.rc_context(_DEFAULTS):
        yield


def write_title(figure: Figure, title: str) -> None:
    """Write the title above the panels, in as many lines as the width needs."""
    figure.suptitle(textwrap.fill(title, int(9 * figure.get_figwidth())))


def wrapped(name: str, characters: int) -> str:
    """A name in lines of so many characters; none begins with the dot that separates its parts."""
    return textwrap.fill(name.replace(" · ", "\N{NO-BREAK SPACE}· "), characters, break_on_hyphens=False)


def write_figure(figure: Figure, path: Path) -> Path:
    """Draw a figure into a PNG file, which appears whole or not at all."""
    out = io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    canvas.print_figure(out, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_atomically(path, out.getvalue())
    return path
