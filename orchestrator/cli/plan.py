"""``fsl plan``: what a sweep is, what of it is done, and what the rest will cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from fsl_core.recipe import TrainingRecipe
from orchestrator.cli.columns import aligned, duration_text, size_text
from orchestrator.cli.launch import Device, HowToRun, choose_device, reach_cluster, shown_progress, slots, takes_how
from orchestrator.cli.opened import OpenedSweep, datasets_here, open_sweep
from orchestrator.cli.options import Given, Selection, json_option, takes_places, takes_selection
from orchestrator.cli.settings import plain_settings, settings_text
from orchestrator.cost import CostBook, Prediction, makespan
from orchestrator.execution.messages import Cluster
from orchestrator.execution.trial_lock import is_held
from orchestrator.names import full_name
from orchestrator.plan import PlannedTrial
from orchestrator.trial_state import TrialState, is_done, trial_state


@dataclass(frozen=True)
class Forecast:
    """What each trial of a plan costs as a whole, and which are done. ``slots``: how many run at once on this machine."""

    predictions: Mapping[str, Prediction]
    done: frozenset[str]
    slots: int

    @property
    def seconds(self) -> Mapping[str, float]:
        """The seconds of every trial; one of unknown cost counts as the longest."""
        return {
            name: float("inf") if prediction.seconds is None else prediction.seconds
            for name, prediction in self.predictions.items()
        }

    @property
    def left(self) -> Mapping[str, Prediction]:
        """The predictions of the trials that are not done."""
        return {name: prediction for name, prediction in self.predictions.items() if name not in self.done}

    @property
    def total_seconds(self) -> float:
        """How long the trials that are not done take on this machine, as far as their cost is known."""
        return makespan([prediction.seconds for prediction in self.left.values() if prediction.seconds is not None], self.slots)


def forecast(
    opened: OpenedSweep, *, device: Device = "cpu", cluster: Cluster | None = None, max_concurrent: int | None = None
) -> Forecast:
    """Predict a plan's cost; a kind of trial that never ran here is probed for some steps where its images are on this machine."""
    book = CostBook(opened.places.runs_root / "cost.json", device=device)
    book.learn(opened.store.read(folder.name) for folder in sorted(opened.store.trials.glob("*")) if folder.is_dir())
    done = frozenset(trial.fingerprint for trial in opened.plan.trials if is_done(trial, opened.records[trial.fingerprint]))
    probe, here = _prober(opened, device), datasets_here(opened.plan.spec, opened.places)
    predictions = {
        trial.fingerprint: book.predict(
            trial, probe if trial.fingerprint not in done and trial.recipe.data.dataset in here else None
        )
        for trial in opened.plan.trials
    }
    return Forecast(predictions, done, slots(device, cluster, max_concurrent or opened.plan.spec.max_concurrent))


def _prober(opened: OpenedSweep, device: Device) -> Callable[[TrainingRecipe], float]:
    def probe(recipe: TrainingRecipe) -> float:
        from fsl_core.datasets.catalogue import open_dataset
        from fsl_core.probe import measure_step_seconds

        places = opened.places
        with shown_progress("images read") as progress:
            dataset = open_dataset(
                recipe.data,
                data_root=places.data_root,
                cache_root=places.cache_root,
                announce=lambda message: click.echo(message, err=True),
                progress=progress,
            )
        click.echo(f"timing a training step, once: {full_name(recipe)}", err=True)
        return measure_step_seconds(recipe, dataset=dataset, device=device)

    return probe


@click.command()
@takes_selection
@takes_places("data_root", "runs_root")
@takes_how
@click.option("--settings", is_flag=True, help="Also show which settings each cell uses and which preset they come from.")
@json_option
def plan(selection: Selection, given: Given, how: HowToRun, settings: bool, as_json: bool) -> None:
    """Show every cell, the trials it needs and shares, which are done, and the time, memory and disk that the rest will take."""
    opened = open_sweep(selection, given)
    if settings and not as_json:
        click.echo(settings_text(opened.plan) + "\n")
    cluster = reach_cluster(how)
    expected = forecast(opened, device=choose_device(how, cluster), cluster=cluster, max_concurrent=how.max_concurrent)
    click.echo(json.dumps(_plain(opened, expected), indent=2) if as_json else plan_text(opened, expected))


