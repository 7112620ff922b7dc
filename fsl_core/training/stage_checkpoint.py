"""The checkpoint from which a stage of a trial resumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fsl_core.training.checkpoint import load_newest_checkpoint
from fsl_core.training.trial_checkpoint import ExpectedCheckpoint
from fsl_core.training.trial_run import Trial

SELECT, RETRAIN = "select", "retrain"
"""The stages of a trial: meta-validation selects the weights; the training is repeated on its classes too."""


def checkpoint_folder(folder: Path, stage: str) -> Path:
    """The folder of the checkpoints of a stage of the trial in ``folder``."""
    return folder / "checkpoints" / stage


def newest_checkpoint(trial: Trial, stage: str, steps: int, *, at_most: int | None = None) -> Mapping[str, Any] | None:
    """The newest checkpoint of a stage of ``steps`` steps, after at most ``at_most`` of them; None if there is none.

    A checkpoint that is damaged, or of other work, is set aside.

    Raises:
        CheckpointEditionError, CheckpointFormatError, DataChangedError: see :meth:`ExpectedCheckpoint.check`.
    """
    run = trial.run
    expected = ExpectedCheckpoint(recipe=trial.recipe, dataset=run.dataset, stage=stage, steps=steps)
    checkpoint, useless = load_newest_checkpoint(checkpoint_folder(run.folder, stage), expected.check, at_most=at_most)
    for aside in useless:
        run.notice(f"a checkpoint that is damaged, or of other work, was set aside as {aside}")
    return checkpoint
