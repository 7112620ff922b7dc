"""``fsl.table``: the reproduced table beside the published one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from orchestrator.api.loading import SweepLike, workspace_of
from orchestrator.launch.report_writer import rows_of
from orchestrator.launch.tracked_runs import read_run_ids
from orchestrator.launch.workspace import Workspace
from orchestrator.records.trial_lock import is_held
from orchestrator.report.table import render
from orchestrator.report.table_rows import CellRow

if TYPE_CHECKING:
    import pandas as pd

TableForm = Literal["text", "md", "csv", "latex", "json"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Table:
    """A sweep's table as the records stand. As text it is what ``fsl table`` prints; a notebook shows it as Markdown.

    Attributes:
        workspace: the sweep, its plan and its records.
        rows: a row for each cell, with its score, its intervals and its verdict; what is missing is None.
    """

    workspace: Workspace
    rows: tuple[CellRow, ...]

    def text(self, form: TableForm = "text", *, classes: bool = False) -> str:
        """The table in one of its forms. ``classes`` adds the interval that counts other test classes too."""
        return render(self.rows, form, spec=self.workspace.plan.spec, classes=classes)

    def frame(self) -> pd.DataFrame:
        """A typed row for each cell: the export ``cells``, whose columns docs/exports.md explains."""
        return self.frames()["cells"]

    def frames(self) -> Mapping[str, pd.DataFrame]:
        """All exports by name: ``trials``, ``cells``, ``published``, ``episodes``, ``curves``, and ``adaptation`` where one adapts."""
        from orchestrator.report.export import frames

        workspace, plan = self.workspace, self.workspace.plan
        held = {trial.fingerprint for trial in plan.trials if is_held(workspace.store.paths(trial.fingerprint).lock)}
        return frames(plan, workspace.records, self.rows, run_ids=read_run_ids(workspace), held=held)

    def __repr__(self) -> str:
        return self.text().rstrip("\n")

    def _repr_markdown_(self) -> str:
        return self.text("md")


def table(sweep: SweepLike) -> Table:
    """The reproduced table beside the published one, at any time: while trials run, and where some are missing.

    Args:
        sweep: the name or the path of a sweep file, or what :func:`load` returns.

    Returns:
        The table, as text in five forms and as a DataFrame.

    Raises:
        SweepFileError: the sweep file is wrong.
        RegistryError: a file of published numbers is wrong.

    Example:
        >>> print(fsl.table("quick").text("md"))  # doctest: +SKIP
        >>> fsl.table("quick").frame()[["way", "shot", "reproduced_percent"]]  # doctest: +SKIP
    """
    workspace = workspace_of(sweep)
    return Table(workspace=workspace, rows=rows_of(workspace))
