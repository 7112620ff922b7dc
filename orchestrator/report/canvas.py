"""A canvas for figures: without a window, in Matplotlib's default style, independent of the user's environment.

Only this module imports Matplotlib, and no module imports pyplot, which would open the user's backend.
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
    """Hides ``MPLBACKEND`` from the import: Matplotlib may fail on a notebook's backend that a subprocess inherits."""
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
"""Matplotlib's own defaults, except that dollar signs in a sweep's title are no formula."""


@contextmanager
def default_style() -> Iterator[None]:
    """Ignores the user's ``matplotlibrc`` in a block or a decorated function, so that pictures can be compared."""
    with mpl.rc_context(_DEFAULTS):
        yield


def write_title(figure: Figure, title: str) -> None:
    """Write the title above the panels; each of its lines is wrapped to the width."""
    width = int(9 * figure.get_figwidth())
    figure.suptitle("\n".join(textwrap.fill(line, width) for line in title.splitlines()))


def wrapped(name: str, characters: int) -> str:
    """A name wrapped at so many characters; where a line ends between two parts, the dot that separates them is left out."""
    bound = textwrap.fill(name.replace(" · ", "\N{NO-BREAK SPACE}· "), characters, break_on_hyphens=False)
    return bound.replace("\N{NO-BREAK SPACE}·\n", "\n")


def write_figure(figure: Figure, path: Path) -> Path:
    """Draw a figure into a PNG file, which appears whole or not at all."""
    out = io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    canvas.print_figure(out, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_atomically(path, out.getvalue())
    return path
