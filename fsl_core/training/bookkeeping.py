"""The records of an attempt at a trial besides its results: progress, and who computed what, where and for how long."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fsl_core.provenance import now
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.process_facts import facts_of_this_process
from fsl_core.training.progress import Progress
from fsl_core.training.result import TrialResult
from fsl_core.training.trial_records import ExecutionRecord, FailureRecord, ProgressRecord, ScoringRecord, attempts_recorded


@dataclass
class Bookkeeping:
    """The seconds and attempts of a trial, summed over its attempts, in ``progress.json`` and ``execution.json``.

    ``write`` writes a record into the trial's folder. The training and each evaluation have separate records: a later evaluation may be
    by other code or on another machine. ``path`` is that of this attempt's training, once it has begun. A trial that trains together with
    others has only its ``share`` of their seconds: ``seconds`` of this attempt until ``began``, and that part of those since.
    """

    write: Callable[[ProgressRecord | ExecutionRecord], None]
    progress: ProgressRecord
    execution: ExecutionRecord | None
    path: ExecutionPath | None = None
    seconds: float = 0.0
    began: float = field(default_factory=time.perf_counter)
    share: float = 1.0

    @staticmethod
    def begin(
        recipe: TrainingRecipe,
        write: Callable[[ProgressRecord | ExecutionRecord], None],
        progress: ProgressRecord | None = None,
        execution: ExecutionRecord | None = None,
        failure: FailureRecord | None = None,
    ) -> Bookkeeping:
        """Continue the records of the last attempt."""
        before = progress or ProgressRecord(
            step=0, steps=recipe.steps, best=None, train_seconds=0.0, attempts=0, started_at=now(), at=now()
        )
        attempts = attempts_recorded(progress, execution, failure)
        return Bookkeeping(write, dataclasses.replace(before, attempts=attempts, metrics={}), execution)

    def attempt_begins(self) -> int:
        """Count a further attempt at the training, on disk before its work starts, in case it dies. Returns its number."""
        self.progress = dataclasses.replace(self.progress, attempts=self.progress.attempts + 1)
        self._write_progress(self.progress)
        return self.progress.attempts

    def reached(self, progress: Progress) -> None:
        """Record a point of the curves."""
        self._write_progress(
            dataclasses.replace(
                self.progress, step=progress.step, steps=progress.steps, best=progress.best, metrics=dict(progress.metrics)
            )
        )

    def stopped(self) -> None:
        """Record the seconds of an attempt that was stopped between two points."""
        self._write_progress(self.progress)

    def _write_progress(self, progress: ProgressRecord) -> None:
        noted = dataclasses.replace(progress, train_seconds=self._train_seconds(), at=now())
        self.write(noted)
        self.progress = dataclasses.replace(progress, at=noted.at)

    def training_begins(self, path: ExecutionPath) -> None:
        """Start counting seconds: choosing an execution path is not part of training. A second training of the attempt adds its own."""
        if self.path is not None:
            self.seconds = self._seconds()
        self.path, self.began, self.share = path, time.perf_counter(), 1.0

    def shares(self, share: float) -> None:
        """Count this part of the seconds from now on."""
        self.seconds, self.began, self.share = self._seconds(), time.perf_counter(), share

    def _seconds(self) -> float:
        return self.seconds + self.share * (time.perf_counter() - self.began)

    def _train_seconds(self) -> float:
        """Seconds of all attempts; ``self.progress`` has only those of earlier ones."""
        return self.progress.train_seconds + self._seconds()

    def trained(self, result: TrialResult) -> None:
        """Record who trained; existing scores keep their records."""
        assert self.path is not None
        self._write_execution(
            ExecutionRecord(
                train_seconds=self._train_seconds(),
                steps=result.steps_done,
                attempts=self.progress.attempts,
                started_at=self.progress.started_at,
                evaluations=self.execution.evaluations if self.execution else {},
                **facts_of_this_process(self.path),
            )
        )

    def scored(self, evaluation: Evaluation, seconds: float, path: ExecutionPath) -> None:
        """Record who scored an evaluation, unless the training's record was lost."""
        if self.execution is not None:
            score = ScoringRecord(seconds=seconds, **facts_of_this_process(path))
            scores = {**self.execution.evaluations, evaluation.fingerprint: score}
            self._write_execution(dataclasses.replace(self.execution, evaluations=scores))

    def _write_execution(self, record: ExecutionRecord) -> None:
        self.write(record)
        self.execution = record
