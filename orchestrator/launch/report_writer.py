"""Where a sweep's table goes, and what it is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from fsl_core.json_digest import json_digest
from fsl_core.listeners import Notice
from orchestrator.launch.driver import Reporter, sweep_folder
from orchestrator.launch.tracked_runs import keep_run_ids
from orchestrator.launch.workspace import Workspace
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.folder_owner import cleared_folder, free_folder, owner_in
from orchestrator.report.published import Registries, registries_beside
from orchestrator.report.table_rows import CellRow, table_rows
from orchestrator.report.unchanged_report import reuse_or_write, source_digest
from orchestrator.sweep.plan import Plan


def registries_for(workspace: Workspace) -> Registries:
    """The published numbers that the sweep is compared with."""
    return registries_beside(workspace.plan.spec.file.parent)


def rows_of(workspace: Workspace) -> tuple[CellRow, ...]:
    """The table's rows as the records stand."""
    return table_rows(workspace.plan, workspace.records, registries_for(workspace))


def report_folder(workspace: Workspace, *, complete: bool, replace: bool) -> Path:
    """``<results-root>/<sweep>`` for a complete sweep as its file has it; beside the runs for every other outcome.

    A finished table of another plan stays where it is, unless it is to be replaced; beside the runs the newest table has the place.
    """
    plan, places, notice = workspace.plan, workspace.places, workspace.callbacks.notice
    own = sweep_folder(places.runs_root, plan) / "report"
    if not complete or plan.spec.overrides:
        return cleared_folder(own, plan)[0]
    finished = places.results_root / plan.spec.name
    if replace:
        folder, aside = cleared_folder(finished, plan)
        if aside is not None:
            notice(f"the table of {owner_in(aside)} that was in {folder} is now in {aside}")
        return folder
    folder = free_folder(finished, plan)
    if folder != finished:
        notice(f"{finished} holds the finished table of {owner_in(finished)} and stays as it is (--replace puts this one there)")
    return folder


def reporter_for(workspace: Workspace, run_ids: Callable[[], Mapping[str, str]], *, replace: bool = False) -> Reporter:
    """What the driver calls at the end. ``run_ids`` gives the MLflow runs of the trials, as far as they are known by then."""
    registries = registries_for(workspace)  # read before the trials run: a fault in them must not wait until the end

    def report(plan: Plan, records: Mapping[str, TrialRecord], complete: bool) -> tuple[Sequence[Path], str]:
        known = keep_run_ids(workspace, run_ids())
        folder = report_folder(workspace, complete=complete, replace=replace)

        @cache
        def rows() -> tuple[CellRow, ...]:
            return table_rows(plan, records, registries)

        def pages(notice: Notice) -> tuple[Path, ...]:
            from orchestrator.report.report_folder import write_pages  # matplotlib, only where something changed

            return write_pages(folder, plan, records, rows(), notice=notice)

        def exports(notice: Notice) -> tuple[Path, ...]:
            from orchestrator.report.report_folder import write_parquet  # pandas and pyarrow

            return write_parquet(folder, plan, records, rows(), run_ids=known)

        source, notes = source_digest(folder, plan, records, registries), sweep_folder(workspace.places.runs_root, plan)
        say = workspace.callbacks.notice
        written = reuse_or_write(notes / "written_report.json", source, pages, say)
        exported = reuse_or_write(notes / "written_exports.json", json_digest([source, dict(known)]), exports, say)
        return (*written, *exported), (folder / "table.md").read_text(encoding="utf-8")

    return report
