"""The paths of one trial's files in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsl_core.training.trial_records import ExecutionRecord, FailureRecord, ProgressRecord


@dataclass(frozen=True)
class TrialPaths:
    """The paths of one trial's files."""

    folder: Path

    @property
    def recipe(self) -> Path:
        """The recipe, written before any work."""
        return self.folder / "recipe.json"

    @property
    def request(self) -> Path:
        """The request to another machine, in a folder that is sent to it."""
        return self.folder / "request.json"

    @property
    def log(self) -> Path:
        """The trial's log, of all attempts in order."""
        return self.folder / "log.txt"

    @property
    def result(self) -> Path:
        """The training's outcome; it exists once the training is done."""
        return self.folder / "result.json"

    @property
    def execution(self) -> Path:
        """Seconds, host, versions."""
        return self.folder / "execution.json"

    @property
    def failure(self) -> Path:
        """The last failure; absent once the trial has succeeded."""
        return self.folder / "failure.json"

    @property
    def progress(self) -> Path:
        """The last checkpoint in numbers."""
        return self.folder / "progress.json"

    def of_record(self, kind: type[Any]) -> Path:
        """The file of a record of this kind."""
        return {ExecutionRecord: self.execution, FailureRecord: self.failure, ProgressRecord: self.progress}[kind]

    @property
    def evaluations(self) -> Path:
        """The folder of scores."""
        return self.folder / "evaluations"

    @property
    def selected(self) -> Path:
        """The selected weights."""
        return self.folder / "selected.pt"

    @property
    def picture(self) -> Path:
        """A picture of a meta-test episode with the trial's answers."""
        return self.folder / "episode.png"

    @property
    def checkpoints(self) -> Path:
        """The folder of training checkpoints."""
        return self.folder / "checkpoints"

    @property
    def lock(self) -> Path:
        """The lock held by the process that works on the trial."""
        return self.folder / ".lock"
