"""Builds a runs folder of the first edition, from a recipe in that edition's form."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from fsl_core.recipe.edition import FIRST_EDITION
from fsl_core.recipe.fingerprint import fingerprint_of_plain
from fsl_core.sealed import document_text
from tests.fsl_core.test_edition import EVALUATION, RECIPE

DIGEST = "d" * 64
BEGAN, ENDED = "2025-01-01T00:00:00.000+00:00", "2025-01-01T01:00:00.000+00:00"
PLAN = "0123456789abcdef"


def recipe_of(seed: int) -> dict[str, Any]:
    return {**copy.deepcopy(RECIPE), "seed": seed}


def name_of(seed: int) -> str:
    return fingerprint_of_plain("TrainingRecipe", recipe_of(seed), schema=FIRST_EDITION)


DONE, STOPPED = name_of(0), name_of(1)
SCORED = fingerprint_of_plain("Evaluation", EVALUATION, schema=FIRST_EDITION)
TRIALS = {DONE: [SCORED], STOPPED: [SCORED]}


def write_first_edition(runs: Path, sweep: str, *, source: Path, launch: bool = True) -> None:
    """Writes a finished and a stopped trial, their launch, its MLflow view, and a remembered cost."""
    _write_done(runs / "trials" / DONE)
    stopped = runs / "trials" / STOPPED
    _sealed(stopped / "recipe.json", recipe_of(1))
    progress = {"step": 100, "steps": 10000, "best": 0.5, "train_seconds": 9.0, "attempts": 1, "started_at": BEGAN, "at": ENDED}
    _sealed(stopped / "progress.json", {**progress, "metrics": {}})
    _text(stopped / "checkpoints" / "select" / "step-00000100.0123456789abcdef.pt", "weights")
    if launch:
        wanted = {"source": str(source), "source_digest": DIGEST, "overrides": [], "trials": TRIALS, "at": BEGAN}
        _sealed(runs / "sweeps" / sweep / "launches" / f"{PLAN}.json", {"sweep": sweep, "plan": PLAN, **wanted})
    _text(runs / "sweeps" / sweep / "mlflow" / "whole.json", json.dumps(_shown(sweep)))


def write_first_table(folder: Path) -> None:
    _text(folder / "table.md", "the table")
    _text(folder / "provenance.json", json.dumps({"schema_version": 1, "sweep": folder.name, "plan": PLAN, "trials": {}}))


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _write_done(folder: Path) -> None:
    _sealed(folder / "recipe.json", recipe_of(0))
    selected = {"selected_step": 10000, "validation_accuracy": 0.9, "weights_digest": DIGEST, "data_digest": DIGEST}
    ended = {"status": "complete", "stopped_by": "budget", "steps_done": 10000, **selected, "curves": {}}
    _sealed(folder / "result.json", {"fingerprint": DONE, "recipe": recipe_of(0), **ended})
    digests = {"weights_digest": DIGEST, "data_digest": DIGEST, "episodes_digest": DIGEST}
    counts = {"accuracy": 1.0, "ci95": 0.0, "correct": [75] * 1000}
    score = {"recipe_fingerprint": DONE, "fingerprint": SCORED, "evaluation": EVALUATION, **digests, **counts}
    _sealed(folder / "evaluations" / f"{SCORED}.json", score)
    computed = {"host": "h", "device": "cpu", "device_name": "processor", "threads": 1, "finished_at": ENDED, "versions": {}}
    took = {"train_seconds": 9.0, "steps": 10000, "attempts": 1, "started_at": BEGAN, "evaluations": {}}
    _sealed(folder / "execution.json", {**computed, **took})
    _text(folder / "selected.pt", "weights")


def _shown(sweep: str) -> dict[str, Any]:
    trial = {"recipe": recipe_of(0), "evaluations": [EVALUATION], "cells": ["5-way 1-shot"], "name": "s0", "kind": "prototypical"}
    context = {"git_commit": None, "git_dirty": None, "command": "fsl run"}
    texts = {"name": sweep, "title": "Before", "description": "", "document": "", "since": BEGAN, "store": "default"}
    return {**texts, "overrides": [], "trials": [trial], "context": context, "table": None}


def _sealed(path: Path, plain: dict[str, Any]) -> None:
    _text(path, document_text(plain).decode())


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
