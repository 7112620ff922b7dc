"""The one function that runs a trial, whichever executor calls it."""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from fsl_core.datasets.catalogue import SplitDataset, open_dataset
from fsl_core.errors import CheckpointCorruptError, StopRequested
from fsl_core.recipe import DataSettings, Evaluation
from fsl_core.result import TrialResult
from fsl_core.trial import Progress, evaluate_trial, run_trial
from orchestrator.execution.job import TrialEvent, TrialJob
from orchestrator.execution.journal import Journal, Report
from orchestrator.execution.machine import device_name, peak_memory_bytes, versions
from orchestrator.execution.trial_lock import trial_lock
from orchestrator.provenance import host_name, now
from orchestrator.records import ExecutionRecord, FailureRecord, ProgressRecord
from orchestrator.store import Store

_STOP_POLL_SECONDS = 0.5


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
    with log:
        attempt = _Attempt(job, store, Journal(job, report, log))
        try:
            with trial_lock(paths.lock, attempt.should_stop):
                attempt.run()
        except StopRequested as stop:
            attempt.journal.say(str(stop))
            attempt.journal.tell("stopped")
        except Exception as error:
            attempt.fail(error)


@functools.lru_cache(maxsize=2)
def _open(data: DataSettings, data_root: Path | None, cache_root: Path) -> SplitDataset:
    return open_dataset(data, data_root=data_root, cache_root=cache_root)


