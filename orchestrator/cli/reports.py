"""Where a sweep's table goes, and what it is made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import click

from fsl_core.atomic_file import write_atomically
from orchestrator.cli.opened import OpenedSweep
from orchestrator.launch.driver import Reporter, sweep_folder
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.drawing import Notice
from orchestrator.report.folder_owner import cleared_folder, free_folder, owner_in
from orchestrator.report.published import Registries, registries_beside
from orchestrator.report.table import render
from orchestrator.report.table_rows import CellRow, aggregate
from orchestrator.report.unchanged_report import kept_or_written, made_from
from orchestrator.sweep.plan import Plan


def registries_for(opened: OpenedSweep) -> Registries:
    """The published numbers that the sweep is compared with."""
    return registries_beside(opened.plan.spec.source.parent)


def rows_of(opened: OpenedSweep) -> tuple[CellRow, ...]:
    """The table's rows as the records stand."""
    return aggregate(opened.plan, opened.records, registries_for(opened))


def rendered_table(opened: OpenedSweep, form: str, *, classes: bool = False) -> str:
    """The table as the records stand, in one of its forms."""
    return render(rows_of(opened), form, spec=opened.plan.spec, classes=classes)


def report_folder(opened: OpenedSweep, *, complete: bool, replace: bool) -> Path:
    """``<results-root>/<sweep>`` for a complete sweep as its file has it; beside the runs for every other outcome.

    A finished table of another plan stays where it is, unless it is to be replaced; beside the runs the newest table has the place.
    """
    own = sweep_folder(opened.places.runs_root, opened.plan) / "report"
    if not complete or opened.plan.spec.overrides:
        return cleared_folder(own, opened.plan)[0]
    finished = opened.places.results_root / opened.plan.spec.name
    if replace:
        folder, aside = cleared_folder(finished, opened.plan)
        if aside is not None:
            click.echo(f"the table of {owner_in(aside)} that was in {folder} is now in {aside}", err=True)
        return folder
    folder = free_folder(finished, opened.plan)
    if folder != finished:
        click.echo(
            f"{finished} holds the finished table of {owner_in(finished)} and stays as it is (--replace puts this one there)",
            err=True,
        )
    return folder


def reporter_for(opened: OpenedSweep, run_ids: Callable[[], Mapping[str, str]], *, replace: bool = False) -> Reporter:
    """What the driver calls at the end. ``run_ids`` gives the MLflow runs of the trials, as far as they are known by then."""
    registries = registries_for(opened)  # read before the trials run: a fault in them must not wait until the end

    def report(plan: Plan, records: Mapping[str, TrialRecord], complete: bool) -> tuple[Sequence[Path], str]:
        known = keep_run_ids(opened, run_ids())
        folder = report_folder(opened, complete=complete, replace=replace)

        def write(notice: Notice) -> tuple[Path, ...]:
            from orchestrator.report.report_folder import (
                write_bundle,  # pandas, pyarrow and matplotlib, only where something changed
            )

            return write_bundle(folder, plan, records, registries, run_ids=known, notice=notice)

        source = made_from(folder, plan, records, registries, known)
        note = sweep_folder(opened.places.runs_root, opened.plan) / "written_report.json"
        files = kept_or_written(note, source, write, partial(click.echo, err=True))
        return files, render(aggregate(plan, records, registries), "md", spec=plan.spec)

    return report


def keep_run_ids(opened: OpenedSweep, run_ids: Mapping[str, str]) -> Mapping[str, str]:
    """Write down the MLflow runs of the sweep's trials for later commands; returns all that are known."""
    known = {**read_run_ids(opened), **run_ids}
    with suppress(OSError):  # a view's own ids, on a full disk: the next launch finds them again
        write_atomically(_run_ids_file(opened), json.dumps(known, sort_keys=True, indent=1).encode())
    return known


def read_run_ids(opened: OpenedSweep) -> dict[str, str]:
    """The MLflow runs of the sweep's trials, as the last launch knew them."""
    try:
        plain = json.loads(_run_ids_file(opened).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}  # a view's own ids: the next launch finds them again
    return {name: run for name, run in plain.items() if isinstance(run, str)} if isinstance(plain, dict) else {}


def _run_ids_file(opened: OpenedSweep) -> Path:
    return sweep_folder(opened.places.runs_root, opened.plan) / "mlflow_runs.json"
