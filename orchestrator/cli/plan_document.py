"""A plan for programs: the JSON of ``fsl plan --json``, which docs/reproducing.md describes."""

from __future__ import annotations

import dataclasses
from typing import Any

from orchestrator.api.planning import PlannedSweep
from orchestrator.launch.forecast import Forecast
from orchestrator.launch.images import images_text
from orchestrator.launch.prediction import Parts
from orchestrator.launch.setting_origins import plain_settings
from orchestrator.launch.span import Span
from orchestrator.records.trial_state import TrialState
from orchestrator.report.reach import Reach
from orchestrator.sweep.plan import PlannedTrial


def plan_document(planned: PlannedSweep) -> dict[str, Any]:
    """The plan as plain JSON types; what is unknown is null."""
    workspace, expected = planned.workspace, planned.forecast
    spec, plan = workspace.plan.spec, workspace.plan
    return {
        "sweep": spec.name,
        "title": spec.title,
        "sweep_file": str(spec.file),
        "seeds": list(spec.seeds),
        "cells": [
            {
                "name": cell.name,
                "way": cell.way,
                "shot": cell.shot,
                "trials": [recipe.fingerprint for recipe in cell.recipes],
                "settings": plain_settings(plan, cell),
            }
            for cell in plan.cells
        ],
        "trials": [_trial(trial, workspace.state(trial), expected) for trial in plan.trials],
        "total_seconds": _seconds(expected.total_seconds),
        "known_seconds": None if expected.all_unknown else _seconds(expected.known_seconds),
        "earliest_seconds": expected.earliest_seconds,
        "unknown_trials": expected.unknown,
        "slots": expected.slots,
        "device": expected.machine.device,
        "device_name": expected.machine.device_name,
        "threads": expected.compute.threads,
        "gpus_per_trial": expected.compute.gpus,
        "unprepared_datasets": list(map(images_text, planned.unprepared)),
        "trials_of_earlier_editions": len(workspace.earlier_trials),
        "verdicts": [_reach(each) for each in planned.reach],
    }


_PARTS = tuple(field.name for field in dataclasses.fields(Parts))


def _trial(trial: PlannedTrial, state: TrialState, expected: Forecast) -> dict[str, Any]:
    prediction = expected.predictions[trial.fingerprint]
    return {
        "fingerprint": trial.fingerprint,
        "name": trial.name,
        "cells": list(trial.cells),
        "done": trial.fingerprint in expected.done,
        "state": state,
        "predicted_seconds": _seconds(prediction.whole),
        "predicted_parts": {name: _seconds(getattr(prediction.of_all, name).seconds) for name in _PARTS},
        "left_seconds": _seconds(prediction.left),
        "predicted_from": prediction.basis,
        "memory_bytes": prediction.memory_bytes,
        "disk_bytes": prediction.disk_bytes,
    }


def _reach(reach: Reach) -> dict[str, Any]:
    return {
        "cell": reach.cell,
        "published": reach.published,
        "margin_points": reach.margin,
        "episodes_ci95_points": reach.episodes,
        "ci95_points": reach.whole,
        "reproducible": "never" if reach.never else "hardly" if reach.unlikely else "yes",
    }


def _seconds(span: Span | None) -> dict[str, float] | None:
    return None if span is None else {"low": span.low, "likely": span.likely, "high": span.high}
