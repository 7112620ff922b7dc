"""``fsl status``: what each trial of a sweep is doing, and how to look into one that failed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from fsl_core.training.trial_paths import TrialPaths
from orchestrator.cli.opened import OpenedSweep, open_sweep
from orchestrator.cli.options import Given, Selection, json_option, takes_places, takes_selection
from orchestrator.cli.text_layout import aligned
from orchestrator.cli.times_text import times_text
from orchestrator.launch.driver import sweep_folder
from orchestrator.launch.launch_times import LaunchTimes
from orchestrator.launch.launches import launch_on_record
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import STATES, TrialState
from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings
from orchestrator.sweep.plan import PlannedTrial
from orchestrator.sweep.spec import SweepSpec

_ALWAYS_COUNTED = ("running", "waiting", "done", "failed")
_LISTED: tuple[TrialState, ...] = ("running", "scoring", "stopped", "waiting", "done", "diverged")


@dataclass(frozen=True, kw_only=True)
class TrialStatus:
    """A trial and the state that its folder tells of."""

    trial: PlannedTrial
    record: TrialRecord
    paths: TrialPaths
    state: TrialState


@click.command()
@takes_selection
@takes_places("runs_root", "data_root")
@json_option
def status(selection: Selection, given: Given, as_json: bool) -> None:
    """Show which trials are running, waiting, done and failed; failures by cause, with the log and the command that runs one."""
    opened = open_sweep(selection, given)
    rows = trial_statuses(opened)
    click.echo(json.dumps(_plain(rows, opened), indent=2) if as_json else _text(rows, opened))


def trial_statuses(opened: OpenedSweep) -> tuple[TrialStatus, ...]:
    """The state of every trial of the plan, in the plan's order."""
    return tuple(_status_of(trial, opened) for trial in opened.plan.trials)


def _status_of(trial: PlannedTrial, opened: OpenedSweep) -> TrialStatus:
    record, paths = opened.records[trial.fingerprint], opened.store.paths(trial.fingerprint)
    return TrialStatus(trial=trial, record=record, paths=paths, state=opened.state(trial))


def command_in_process(trial: PlannedTrial, opened: OpenedSweep) -> str:
    """The command that runs one trial, and no other, in the user's own process."""
    spec, cells = opened.plan.spec, opened.plan.cells
    cell = next(cell for cell in cells if trial.recipe in cell.recipes)
    words = ["run", str(spec.source), *(word for text in spec.set_texts for word in ("--set", text))]
    words += ["--executor", "in-process", "--seeds", str(trial.recipe.seed)]
    apart = what_sets_apart(cell.settings, [other.settings for other in cells])
    narrowed = ",".join(text for text in (_only_that_keeps(cell.settings, spec), apart) if text)
    words += ["--only", narrowed] if narrowed else []
    return opened.command(*words)


def _only_that_keeps(settings: CellSettings, spec: SweepSpec) -> str:
    """The sweep's own ``--only`` that a cell is there by; empty where there is none. Several are a union, so one is enough."""
    from orchestrator.sweep.overrides import parse_overrides  # ruamel.yaml, only where something failed

    return next((text for text in spec.only_texts if parse_overrides([], [text], None).keep(settings)), "")


def what_sets_apart(settings: CellSettings, among: Sequence[CellSettings]) -> str:
    """The ``--only`` text that one cell of a sweep matches and no other."""
    varying = [name for name in SETTING_NAMES if len({getattr(other, name) for other in among}) > 1]
    return ",".join(f"{name}={json.dumps(getattr(settings, name)).strip(chr(34))}" for name in varying)


def _failures_by_cause(rows: Sequence[TrialStatus]) -> Mapping[str, list[TrialStatus]]:
    causes: dict[str, list[TrialStatus]] = {}
    for row in rows:
        if row.state == "failed" and row.record.failure is not None:
            causes.setdefault(row.record.failure.cause, []).append(row)
    return causes


def _text(rows: Sequence[TrialStatus], opened: OpenedSweep) -> str:
    counts = {state: sum(row.state == state for row in rows) for state in STATES}
    parts = [", ".join(f"{count} {state}" for state, count in counts.items() if count or state in _ALWAYS_COUNTED)]
    for state in _LISTED:
        lines = [_line(row) for row in rows if row.state == state]
        if lines:
            parts.append(f"{state}:\n{aligned(lines)}")
    if times := _times(opened):
        parts.append(f"the launch of {times[-1].began[:16].replace('T', ' ')} UTC: {times_text(times[-1])}")
    failures = failures_text(rows, opened)
    return "\n\n".join([*parts, failures] if failures else parts)


def _times(opened: OpenedSweep) -> tuple[LaunchTimes, ...]:
    """What the launches of this plan took, the newest last."""
    launch = launch_on_record(sweep_folder(opened.places.runs_root, opened.plan), opened.plan)
    return () if launch is None else launch.times


def failures_text(rows: Sequence[TrialStatus], opened: OpenedSweep) -> str:
    """The failed trials, grouped by cause; of each cause one log and the command that runs one trial here."""
    parts = []
    for cause, group in _failures_by_cause(rows).items():
        hint = f"  log: {group[0].paths.log}\n  run one here: {command_in_process(group[0].trial, opened)}"
        parts.append(f"failed, {cause}\n{aligned([_line(row) for row in group])}\n{hint}")
    return "\n\n".join(parts)


def _line(row: TrialStatus) -> tuple[str, ...]:
    result, progress = row.record.result, row.record.progress
    if result is not None:
        best = result.validation_accuracy
        how_far = f"{result.steps_done} steps"
    else:
        best = progress.best if progress else None
        how_far = f"step {progress.step} of {progress.steps}" if progress else f"{row.trial.recipe.steps} steps at most"
    return (f"  {row.trial.fingerprint}", row.trial.name, how_far, "" if best is None else f"validation {100 * best:.1f} %")


def _plain(rows: Sequence[TrialStatus], opened: OpenedSweep) -> dict[str, Any]:
    return {
        "sweep": opened.plan.spec.name,
        "counts": {state: sum(row.state == state for row in rows) for state in STATES},
        "trials": [_plain_row(row) for row in rows],
        "trials_of_earlier_editions": len(opened.earlier_trials),
        "launches": [dataclasses.asdict(times) for times in _times(opened)],
        "failures": [
            {
                "cause": cause,
                "trials": [row.trial.fingerprint for row in group],
                "log": str(group[0].paths.log),
                "command": command_in_process(group[0].trial, opened),
            }
            for cause, group in _failures_by_cause(rows).items()
        ],
    }


def _plain_row(row: TrialStatus) -> dict[str, Any]:
    result, progress, failure = row.record.result, row.record.progress, row.record.failure
    best = result.validation_accuracy if result else progress.best if progress else None
    return {
        "fingerprint": row.trial.fingerprint,
        "name": row.trial.name,
        "state": row.state,
        "cells": list(row.trial.cells),
        "step": result.steps_done if result else progress.step if progress else 0,
        "steps": row.trial.recipe.steps,
        "validation_accuracy_percent": None if best is None else 100 * best,
        "cause": failure.cause if failure and row.state == "failed" else None,
        "unsealed": list(row.record.unsealed),
        "log": str(row.paths.log),
    }
