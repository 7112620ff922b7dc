"""What a trial's checkpoint says beside the state of its training: of which recipe and images it is, and along which execution path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fsl_core.checkpoint import save_checkpoint
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.errors import CheckpointCorruptError, DataChangedError
from fsl_core.execution_path import ExecutionPath
from fsl_core.recipe import TrainingRecipe
from fsl_core.training import TrainingState


@dataclass(frozen=True, kw_only=True)
class StageCheckpoints:
    """Writes the checkpoints of one stage into ``folder``."""

    folder: Path
    recipe: TrainingRecipe
    data_digest: str
    path: ExecutionPath

    def save(self, state: TrainingState) -> None:
        """Write the state at its step."""
        envelope = {
            "recipe": self.recipe.fingerprint,
            "data": self.data_digest,
            "path": asdict(self.path),
            "state": state.as_checkpoint(),
        }
        save_checkpoint(self.folder, state.step, envelope)


def check_same_work(checkpoint: Mapping[str, Any], recipe: TrainingRecipe, dataset: SplitDataset) -> None:
    """Raises CheckpointCorruptError for a checkpoint of another recipe, DataChangedError for one of other images."""
    if checkpoint["recipe"] != recipe.fingerprint:
        raise CheckpointCorruptError(f"the checkpoint is of recipe {checkpoint['recipe']}, not of {recipe.fingerprint}")
    if checkpoint["data"] != dataset.digest:
        raise DataChangedError(
            f"the checkpoint was trained on {dataset.name} images with digest {checkpoint['data'][:16]}; those found now have "
            f"{dataset.digest[:16]}. Give back the old data, or remove the trial's folder to train on the new"
        )
