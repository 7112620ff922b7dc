"""``fsl status``: what each trial of a sweep is doing, and how to look into one that failed."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import click

from orchestrator.api.statuses import SweepStatus
from orchestrator.api.statuses import status as status_of
from orchestrator.cli.options import json_option, sweep_options
from orchestrator.cli.text_layout import aligned
from orchestrator.cli.times_text import times_text
from orchestrator.launch.fsl_command import resuming_command, single_trial_command
from orchestrator.launch.sweep_status import TrialStatus
from orchestrator.launch.workspace import Sweep
from orchestrator.records.trial_state import TrialState

_ALWAYS_COUNTED = ("running", "waiting", "done", "failed")
_TRAINED = "trained, not scored"
_LISTED: tuple[TrialState, ...] = ("running", "scoring", "stopped", "waiting", "done", "diverged")


@click.command()
@sweep_options("runs_root", "data_root")
@json_option
def status(sweep: Sweep, as_json: bool) -> None:
    """Show which trials are running, waiting, done and failed.

    Failures are grouped by cause, with the log of each trial and the command that runs it alone.
    """
    found = status_of(sweep)
    click.echo(json.dumps(_document(found), indent=2) if as_json else _text(found))


def _text(status: SweepStatus) -> str:
    parts = [_counts(status), _launch(status)]
    for state in (*_LISTED[:3], _TRAINED, *_LISTED[3:]):
        lines = [_line(trial) for trial in status.trials if _word(trial) == state]
        if lines:
            parts.append(f"{state}:\n{aligned(lines)}")
    if times := status.launches:
        parts.append(f"the launch of {times[-1].began[:16].replace('T', ' ')} UTC: {times_text(times[-1])}")
    failures = failures_text(status)
    return "\n\n".join([*parts, failures] if failures else parts)


def _counts(status: SweepStatus) -> str:
    counts: dict[str, int] = {str(state): count for state, count in status.counts.items()}
    trained = sum(trial.lacks_only_scores for trial in status.trials)
    counts |= {"stopped": counts["stopped"] - trained, _TRAINED: trained}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count or state in _ALWAYS_COUNTED)


def _word(trial: TrialStatus) -> str:
    return _TRAINED if trial.lacks_only_scores else trial.state


def _launch(status: SweepStatus) -> str:
    """Whether a launch is alive; where none is and work is left, the command that resumes."""
    if status.running_launch is not None:
        return f"a launch is running: {status.running_launch}"
    left = any(trial.state not in ("done", "diverged") for trial in status.trials)
    return "no launch is running" + (f"; {resuming_command(status.workspace)} resumes" if left else "")


def failures_text(status: SweepStatus) -> str:
    """The failed trials, grouped by cause; of each cause one log and the command that runs one trial here."""
    parts = []
    for cause, group in status.failures.items():
        command = single_trial_command(group[0].trial, status.workspace)
        hint = f"  log: {group[0].paths.log}\n  run one here: {command}"
        parts.append(f"failed, {cause}\n{aligned([_line(trial) for trial in group])}\n{hint}")
    return "\n\n".join(parts)


def _line(status: TrialStatus) -> tuple[str, ...]:
    result, progress = status.record.result, status.record.progress
    if result is not None:
        how_far = f"{result.steps_done} steps"
    else:
        how_far = f"step {progress.step} of {progress.steps}" if progress else f"{status.trial.recipe.steps} steps at most"
    return (
        f"  {status.trial.fingerprint}",
        status.trial.name,
        how_far,
        _validation(status),
    )


def _validation(status: TrialStatus) -> str:
    """The accuracy with the step that it is of, which is the selected one after a training."""
    result, progress = status.record.result, status.record.progress
    if result is not None:
        selected = result.validation_accuracy
        return "" if selected is None else f"validation {100 * selected:.1f} % (step {result.selected_step})"
    newest = progress.metrics.get("validation_accuracy") if progress else None
    if newest is not None:
        return f"validation {100 * newest:.1f} %"
    best = status.validation_accuracy
    return "" if best is None else f"validation {100 * best:.1f} % (of an earlier step)"


def _document(status: SweepStatus) -> dict[str, Any]:
    return {
        "sweep": status.workspace.plan.spec.name,
        "counts": dict(status.counts),
        "running_launch": status.running_launch,
        "trials": [_trial(trial) for trial in status.trials],
        "trials_of_earlier_editions": len(status.workspace.earlier_trials),
        "launches": [dataclasses.asdict(times) for times in status.launches],
        "failures": [
            {
                "cause": cause,
                "trials": [each.trial.fingerprint for each in group],
                "log": str(group[0].paths.log),
                "command": single_trial_command(group[0].trial, status.workspace),
            }
            for cause, group in status.failures.items()
        ],
    }


def _trial(status: TrialStatus) -> dict[str, Any]:
    best = status.validation_accuracy
    return {
        "fingerprint": status.trial.fingerprint,
        "name": status.trial.name,
        "state": status.state,
        "cells": list(status.trial.cells),
        "step": status.step,
        "steps": status.trial.recipe.steps,
        "validation_accuracy_percent": None if best is None else 100 * best,
        "cause": status.cause,
        "unsealed": list(status.record.unsealed),
        "log": str(status.paths.log),
    }
