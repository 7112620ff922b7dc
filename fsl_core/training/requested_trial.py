"""Trains and scores one trial that was asked for, in its own folder; started again, it resumes where it stopped."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fsl_core.datasets.catalogue import SplitDataset, open_dataset
from fsl_core.episodes.feasibility import check_feasible
from fsl_core.errors import DataChangedError, ExecutionPathError, RecordDamagedError, StopRequested
from fsl_core.provenance import now
from fsl_core.training.bookkeeping import Bookkeeping
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.progress import Progress
from fsl_core.training.result import TrialResult
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_folder import TrialFolder
from fsl_core.training.trial_records import ExecutionRecord, FailureRecord, ProgressRecord, attempts_recorded
from fsl_core.training.trial_request import TrialRequest

Ending = Literal["done", "diverged", "failed", "stopped", "held"]
"""How the work on a trial ended; ``held`` says that another process works on it."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlace:
    """Where trials are trained: the sources of the images, the prepared ones, the device and its threads, and what hears of it."""

    data_root: Path | None
    prepared: Path
    device: str = "cpu"
    threads: int = 1
    should_stop: Callable[[], bool] = lambda: False
    say: Callable[[str], None] = lambda message: None


def train_requested(folder: Path, place: TrainingPlace) -> Ending:
    """Do what is missing of the trial in ``folder``. Its own error ends in its log and in ``failure.json``, and stops no other trial."""
    trial = TrialFolder.at(folder)
    if not trial.paths.request.is_file():  # somebody's own folder: nothing is written into it
        place.say(f"{folder} failed: it has no request.json, which `fsl plan SWEEP --write-trials DIR` writes")
        return "failed"
    try:
        with trial.held() as free:
            return _Attempt(trial, place).run() if free else "held"
    except OSError as error:
        place.say(f"{folder}: {error}")
        return "failed"


@dataclass(frozen=True)
class _Attempt:
    """One attempt at a trial whose folder is held."""

    trial: TrialFolder
    place: TrainingPlace

    def run(self) -> Ending:
        try:
            return self._work()
        except StopRequested as stop:
            self._say(str(stop))
            return "stopped"
        except Exception as error:
            self._fail(error)
            return "failed"

    def _work(self) -> Ending:
        request = self.trial.request()
        if request is None:
            raise RecordDamagedError(f"{self.trial.paths.request} is not there: `fsl plan SWEEP --write-trials` writes it")
        result = self.trial.result()
        missing = self._missing(request, result)
        if result is None or missing:
            books, dataset = self._books(request), self._dataset(request)
            path = self._scoring_path(books)
            if result is None:
                result, path = self._train(request, dataset, books)
            self._score_missing(request, result, dataset, path, books)
        self.trial.paths.failure.unlink(missing_ok=True)
        return "done" if result.status == "complete" else "diverged"

    def _missing(self, request: TrialRequest, result: TrialResult | None) -> bool:
        if result is None or result.status == "diverged":
            return result is None
        return not {each.fingerprint for each in request.evaluations} <= set(self.trial.scores(result))

    def _books(self, request: TrialRequest) -> Bookkeeping:
        read = self.trial.record
        return Bookkeeping.begin(
            request.recipe, self.trial.write_record, read(ProgressRecord), read(ExecutionRecord), read(FailureRecord)
        )

    def _dataset(self, request: TrialRequest) -> SplitDataset:
        """The images, every byte verified, which must be those that were asked for."""
        data, place = request.recipe.data, self.place
        dataset = open_dataset(data, data_root=place.data_root, cache_root=place.prepared, announce=self._say)
        if request.data_digest not in (None, dataset.digest):
            raise DataChangedError(
                f"the trial is to see {data.dataset} images with digest {str(request.data_digest)[:16]}; those in {place.prepared} have "
                f"{dataset.digest[:16]}"
            )
        check_feasible(request.recipe, request.evaluations, dataset)
        return dataset

    def _train(self, request: TrialRequest, dataset: SplitDataset, books: Bookkeeping) -> tuple[TrialResult, ExecutionPath]:
        taken = [self._asked_path()]
        self._say(f"attempt {books.attempt_begins()}: {request.name}")

        def observe(progress: Progress) -> None:
            books.reached(progress)
            shown = ", ".join(f"{name} {value:.5g}" for name, value in progress.metrics.items())
            self._say(f"step {progress.step} of {progress.steps}: {shown}")

        def on_path(path: ExecutionPath) -> None:
            taken.append(path)
            books.training_begins()

        try:
            result = run_trial(
                request.recipe,
                folder=self.trial.paths.folder,
                dataset=dataset,
                device=self.place.device,
                threads=self.place.threads,
                choices=self.place.prepared / ".paths",  # of this machine, as the prepared images are
                observe=observe,
                should_stop=self.place.should_stop,
                announce=self._say,
                on_path=on_path,
            )
        except StopRequested:
            books.stopped()
            raise
        books.trained(result, taken[-1])
        self.trial.write_result(result)
        self._say(f"trained: {result.status}, stopped by {result.stopped_by} at step {result.steps_done}")
        return result, taken[-1]

    def _scoring_path(self, books: Bookkeeping) -> ExecutionPath:
        """The path of the training, where it is on record and this machine offers it."""
        if books.execution is None:
            return self._asked_path()
        trained = ExecutionPath(device=books.execution.device, threads=books.execution.threads)
        try:
            trained.check_available()
        except ExecutionPathError as error:
            self._say(f"trained on {trained.device}; scored on {self.place.device} ({error})")
            return self._asked_path()
        return trained

    def _asked_path(self) -> ExecutionPath:
        return ExecutionPath(device=self.place.device, threads=self.place.threads)

    def _score_missing(
        self, request: TrialRequest, result: TrialResult, dataset: SplitDataset, path: ExecutionPath, books: Bookkeeping
    ) -> None:
        done = (
            set(request.evaluations)
            if result.status == "diverged"
            else {each.evaluation for each in self.trial.scores(result).values()}
        )
        for evaluation in (each for each in request.evaluations if each not in done):
            if self.place.should_stop():
                raise StopRequested("stopped before an evaluation; the training is done")
            started, folder = time.perf_counter(), self.trial.paths.folder
            score = evaluate_trial(result, evaluation, folder=folder, dataset=dataset, device=path.device, threads=path.threads)
            self.trial.write_score(score)
            books.scored(evaluation, time.perf_counter() - started, path)
            self._say(
                f"{evaluation.shape}: {100 * score.accuracy:.2f} ± {100 * score.ci95:.2f} % over {evaluation.episodes} episodes"
            )

    def _say(self, message: str) -> None:
        """Tell it, and add it to the trial's log."""
        self.place.say(f"{self.trial.fingerprint} {message}")
        with self.trial.paths.log.open("a", encoding="utf-8") as log:
            print(f"{now()} {message}", file=log)

    def _fail(self, error: Exception) -> None:
        """Leave the error in the trial's folder, where the disk takes it, and tell it."""
        text = "".join(traceback.format_exception(error))
        cause = f"{type(error).__name__}: {error}"
        self.place.say(f"{self.trial.fingerprint} failed: {cause}")
        attempts = 0
        with suppress(RecordDamagedError):
            attempts = attempts_recorded(self.trial.record(ProgressRecord), self.trial.record(ExecutionRecord))
        cause = cause.partition("\n")[0]
        self.trial.write_record(FailureRecord(cause=cause, traceback=text, attempts=max(1, attempts), at=now()))
