"""Everything that a sweep leaves for people, in one folder: the table, its exports, its figures, its provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from fsl_core.atomic_file import write_atomically
from orchestrator.plan import Plan
from orchestrator.records import TrialRecord
from orchestrator.report.aggregate import aggregate
from orchestrator.report.export import frames, write_exports
from orchestrator.report.figures import adaptation_figure, cells_figure, curves_figure
from orchestrator.report.published import Registries
from orchestrator.report.table import render

_TABLES = {"text": "table.txt", "md": "table.md", "csv": "table.csv", "latex": "table.tex", "json": "table.json"}


def write_bundle(
    folder: Path,
    plan: Plan,
    records: Mapping[str, TrialRecord],
    registries: Registries,
    *,
    run_ids: Mapping[str, str] | None = None,
) -> tuple[Path, ...]:
    """Write the bundle of a sweep, complete or not, from its records alone; each file appears whole or not at all."""
    rows = aggregate(plan, records, registries)
    # First: a folder that a kill left half written says whose it is.
    write_atomically(folder / "provenance.json", json.dumps(provenance(plan, records), indent=1, sort_keys=True).encode() + b"\n")
    paths = []
    for form, name in _TABLES.items():
        write_atomically(folder / name, render(rows, form, spec=plan.spec).encode())
        paths.append(folder / name)
    paths += write_exports(frames(plan, records, rows, run_ids=run_ids), folder, "parquet")
    paths.append(curves_figure(plan, records, folder / "curves.png"))
    adaptation = adaptation_figure(plan, records, folder / "adaptation.png")
    paths += [adaptation] if adaptation else []
    paths.append(cells_figure(rows, folder / "cells.png", title=plan.spec.title))
    return (*paths, folder / "provenance.json")


def provenance(plan: Plan, records: Mapping[str, TrialRecord]) -> dict[str, object]:
    """Which sweep this is, and for each trial that is done: code, libraries, machine, data, time."""
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
            "lock_digest": execution.lock_digest,
            "versions": dict(execution.versions),
            "device": execution.device_name,
            "threads": execution.threads,
            "train_seconds": round(execution.train_seconds, 1),
            "finished_at": execution.finished_at,
        }
    spec = plan.spec
    return {
        "sweep": spec.name,
        "plan": plan.fingerprint,
        "seeds": list(spec.seeds),
        "overrides": list(spec.overrides),
        "trials": trials,
    }