@dataclass
class _Attempt:
    """One attempt at a trial: does what is missing, counts its time, leaves its records."""

    job: TrialJob
    store: Store
    journal: Journal
    attempts: int = 1
    asked_at: float = 0.0
    stopping: bool = False

    def run(self) -> None:
        record = self.store.read(self.job.fingerprint)
        for path in self.store.set_aside:
            self.journal.announce(f"a damaged file was set aside as {path}")
        before = record.progress
        self.attempts = max(1, (before.attempts if before else 0) + (record.result is None))
        self.seconds_before = before.train_seconds if before else 0.0
        self.first_start = before.started_at if before else now()
        self.journal.best = before.best if before else None
        self.store.write_recipe(self.job.recipe)
        self.journal.say(f"attempt {self.attempts} on {host_name()}, {self.job.device}, {self.job.threads} thread(s)")
        self.started = time.perf_counter()
        self.journal.tell("started")
        result = record.result or self._train()
        if result.status == "diverged":
            self._record_execution(result, {})
            self.journal.tell("diverged", step=result.steps_done)
            return
        self._evaluate(result, set(record.evaluations))
        self._draw_episode()
        self.store.clear_failure(self.job.fingerprint)
        self.journal.tell("finished", step=result.steps_done)

    def _dataset(self) -> SplitDataset:
        return _open(self.job.recipe.data, self.job.data_root, self.job.cache_root)

    def _train(self) -> TrialResult:
        job = self.job
        self._note_progress(0, job.recipe.steps, {})
        try:
            result = run_trial(
                job.recipe,
                folder=self.store.paths(job.fingerprint).folder,
                dataset=self._dataset(),
                device=job.device,
                threads=job.threads,
                observe=self._observe,
                should_stop=self.should_stop,
                announce=self.journal.announce,
            )
        except StopRequested:
            self._note_seconds()
            raise
        self._record_execution(result, {})
        self.store.write_result(result)
        self.journal.say(f"trained: {result.status}, stopped by {result.stopped_by} at step {result.steps_done}")
        return result

    def _evaluate(self, result: TrialResult, done: set[str]) -> None:
        seconds: dict[str, float] = {}
        for evaluation in self.job.evaluations:
            if evaluation.fingerprint in done:
                continue
            try:
                seconds[evaluation.fingerprint] = self._score(result, evaluation)
            except CheckpointCorruptError as error:
                result = self._with_weights_made_again(error)
                seconds[evaluation.fingerprint] = self._score(result, evaluation)
        if seconds:
            self._record_execution(result, seconds)

    def _draw_episode(self) -> None:
        """Leave a picture of what the trial was asked; it is for people, so that it cannot be drawn fails nothing."""
        from orchestrator.report.episode_picture import draw_first_episode  # matplotlib, only once a trial is done

        path = self.store.paths(self.job.fingerprint).picture
        if path.exists() or not self.job.evaluations:
            return
        try:
            draw_first_episode(self.job.evaluations[0], self._dataset(), path)
        except Exception as error:
            self.journal.announce(f"no picture of an episode: {type(error).__name__}: {error}")

    def _score(self, result: TrialResult, evaluation: Evaluation) -> float:
        if self.should_stop():
            raise StopRequested("stopped before an evaluation; the training is done")
        started = time.perf_counter()
        score = evaluate_trial(
            result,
            evaluation,
            folder=self.store.paths(self.job.fingerprint).folder,
            dataset=self._dataset(),
            device=self.job.device,
            threads=self.job.threads,
        )
        self.store.write_evaluation(score)
        accuracy = f"{100 * score.accuracy:.2f} ± {100 * score.ci95:.2f} %"
        self.journal.say(f"{evaluation.shape}: {accuracy} over {evaluation.episodes} episodes")
        return time.perf_counter() - started

    def _with_weights_made_again(self, error: CheckpointCorruptError) -> TrialResult:
        """Select the weights again: from the last checkpoint where it is still there, else by training to the same bits."""
        aside = self.store.put_aside(self.store.paths(self.job.fingerprint).selected)
        self.journal.announce(f"{error}; {f'set aside as {aside}, ' if aside else ''}the weights are made again")
        return self._train()

    def _observe(self, progress: Progress) -> None:
        self.journal.best = progress.best
        self._note_progress(progress.step, progress.steps, dict(progress.metrics))
        shown = ", ".join(f"{name} {value:.5g}" for name, value in progress.metrics.items())
        self.journal.say(f"step {progress.step} of {progress.steps}: {shown}")
        self.journal.tell("progress", step=progress.step, steps=progress.steps, metrics=dict(progress.metrics))

    def _train_seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def _note_progress(self, step: int, steps: int, metrics: dict[str, float]) -> None:
        known = self.store.read(self.job.fingerprint).progress
        record = ProgressRecord(
            step=max(step, known.step if known and step == 0 else 0),
            steps=steps,
            best=self.journal.best,
            train_seconds=self._train_seconds(),
            attempts=self.attempts,
            started_at=self.first_start,
            at=now(),
            metrics=metrics,
        )
        self.store.write_progress(self.job.fingerprint, record)

    def _note_seconds(self) -> None:
        known = self.store.read(self.job.fingerprint).progress
        if known is not None:
            spent = dataclasses.replace(known, train_seconds=self._train_seconds(), at=now())
            self.store.write_progress(self.job.fingerprint, spent)

    def _record_execution(self, result: TrialResult, evaluation_seconds: dict[str, float]) -> None:
        known = self.store.read(self.job.fingerprint).execution
        trained_now = known is None or not evaluation_seconds
        self.store.write_execution(
            self.job.fingerprint,
            ExecutionRecord(
                train_seconds=self._train_seconds() if trained_now or known is None else known.train_seconds,
                evaluation_seconds={**(known.evaluation_seconds if known else {}), **evaluation_seconds},
                steps=result.steps_done,
                attempts=self.attempts,
                host=host_name(),
                device=self.job.device,
                device_name=device_name(self.job.device),
                threads=self.job.threads,
                started_at=self.first_start,
                finished_at=now(),
                git_commit=self.job.code.git_commit,
                git_dirty=self.job.code.git_dirty,
                lock_digest=self.job.code.lock_digest,
                versions=versions(),
                peak_memory_bytes=peak_memory_bytes(self.job.device),
            ),
        )

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
        record = FailureRecord(cause=cause, traceback=text, attempts=self.attempts, at=now())
        try:
            self.store.write_failure(self.job.fingerprint, record)
        except Exception as second:  # a full disk may be the very error that is being told
            print(f"{self.job.fingerprint}: {second}", file=sys.stderr)
        self.journal.tell("failed", message=cause)
