"""A trial's checkpoints: the state of its training, with its recipe, images and execution path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.checks import one_of
from fsl_core.code_digest import code_digest
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.errors import CheckpointCorruptError, CheckpointEditionError, CheckpointFormatError, DataChangedError
from fsl_core.memory_shortage import is_memory_shortage
from fsl_core.plain_values import count, fraction, not_negative
from fsl_core.provenance import library_versions
from fsl_core.randomness import Stream
from fsl_core.recipe.edition import FIRST_EDITION, edition_name
from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.checkpoint import save_checkpoint
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import path_as_plain, path_from_plain
from fsl_core.training.state import TrainingState, check_named, start_training

_FORMAT = 2
"""The format of the training state. Format 1, which had no number, held the state of torch's modules and optimiser."""


@dataclass(frozen=True, kw_only=True)
class StageCheckpoints:
    """Writes the checkpoints of one stage into ``folder``."""

    folder: Path
    recipe: TrainingRecipe
    data_digest: str
    path: ExecutionPath

    def save(self, state: TrainingState, seed: int) -> None:
        """Write the state of one seed at its step."""
        envelope = {
            "edition": SCHEMA_VERSION,
            "format": _FORMAT,
            "recipe": self.recipe.fingerprint,
            "data": self.data_digest,
            "path": path_as_plain(self.path),
            **{name: value for name, value in _makers().items() if name != "numba" or self.path.stem == "loops"},
            "state": state.as_checkpoint(seed),
        }
        save_checkpoint(self.folder, state.step, envelope)


def _makers() -> dict[str, str]:
    """The code, the torch and the numba that compute in this process, as a checkpoint names them."""
    numba = library_versions().get("numba")
    return {"code": code_digest(), "torch": str(torch.__version__), **({} if numba is None else {"numba": numba})}


def other_makers(checkpoint: Mapping[str, Any]) -> str | None:
    """What computed a checkpoint and is not what computes here, in words: ``other code and torch 2.1``.

    Early ones do not name it, and only those of a path of loops name numba.
    """
    names = {"code": "other code", **{name: f"{name} {checkpoint.get(name)}" for name in ("torch", "numba")}}
    others = [names[key] for key, here in _makers().items() if checkpoint.get(key) not in (None, here)]
    return " and ".join(others) or None


@dataclass(frozen=True, kw_only=True)
class ExpectedCheckpoint:
    """The checkpoint that one stage of a trial, of at most ``steps`` steps, can resume from."""

    recipe: TrainingRecipe
    dataset: SplitDataset
    stage: str
    steps: int

    def check(self, checkpoint: Mapping[str, Any]) -> None:
        """Check that training can resume from a checkpoint, by restoring it on the CPU.

        Raises:
            CheckpointCorruptError: it is of another recipe, or not the state of such a training.
            CheckpointEditionError: it is of another edition of the recipes.
            CheckpointFormatError: it holds an earlier form of the training's state.
            DataChangedError: it was trained on other images.
        """
        check_edition(checkpoint)
        check_format(checkpoint)
        if checkpoint.get("recipe") != self.recipe.fingerprint:
            raise CheckpointCorruptError(
                f"the checkpoint is of recipe {checkpoint.get('recipe')}, not of {self.recipe.fingerprint}"
            )
        data = checkpoint.get("data")
        if not isinstance(data, str):
            raise CheckpointCorruptError(f"the checkpoint does not name its images: {data!r}")
        if data != self.dataset.digest:
            raise DataChangedError(
                f"the checkpoint was trained on {self.dataset.name} images with digest {data[:16]}; those found now have digest "
                f"{self.dataset.digest[:16]}. Restore the old data, or remove the trial's folder to train on the new"
            )
        try:
            path_of(checkpoint)
            self._check_state(checkpoint["state"])
        except Exception as error:  # torch may raise anything for a foreign state
            if is_memory_shortage(error):
                raise
            raise CheckpointCorruptError(
                f"training cannot resume from this checkpoint ({type(error).__name__}: {error})"
            ) from error

    def _check_state(self, plain: Mapping[str, Any]) -> None:
        algorithm = build_algorithm(self.recipe, image_shape=self.dataset.meta_train.image_shape)
        stream = Stream(self.recipe.seed, f"{self.stage}/weights")
        state = start_training(algorithm, self.recipe.optimiser, streams=[stream])
        count(plain["step"], "step", self.steps)
        state.restore(plain)
        seed = state.seeds[0]
        if seed.best_step is not None:
            count(seed.best_step, "best_step", state.step)
            not_negative(seed.best_loss, "best_loss")
            fraction(seed.best_accuracy, "best_accuracy")
        one_of("stopped_by", seed.stopped_by, (None, "budget", "patience", "divergence"))
        if len({value is None for value in (seed.best_step, seed.best_loss, seed.best_accuracy, seed.best_weights)}) > 1:
            raise CheckpointCorruptError("the best step, its scores and its weights are incomplete")
        if seed.best_weights is not None:
            check_named(seed.best_weights, state.named())


def check_edition(checkpoint: Mapping[str, Any]) -> None:
    """Raises CheckpointEditionError for a checkpoint of another edition; the first edition wrote no number."""
    edition = checkpoint.get("edition", FIRST_EDITION if isinstance(checkpoint.get("recipe"), str) else None)
    if isinstance(edition, int) and edition != SCHEMA_VERSION:
        raise CheckpointEditionError(
            f"the checkpoint is of the {edition_name(edition)} of the recipes, of trial {checkpoint.get('recipe')}, and a training of "
            f"the {edition_name(SCHEMA_VERSION)} cannot resume from it; move it out of the trial's folder"
        )


def check_format(checkpoint: Mapping[str, Any]) -> None:
    """Raises CheckpointFormatError for a checkpoint of an earlier format, which had no number."""
    form = checkpoint.get("format", 1 if isinstance(checkpoint.get("recipe"), str) else None)
    if isinstance(form, int) and form != _FORMAT:
        raise CheckpointFormatError(
            f"the checkpoint of trial {checkpoint.get('recipe')} has format {form} of the training's state, and a training resumes from "
            f"format {_FORMAT} alone; move it out of the trial's folder to train from the start"
        )


def path_of(checkpoint: Mapping[str, Any]) -> ExecutionPath:
    """The execution path of a checkpoint. Raises RecipeError or KeyError if it has none."""
    return path_from_plain(checkpoint["path"])
