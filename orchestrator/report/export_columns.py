"""The columns of the exports: their types, and what they hold with which unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from orchestrator.sweep.cell_settings import SETTING_NAMES, descriptions, setting_kinds

TEXT, WHOLE, REAL, TRUTH = "string", "Int64", "Float64", "boolean"
STAMP = "datetime64[ms, UTC]"
LIST = "object"
"""Lists of texts: in CSV ids are separated by spaces, other texts by semicolons."""

ID_LISTS = frozenset({"trial_ids", "class_ids"})
"""The lists that hold ids."""

RENAMED_SETTINGS = {"order": "maml_order", "steps": "steps_budget"}
"""Settings whose column is named otherwise than the key of sweep files: a word of SQL; what may not have been reached."""
_OF_EVALUATIONS = {"way", "shot", "query", "evaluation_episodes", "evaluation_seed", "evaluation_adaptation_steps", "inductive"}
"""The keys that say how a trial is scored and not how it is trained."""


def _recipe_columns() -> dict[str, tuple[str, str]]:
    """A column for every setting of a training, with the type of its values and what its field says of it."""
    keys = [key for key in SETTING_NAMES if key not in _OF_EVALUATIONS | {"preset"}]
    return {RENAMED_SETTINGS.get(key, key): (_type_of(setting_kinds()[key]), descriptions()[key].meaning) for key in keys}


def _type_of(kind: Any) -> str:
    values = [value if isinstance(value, type) else type(value) for value in _flat(kind)]
    types = {bool: TRUTH, float: REAL, int: WHOLE}
    return next((name for each, name in types.items() if each in values), TEXT)


def _flat(kind: Any) -> Iterator[Any]:
    """The types of a union and the values of its literals."""
    parts = get_args(kind)
    for part in parts:
        yield from _flat(part)
    if not parts:
        yield kind


COLUMNS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "trials": {
        "trial_id": (TEXT, "t- and the recipe's fingerprint, which names the trial's folder"),
        "name": (TEXT, "the trial in words"),
        "status": (TEXT, "running, scoring, stopped, waiting, done, diverged or failed"),
        "stopped_by": (TEXT, "budget, patience or divergence"),
        **_recipe_columns(),
        "seed": (WHOLE, "training seed"),
        "steps_done": (WHOLE, "steps"),
        "selected_step": (WHOLE, "step of the selected weights"),
        "validation_loss_nats": (REAL, "mean cross-entropy of a query in nats, at the selected step"),
        "validation_accuracy_percent": (REAL, "percent, at the selected step"),
        "weights_digest": (TEXT, "sha256- and the SHA-256 of the selected weights"),
        "data_digest": (TEXT, "sha256- and the SHA-256 of the images"),
        "failure": (TEXT, "the error of the last attempt in a line, where the trial failed"),
        "train_seconds": (REAL, "seconds, wall clock, all attempts; its share where seeds train together"),
        "evaluation_seconds": (REAL, "seconds, wall clock, all evaluations"),
        "started_at": (STAMP, "UTC, of the first attempt"),
        "finished_at": (STAMP, "UTC"),
        "peak_memory_bytes": (WHOLE, "bytes"),
        "attempts": (WHOLE, "attempts at the training, with those that were killed; scoring alone is none"),
        "host": (TEXT, "host- and the machine's name"),
        "device": (TEXT, "what computed"),
        "threads": (WHOLE, "CPU threads of an operation"),
        "git_commit": (TEXT, "git- and the commit of the code"),
        "git_dirty": (TRUTH, "the working tree differed from the commit"),
        "git_problem": (TEXT, "why git could not tell"),
        "code_digest": (TEXT, "code- and the digest of the code that computed"),
        "lock_digest": (TEXT, "sha256- and the SHA-256 of the pinned requirements"),
        "python_version": (TEXT, "python- and the version"),
        "torch_version": (TEXT, "torch- and the version"),
        "cuda_version": (TEXT, "cuda- and the version"),
        "mlflow_run_id": (TEXT, "run- and the id of the MLflow run"),
    },
    "cells": {
        "cell_id": (TEXT, "c- and the cell's fingerprint: what is trained, how it is scored, under which preset"),
        "evaluation_id": (TEXT, "e- and the evaluation's fingerprint"),
        "trial_ids": (LIST, "the trials of its seeds, in the seeds' order"),
        "algorithm": (TEXT, ""),
        "variant": (TEXT, ""),
        "preset": (TEXT, "that its settings come from"),
        "dataset": (TEXT, ""),
        "way": (WHOLE, "classes of an episode"),
        "shot": (WHOLE, "support images per class"),
        "maml_order": (WHOLE, "order of the meta-gradient, of MAML and of ANIL"),
        "inductive": (TRUTH, "of algorithms that adapt: BatchNorm normalises a query by the support's statistics"),
        "published_percent": (REAL, "percent, of the registry compared with"),
        "compared_with": (TEXT, "the registry that the difference and the verdict are against: the first that has a number"),
        "reproduced_percent": (REAL, "percent, mean over seeds"),
        "ci95_episodes_points": (
            REAL,
            "half the 95% interval for episodes sampled again from the same classes, percentage points",
        ),
        "ci95_classes_points": (REAL, "half the 95% interval had other test classes been chosen as well, percentage points"),
        "std_seeds_points": (REAL, "standard deviation over seeds, percentage points"),
        "seeds_done": (WHOLE, ""),
        "seeds_wanted": (WHOLE, ""),
        "difference_points": (REAL, "reproduced minus published, percentage points"),
        "ci95_difference_points": (REAL, "half the 95% interval by which the verdict was reached, percentage points"),
        "verdict": (TEXT, "with its reasons"),
        "verdict_label": (TEXT, "the verdict's first words alone"),
        "training_ended": (TEXT, "how the trainings of its seeds ended, and with the weights of which step"),
        "code_versions": (
            WHOLE,
            "how many versions of the code computed these seeds; any changed file makes another version",
        ),
        "assumed": (LIST, "what the verdict takes for granted"),
        "differs": (LIST, "settings unlike those of the number compared with"),
        "choices": (LIST, "what the preset chose where its source is silent"),
        "doubt": (TEXT, "about that number"),
        "short": (TRUTH, "the sweep trains for less than the published run on purpose"),
        "overrides": (LIST, "what the command line changed of the sweep file"),
    },
    "published": {
        "cell_id": (TEXT, "c- and the cell's fingerprint"),
        "registry": (TEXT, "the file of sweeps/published that has the number"),
        "label": (TEXT, "what heads its column in the table"),
        "kind": (TEXT, "paper, authors_code (the authors' code run again) or independent"),
        "source": (TEXT, "where it was printed"),
        "published_percent": (REAL, "percent"),
        "ci95_points": (REAL, "half its 95% interval over test episodes, percentage points"),
        "std_seeds_points": (REAL, "standard deviation over its trainings, percentage points"),
        "seeds": (WHOLE, "how many trainings that is of"),
        "test_episodes": (WHOLE, "of its test"),
        "decimals": (WHOLE, "digits after the point that were printed"),
        "is_compared": (TRUTH, "the difference and the verdict are against this number"),
        "choice": (TEXT, "which of the registry's numbers it is, where it is not the first of them for such a cell"),
        "differs": (LIST, "settings of the cell that are unlike its own"),
        "doubt": (TEXT, "about it"),
    },
    "episodes": {
        "trial_id": (TEXT, "t- and the recipe's fingerprint, which names the trial's folder"),
        "evaluation_id": (TEXT, "e- and the evaluation's fingerprint"),
        "seed": (WHOLE, "training seed"),
        "way": (WHOLE, "classes of an episode"),
        "shot": (WHOLE, "support images per class"),
        "query_per_class": (WHOLE, "query images per class"),
        "adaptation_steps": (WHOLE, "of algorithms that adapt, in this evaluation"),
        "inductive": (TRUTH, "of algorithms that adapt: BatchNorm normalises a query by the support's statistics"),
        "episode": (WHOLE, "number of the frozen episode"),
        "correct": (WHOLE, "query images classified rightly"),
        "accuracy_percent": (REAL, "percent"),
        "answers": (
            TEXT,
            "bits- and hex digits: a bit for each query image, class by class, from the highest on; 1 is right, the rest 0",
        ),
        "class_ids": (LIST, "its classes by name in the order of the answers; @90, @180 or @270 is a turned one"),
        "episodes_digest": (TEXT, "sha256- and the SHA-256 of the evaluation's episodes: their classes and images"),
        "data_digest": (TEXT, "sha256- and the SHA-256 of the images"),
    },
    "adaptation": {
        "trial_id": (TEXT, "t- and the recipe's fingerprint, which names the trial's folder"),
        "evaluation_id": (TEXT, "e- and the evaluation's fingerprint"),
        "seed": (WHOLE, "training seed"),
        "maml_order": (WHOLE, "order of the meta-gradient, of MAML and of ANIL"),
        "dataset": (TEXT, ""),
        "way": (WHOLE, "classes of an episode"),
        "shot": (WHOLE, "support images per class"),
        "adaptation_steps": (WHOLE, "gradient steps taken on the support"),
        "inductive": (TRUTH, "BatchNorm normalises a query by the support's statistics"),
        "accuracy_percent": (REAL, "percent, mean over the episodes"),
        "ci95_points": (REAL, "half the 95% interval over episodes, percentage points"),
    },
    "curves": {
        "trial_id": (TEXT, "t- and the recipe's fingerprint, which names the trial's folder"),
        "seed": (WHOLE, "training seed"),
        "step": (WHOLE, "training steps done"),
        "metric": (TEXT, "accuracies and losses of one interval, the learning rate"),
        "unit": (TEXT, "percent, nats, or dimensionless"),
        "measured": (REAL, "in that unit"),
    },
}
"""The exported tables: each column's type and what it holds."""
