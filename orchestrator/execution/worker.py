"""The one function that runs a trial, whichever executor calls it."""

from __future__ import annotations

import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from fsl_core.datasets.catalogue import SplitDataset, open_dataset
from fsl_core.errors import CheckpointCorruptError, ExecutionPathError, StopRequested
from fsl_core.provenance import host_name, now
from fsl_core.recipe.recipe import Evaluation
from fsl_core.training.bookkeeping import Bookkeeping
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.progress import Progress
from fsl_core.training.result import TrialResult
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_records import FailureRecord
from orchestrator.counted import counted
from orchestrator.execution.code_check import check_code
from orchestrator.execution.full_disk import advice
from orchestrator.execution.job import TrialEvent, TrialJob
from orchestrator.execution.journal import Journal, Report
from orchestrator.execution.reports import recorded_so_far
from orchestrator.records.store import Store
from orchestrator.records.trial_lock import trial_lock
from orchestrator.records.trial_record import TrialRecord

_STOP_POLL_SECONDS = 0.5
CHOICES = "paths"
"""Folder of the execution paths that were chosen under a runs root, one for each kind of training step."""


def execute(job: TrialJob, report: Report) -> None:
    """Train what is not trained and score what is not scored; tell ``report`` how it goes.

    A trial's own error ends in its folder as ``failure.json`` and in a ``failed`` event, not in an exception: it would end the
    same way again. What is done already is never done twice, and two processes never work on one trial at once. A job whose stop
    file is there before it starts is left as it is.
    """
    if job.stop_file.exists():
        return
    store = Store(job.runs_root)
    paths = store.paths(job.fingerprint)
    try:
        paths.folder.mkdir(parents=True, exist_ok=True)
        log = paths.log.open("a", encoding="utf-8")
    except OSError as error:
        message = f"StoreError: the trial's folder {paths.folder} cannot be written to ({error.strerror})"
        report(TrialEvent(kind="failed", fingerprint=job.fingerprint, steps=job.recipe.steps, message=message))
        return
    attempt = _Attempt(job, store, Journal(job, report, log))
    try:
        with trial_lock(paths.lock, attempt.should_stop):
            attempt.run()
    except StopRequested as stop:
        attempt.journal.say(str(stop))
        attempt.journal.tell("stopped")
    except Exception as error:
        attempt.fail(error)
    finally:
        with suppress(OSError):  # what a full disk did not take of the log is written again here
            log.close()


