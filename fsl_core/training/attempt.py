"""One attempt at a trial: it trains what is not trained, scores what is not scored, and retrains where the selected weights are lost."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.errors import CheckpointCorruptError, ExecutionPathError, StopRequested
from fsl_core.provenance import now
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training.bookkeeping import Bookkeeping
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.progress import Progress
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_paths import TrialPaths
from fsl_core.training.trial_records import FailureRecord
from fsl_core.training.trial_run import Trial, TrialRun


class AttemptRecords(Protocol):
    """Where an attempt keeps what it computes."""

    def scored(self, result: TrialResult) -> Collection[str]:
        """The fingerprints of the evaluations that have a score of this result; a score of anything else is set aside."""

    def write_result(self, result: TrialResult) -> None:
        """Declare the training done. A result that differs is set aside."""

    def write_score(self, score: EvaluationResult) -> None:
        """Declare an evaluation done."""

    def set_aside(self, path: Path) -> Path | None:
        """Take a file out of use. Returns where it is now; None where there was none."""


class AttemptJournal(Protocol):
    """Who hears of an attempt."""

    def write(self, message: str) -> None:
        """Add a line to the trial's log."""

    def notice(self, message: str) -> None:
        """Add a line to the log, and pass it on to those who watch."""

    def begins(self, attempt: int) -> None:
        """Hear that an attempt at the training begins, and how many there were with it."""

    def reached(self, progress: Progress) -> None:
        """Hear of a point of the curves."""

    def scoring(self, result: TrialResult) -> None:
        """Hear that scores of this result are computed next."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt at the trial in a folder that this process alone works on.

    ``images`` opens the trial's images, ``asked`` says the device and threads for a trial that has no execution path yet; ``path`` and
    ``choices`` are those of :class:`fsl_core.training.trial_run.TrialRun`. :mod:`fsl_core.training.attempts` makes the attempts of several
    trials.
    """

    recipe: TrainingRecipe
    evaluations: tuple[Evaluation, ...]
    paths: TrialPaths
    records: AttemptRecords
    journal: AttemptJournal
    books: Bookkeeping
    images: Callable[[], SplitDataset]
    asked: ExecutionPath
    path: ExecutionPath | None = None
    choices: Path
    should_stop: Callable[[], bool]

    def begin(self) -> None:
        """Count and log an attempt at the training, before any of its work: its death may be near."""
        self.journal.begins(self.books.attempt_begins())

    def trial(self) -> Trial:
        """The trial to train."""
        asked = self._known_path()
        run = TrialRun(
            folder=self.paths.folder,
            dataset=self.images(),
            device=asked.device,
            threads=asked.threads,
            path=self.path,
            choices=self.choices,
            observe=self._reached,
            should_stop=self.should_stop,
            notice=self.journal.notice,
            on_path=self._begins_on,
            on_share=self.books.shares,
        )
        return Trial(recipe=self.recipe, run=run)

    def trained(self, result: TrialResult) -> None:
        """Record the training's result."""
        self.books.trained(result)
        self.records.write_result(result)
        self.journal.write(f"trained: {result.status}, stopped by {result.stopped_by} at step {result.steps_done}")

    def score(self, result: TrialResult) -> TrialResult:
        """Compute the scores that a trained trial lacks. Returns the result that they are of.

        Raises StopRequested where ``should_stop`` says so, and every error of the scoring and of a training that it repeats.
        """
        if result.status == "diverged":
            return result
        try:
            self._score_missing(result)
        except CheckpointCorruptError as error:
            result = self._retrain(result, error)
            if result.status != "diverged":
                self._score_missing(result)
        return result

    def _known_path(self) -> ExecutionPath:
        """Device and threads as the training's record names them; as asked where there is none, or this machine lacks them."""
        if self.books.execution is None:
            return self.asked
        trained = ExecutionPath(device=self.books.execution.device, threads=self.books.execution.threads)
        try:
            trained.check_available()
        except ExecutionPathError as error:
            self.journal.notice(f"trained on {trained.device}; the rest is computed on {self.asked.device} ({error})")
            return self.asked
        return trained

    def _begins_on(self, path: ExecutionPath) -> None:
        self.books.training_begins(path)
        self.journal.write(f"training on {path}")
        if (path.device, path.threads) != (self.asked.device, self.asked.threads):
            began = f"{path.device} with {path.threads} thread{'s' if path.threads > 1 else ''}"
            self.journal.notice(f"this trial began on {began}, and keeps to it: its bits depend on that")

    def _reached(self, progress: Progress) -> None:
        self.books.reached(progress)
        shown = ", ".join(f"{name} {value:.5g}" for name, value in progress.metrics.items())
        self.journal.write(f"step {progress.step} of {progress.steps}: {shown}")
        self.journal.reached(progress)

    def _score_missing(self, result: TrialResult) -> None:
        done = self.records.scored(result)
        missing = [each for each in self.evaluations if each.fingerprint not in done]
        path = self._known_path()
        if missing:
            self.journal.scoring(result)
        for evaluation in missing:
            if self.should_stop():
                raise StopRequested("stopped before an evaluation; the training is done")
            self._score(result, evaluation, path)

    def _score(self, result: TrialResult, evaluation: Evaluation, path: ExecutionPath) -> None:
        started, folder = time.perf_counter(), self.paths.folder
        score = evaluate_trial(result, evaluation, folder=folder, dataset=self.images(), device=path.device, threads=path.threads)
        self.records.write_score(score)
        self.books.scored(evaluation, time.perf_counter() - started, path)
        accuracy = f"{100 * score.accuracy:.2f} ± {100 * score.ci95:.2f} %"
        how = ", inductive" if evaluation.inductive else ""
        self.journal.write(f"{evaluation.shape}{how}: {accuracy} over {evaluation.episodes} episodes")

    def _retrain(self, result: TrialResult, error: CheckpointCorruptError) -> TrialResult:
        """Select the lost weights again: from the last checkpoint where it is still there, else by training, elsewhere to other bits."""
        aside = self.records.set_aside(self.paths.selected)
        lost = f"{error}; {f'set aside as {aside}; ' if aside else ''}the weights are lost; the trial is retrained"
        self.journal.notice(lost)
        self.begin()
        try:
            again = run_trial(self.recipe, self.trial().run)
        except StopRequested:
            self.books.stopped()
            raise
        self.trained(again)
        if again.weights_digest != result.weights_digest:
            self.journal.notice("the new weights are not the old ones to the bit: every evaluation is repeated")
        return again


def failure_of(error: Exception, *, attempts: int) -> FailureRecord:
    """The record of an attempt that this error ended, after so many attempts as are on record."""
    lines = str(error).strip().splitlines() or [""]
    return FailureRecord(
        cause=f"{type(error).__name__}: {lines[0]}",
        traceback="".join(traceback.format_exception(error)),
        attempts=max(1, attempts),  # an error may come before the first attempt is counted
        at=now(),
    )
