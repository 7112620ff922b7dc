"""Where a sweep's table goes, and what it is made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from fsl_core.atomic_file import write_atomically
from orchestrator.cli.opened import OpenedSweep
from orchestrator.plan import Plan
from orchestrator.records import TrialRecord
from orchestrator.report.aggregate import CellRow, aggregate
from orchestrator.report.published import Registries, load_registries
from orchestrator.report.table import render
from orchestrator.sweep import Reporter, sweep_folder

_SHIPPED = Path(__file__).resolve().parents[2] / "sweeps" / "published"


def registries_for(opened: OpenedSweep) -> Registries:
    """The published numbers: those beside the sweep file where there are some, else this project's own."""
    beside = opened.plan.spec.source.parent / "published"
    return load_registries(beside if beside.is_dir() else _SHIPPED)


def rows_of(opened: OpenedSweep) -> tuple[CellRow, ...]:
    """The table's rows as the records stand."""
    return aggregate(opened.plan, opened.records, registries_for(opened))


def rendered_table(opened: OpenedSweep, form: str) -> str:
    """The table as the records stand, in one of its forms."""
    return render(rows_of(opened), form, spec=opened.plan.spec)


def report_folder(opened: OpenedSweep, *, complete: bool) -> Path:
    """``<results-root>/<sweep>`` for a complete sweep as its file has it; beside the runs for every other outcome."""
    if complete and not opened.plan.spec.overrides:
        return opened.places.results_root / opened.plan.spec.name
    return sweep_folder(opened.places.runs_root, opened.plan) / "report"


def reporter_for(opened: OpenedSweep, run_ids: Callable[[], Mapping[str, str]]) -> Reporter:
    """What the driver calls at the end. ``run_ids`` gives the MLflow runs of the trials, as far as they are known by then."""
    registries = registries_for(opened)  # read before the trials run: a fault in them must not wait until the end

    def report(plan: Plan, records: Mapping[str, TrialRecord], complete: bool) -> tuple[Sequence[Path], str]:
        from orchestrator.report.bundle import write_bundle

        known = {**read_run_ids(opened), **run_ids()}
        write_atomically(_run_ids_file(opened), json.dumps(known, sort_keys=True, indent=1).encode())
        folder, notice = report_folder(opened, complete=complete), partial(click.echo, err=True)
        files = write_bundle(folder, plan, records, registries, run_ids=known, notice=notice)
        return files, render(aggregate(plan, records, registries), "md", spec=plan.spec)

    return report


def read_run_ids(opened: OpenedSweep) -> dict[str, str]:
    """The MLflow runs of the sweep's trials, as the last launch knew them."""
    try:
        plain = json.loads(_run_ids_file(opened).read_text())
    except (OSError, ValueError):
        return {}  # a view's own ids: the next launch finds them again
    return {str(name): str(run) for name, run in plain.items()}


def _run_ids_file(opened: OpenedSweep) -> Path:
    return sweep_folder(opened.places.runs_root, opened.plan) / "mlflow_runs.json"
