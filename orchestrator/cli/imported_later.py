"""A command that is imported when it is called, so that ``fsl --help`` imports none of them and a command only itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


class ImportedLater(click.Command):
    """Stands in a group for the command that ``load`` imports; ``summary`` says in one line of the group's help what it does."""

    def __init__(self, name: str, summary: str, load: Callable[[], click.Command]) -> None:
        super().__init__(name, help=summary)
        self.load = load

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of the command itself, which click then invokes; see :meth:`click.Command.make_context`."""
        return self.load().make_context(info_name, args, parent, **extra)