@dataclass
class _Attempt:
    """One attempt at a trial: does what is missing, and has it written down."""

    job: TrialJob
    store: Store
    journal: Journal
    asked_at: float = 0.0
    stopping: bool = False

    def run(self) -> None:
        check_code(self.job.code_digest)
        job, record = self.job, self._read()
        write = partial(self.store.write_record, job.fingerprint)
        books = Bookkeeping.begin(job.recipe, write, record.progress, record.execution, record.failure)
        self.journal.best = books.progress.best
        if record.result is None:
            self.journal.say(f"attempt {books.attempt_begins()} on {host_name()}")
        else:
            self.journal.say(f"resumed on {host_name()}: the training is done")
        self.store.write_recipe(job.recipe)
        self.journal.tell("started")
        result = record.result or self._train(books)
        if result.status != "diverged":
            result = self._evaluate(result, books)
        if result.status == "diverged":
            self.journal.tell("diverged", step=result.steps_done)
            return
        self.store.clear_failure(job.fingerprint)
        self.journal.tell("finished", step=result.steps_done)

    def _read(self) -> TrialRecord:
        """What is known of the trial, its damaged files taken out of the way."""
        record = self.store.read(self.job.fingerprint)
        for path in tuple(self.store.damaged):
            self.journal.announce(f"a file that is damaged, or of other work, was set aside as {self.store.put_aside(path)}")
        return record

    def _dataset(self) -> SplitDataset:
        """The images, verified in this process: another one's word says nothing of what this machine reads."""
        job = self.job
        return open_dataset(job.recipe.data, data_root=job.data_root, cache_root=job.cache_root, announce=self.journal.say)

    def _train(self, books: Bookkeeping) -> TrialResult:
        job, wanted = self.job, self._path(books)
        taken = wanted

        def observe(progress: Progress) -> None:
            self.journal.best = progress.best
            books.reached(progress)
            self._tell_progress(progress)

        def on_path(path: ExecutionPath) -> None:
            nonlocal taken
            taken = path
            books.training_begins()
            self.journal.say(f"training on {path}")
            if (path.device, path.threads) != (job.device, job.threads):
                began = f"{path.device} with {counted(path.threads, 'thread')}"
                self.journal.announce(f"this trial began on {began}, and keeps to it: its bits hang on that")

        try:
            result = run_trial(
                job.recipe,
                folder=self.store.paths(job.fingerprint).folder,
                dataset=self._dataset(),
                device=wanted.device,
                threads=wanted.threads,
                path=job.path,
                choices=job.runs_root / CHOICES,
                observe=observe,
                should_stop=self.should_stop,
                announce=self.journal.announce,
                on_path=on_path,
            )
        except StopRequested:
            books.stopped()
            raise
        books.trained(result, taken)
        self.store.write_result(result)
        self.journal.say(f"trained: {result.status}, stopped by {result.stopped_by} at step {result.steps_done}")
        return result

    def _tell_progress(self, progress: Progress) -> None:
        shown = ", ".join(f"{name} {value:.5g}" for name, value in progress.metrics.items())
        self.journal.say(f"step {progress.step} of {progress.steps}: {shown}")
        self.journal.tell("progress", step=progress.step, steps=progress.steps, metrics=dict(progress.metrics))

    def _evaluate(self, result: TrialResult, books: Bookkeeping) -> TrialResult:
        """Score what is not scored; where the weights are lost the trial is retrained. Returns the result that the scores are of."""
        try:
            self._score_missing(result, books)
        except CheckpointCorruptError as error:
            result = self._with_weights_made_again(result, error, books)
            if result.status != "diverged":
                self._score_missing(result, books)
        return result

    def _score_missing(self, result: TrialResult, books: Bookkeeping) -> None:
        done = self._read().evaluations
        missing = [evaluation for evaluation in self.job.evaluations if evaluation.fingerprint not in done]
        path = self._path(books)
        if missing:
            self.journal.tell("scoring", step=result.steps_done)
        for evaluation in missing:
            if self.should_stop():
                raise StopRequested("stopped before an evaluation; the training is done")
            self._score(result, evaluation, path, books)

    def _path(self, books: Bookkeeping) -> ExecutionPath:
        """The path that the training's record names; where there is none yet, or it is not to be had here, the job's."""
        wanted = ExecutionPath(device=self.job.device, threads=self.job.threads)
        if books.execution is None:
            return wanted
        trained = ExecutionPath(device=books.execution.device, threads=books.execution.threads)
        try:
            trained.check_available()
        except ExecutionPathError as error:
            self.journal.announce(f"trained on {trained.device}; the rest is computed on {wanted.device} ({error})")
            return wanted
        return trained

    def _score(self, result: TrialResult, evaluation: Evaluation, path: ExecutionPath, books: Bookkeeping) -> None:
        started = time.perf_counter()
        folder, dataset = self.store.paths(self.job.fingerprint).folder, self._dataset()
        score = evaluate_trial(result, evaluation, folder=folder, dataset=dataset, device=path.device, threads=path.threads)
        self.store.write_evaluation(score)
        books.scored(evaluation, time.perf_counter() - started, path)
        accuracy = f"{100 * score.accuracy:.2f} ± {100 * score.ci95:.2f} %"
        how = ", inductive" if evaluation.inductive else ""
        self.journal.say(f"{evaluation.shape}{how}: {accuracy} over {evaluation.episodes} episodes")

    def _with_weights_made_again(self, result: TrialResult, error: CheckpointCorruptError, books: Bookkeeping) -> TrialResult:
        """Select the weights again: from the last checkpoint where it is still there, else by training, elsewhere to other bits."""
        aside = self.store.put_aside(self.store.paths(self.job.fingerprint).selected)
        self.journal.announce(
            f"{error}; {f'set aside as {aside}; ' if aside else ''}the weights are lost; the trial is retrained"
        )
        self.journal.say(f"attempt {books.attempt_begins()} on {host_name()}")
        again = self._train(books)
        if again.weights_digest != result.weights_digest:
            self.journal.announce("the new weights are not the old ones to the bit: every evaluation is repeated")
        return again

    def should_stop(self) -> bool:
        """Whether the stop file is there; looked at no more than twice a second, for it may lie on a network."""
        if not self.stopping and time.monotonic() - self.asked_at > _STOP_POLL_SECONDS:
            self.asked_at = time.monotonic()
            self.stopping = self.job.stop_file.exists()
        return self.stopping

    def fail(self, error: Exception) -> None:
        """Leave the error in the trial's folder and tell it."""
        text = "".join(traceback.format_exception(error))
        self.journal.say(text)
        cause = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        attempts, step = recorded_so_far(self.store, self.job.fingerprint)
        cause += advice(error, self.store.paths(self.job.fingerprint), step)
        record = FailureRecord(cause=cause, traceback=text, attempts=max(1, attempts), at=now())
        try:
            self.store.write_failure(self.job.fingerprint, record)
        except Exception as second:  # a full disk may be the very error that is being told
            print(f"{self.job.fingerprint}: {second}", file=sys.stderr)
        self.journal.tell("failed", message=cause)
