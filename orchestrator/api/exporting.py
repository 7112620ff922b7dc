"""``fsl.export``: trials, cells, episodes and curves as files of typed columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from orchestrator.api.loading import Folder, SweepLike, given_folder, workspace_of
from orchestrator.api.tables import table
from orchestrator.sweep.folder import check_folder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, repr=False)
class Exports:
    """Tables that were written: their files and their content, by name."""

    files: Mapping[str, Path]
    frames: Mapping[str, pd.DataFrame]

    def __repr__(self) -> str:
        return f"<exports: {', '.join(map(str, self.files.values()))}>"


def export(sweep: SweepLike, folder: Folder | None = None, *, form: Literal["parquet", "csv"] = "parquet") -> Exports:
    """Write the tables trials, cells, published, episodes, curves and, if an algorithm adapts, adaptation; see docs/exports.md.

    Args:
        sweep: the name or the path of a sweep file, or what :func:`load` returns.
        folder: where to; by default ``<runs-root>/exports/<sweep>``, with the plan's fingerprint behind it where there are overrides.
        form: ``parquet``, with types and units in the schema, or ``csv``.

    Returns:
        The files, and the same tables as DataFrames.

    Raises:
        SweepFileError: the sweep file is wrong.
        FolderError: the folder cannot be written to.

    Example:
        >>> exports = fsl.export("quick", "exports")  # doctest: +SKIP
        >>> exports.frames["curves"].groupby("trial_id")["loss"].min()  # doctest: +SKIP
    """
    from orchestrator.report.export import write_exports

    workspace = workspace_of(sweep)
    spec, plan = workspace.plan.spec, workspace.plan
    name = spec.name + (f".{plan.fingerprint}" if spec.overrides else "")
    target = workspace.places.runs_root / "exports" / name if folder is None else given_folder(folder, "folder")
    check_folder(target, "folder of exports", for_writing=True)
    frames = table(workspace).frames()
    return Exports(files={path.stem: path for path in write_exports(frames, target, form)}, frames=frames)