def plan_text(opened: OpenedSweep, expected: Forecast) -> str:
    """The plan for people."""
    parts = [
        opened.plan.spec.title,
        _cells_text(opened, expected),
        _trials_text(opened, expected),
        _totals_text(opened, expected),
    ]
    return "\n\n".join(parts)


def _cells_text(opened: OpenedSweep, expected: Forecast) -> str:
    rows = [("cell", "preset", "seeds done", "trials")]
    for cell in opened.plan.cells:
        names = [recipe.fingerprint for recipe in cell.recipes]
        done = f"{sum(name in expected.done for name in names)}/{len(names)}"
        rows.append((cell.name, cell.settings.preset or "–", done, " ".join(names)))
    return aligned(rows)


def _trials_text(opened: OpenedSweep, expected: Forecast) -> str:
    rows = [("trial", "what", "cells", "state", "predicted", "from", "memory", "disk")]
    for trial in opened.plan.trials:
        prediction = expected.predictions[trial.fingerprint]
        rows.append(
            (
                trial.fingerprint,
                trial.name,
                str(len(trial.cells)),
                _state(trial, opened),
                duration_text(prediction.seconds),
                prediction.source,
                size_text(prediction.memory_bytes),
                size_text(prediction.disk_bytes),
            )
        )
    return aligned(rows, right=(2, 4, 6, 7))


def _state(trial: PlannedTrial, opened: OpenedSweep) -> TrialState:
    held = is_held(opened.store.paths(trial.fingerprint).lock)
    return trial_state(trial, opened.records[trial.fingerprint], held=held)


def _totals_text(opened: OpenedSweep, expected: Forecast) -> str:
    left, trials = expected.left, opened.plan.trials
    unknown = sum(prediction.seconds is None for prediction in left.values())
    shared = sum(len(cell.recipes) for cell in opened.plan.cells) - len(trials)
    lines = [
        f"{len(opened.plan.cells)} cells, {len(trials)} trials ({shared} fewer than without sharing), {len(left)} to do",
        f"predicted: {duration_text(expected.total_seconds)} with {expected.slots} at a time, "
        f"{size_text(sum(prediction.disk_bytes for prediction in left.values()))} of disk",
    ]
    if any(trial.recipe.validation.patience is not None for trial in trials):
        lines.append("patience may end a trial before its predicted time")
    if unknown:
        lines.append(f"{unknown} trials of unknown cost: nothing like them ran here, and their images are not on this machine")
    return "\n".join(lines)


def _plain(opened: OpenedSweep, expected: Forecast) -> dict[str, Any]:
    spec = opened.plan.spec
    return {
        "sweep": spec.name,
        "title": spec.title,
        "seeds": list(spec.seeds),
        "cells": [
            {
                "name": cell.name,
                "way": cell.way,
                "shot": cell.shot,
                "trials": [recipe.fingerprint for recipe in cell.recipes],
                "settings": plain_settings(opened.plan, cell),
            }
            for cell in opened.plan.cells
        ],
        "trials": [
            {
                "fingerprint": trial.fingerprint,
                "name": trial.name,
                "cells": list(trial.cells),
                "done": trial.fingerprint in expected.done,
                "state": _state(trial, opened),
                "predicted_seconds": prediction.seconds,
                "predicted_from": prediction.source,
                "memory_bytes": prediction.memory_bytes,
                "disk_bytes": prediction.disk_bytes,
            }
            for trial in opened.plan.trials
            for prediction in (expected.predictions[trial.fingerprint],)
        ],
        "total_seconds": expected.total_seconds,
        "slots": expected.slots,
    }
