"""How far something is: a bar on a terminal, a line each quarter elsewhere; always on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from fsl_core.listeners import Advance


@contextmanager
def shown_progress(what: str) -> Iterator[Advance]:
    """Give what takes how many are done, and of how many. Nothing is shown before its first call."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line_each_quarter(what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = ProgressBar(*columns, console=console)
    task = bar.add_task(what)

    def show(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()


def _line_each_quarter(what: str) -> Advance:
    shown = 0

    def show(done: int, total: int) -> None:
        nonlocal shown
        quarter = 4 * done // total
        if quarter > shown:
            click.echo(f"{what}: {done} of {total}", err=True)
        shown = max(shown, quarter)

    return show
