"""Writes the report of a sweep into one folder: table, exports, figures and provenance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fsl_core.atomic_file import write_atomically
from fsl_core.listeners import Notice
from fsl_core.recipe.fingerprint import SCHEMA_VERSION as EDITION
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.drawing import draw_if_possible
from orchestrator.report.export import frames, write_exports
from orchestrator.report.json_keys import SCHEMA_VERSION
from orchestrator.report.row_text import head
from orchestrator.report.table import render
from orchestrator.report.table_rows import CellRow
from orchestrator.sweep.plan import Plan

_TABLES = {"text": "table.txt", "md": "table.md", "csv": "table.csv", "latex": "table.tex", "json": "table.json"}


def write_pages(
    folder: Path, plan: Plan, records: Mapping[str, TrialRecord], rows: Sequence[CellRow], *, notice: Notice
) -> tuple[Path, ...]:
    """Write the table in every form, its figures and its provenance; each file appears whole or not at all.

    They are a function of the records and the published numbers. A figure that cannot be drawn is omitted, and ``notice`` receives the
    reason.
    """
    # First, so that a folder that a kill left incomplete names its plan.
    write_atomically(
        folder / "provenance.json",
        json.dumps(provenance(plan, records), indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n",
    )
    for form, name in _TABLES.items():
        write_atomically(folder / name, render(rows, form, spec=plan.spec).encode())
    tables = (folder / name for name in _TABLES.values())
    return (*tables, *_figures(folder, plan, records, rows, notice), folder / "provenance.json")


def write_parquet(
    folder: Path,
    plan: Plan,
    records: Mapping[str, TrialRecord],
    rows: Sequence[CellRow],
    *,
    run_ids: Mapping[str, str],
) -> tuple[Path, ...]:
    """Write the exports; each file appears whole or not at all. ``trials.parquet`` has the ids of MLflow's runs too."""
    return tuple(write_exports(frames(plan, records, rows, run_ids=run_ids), folder, "parquet"))


def _figures(folder: Path, plan: Plan, records: Mapping[str, TrialRecord], rows: Sequence[CellRow], notice: Notice) -> list[Path]:
    """Draws the figures. Matplotlib is imported inside, so that a broken installation only causes a notice."""

    def curves(path: Path) -> Path | None:
        from orchestrator.report.curves_figure import curves_figure

        return curves_figure(plan, records, path)

    def adaptation(path: Path) -> Path | None:
        from orchestrator.report.adaptation_figure import adaptation_figure

        return adaptation_figure(plan, records, path)

    def cells(path: Path) -> Path | None:
        from orchestrator.report.cells_figure import cells_figure

        return cells_figure(rows, path, title="\n".join(head(plan.spec)))

    figures: dict[str, Callable[[Path], Path | None]] = {"curves": curves, "cells": cells}
    if any(evaluation.adaptation_steps for trial in plan.trials for evaluation in trial.evaluations):
        figures["adaptation"] = adaptation
    paths = [draw_if_possible(draw, folder / f"{name}.png", notice) for name, draw in figures.items()]
    return [path for path in paths if path is not None]


def provenance(plan: Plan, records: Mapping[str, TrialRecord]) -> dict[str, object]:
    """The identity of the sweep, and the code, libraries, machine, data and time of each trained trial, scored or not."""
    trials = {}
    for trial in plan.trials:
        record = records.get(trial.fingerprint)
        if record is None or record.result is None or record.execution is None:
            continue
        execution = record.execution
        trials[trial.fingerprint] = {
            "name": trial.name,
            "data_digest": record.result.data_digest,
            "weights_digest": record.result.weights_digest,
            "git_commit": execution.git_commit,
            "git_dirty": execution.git_dirty,
            "git_problem": execution.git_problem,
            "code_digest": execution.code_digest,
            "lock_digest": execution.lock_digest,
            "versions": dict(execution.versions),
            "device": execution.device_name,
            "threads": execution.threads,
            "train_seconds": round(execution.train_seconds, 1),
            "finished_at": execution.finished_at,
        }
    spec = plan.spec
    return {
        "schema_version": SCHEMA_VERSION,
        "sweep": spec.name,
        "edition": EDITION,
        "plan": plan.fingerprint,
        "seeds": list(spec.seeds),
        "overrides": list(spec.overrides),
        "trials": trials,
    }
