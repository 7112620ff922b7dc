"""Trains and scores requested trials, each in its own folder; started again, it resumes where it stopped."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fsl_core.datasets.catalogue import SplitDataset, open_dataset
from fsl_core.episodes.feasibility import check_feasible
from fsl_core.errors import DataChangedError, RecordDamagedError, StopRequested
from fsl_core.listeners import Notice
from fsl_core.provenance import now
from fsl_core.recipe.seeds import groups_of_seeds
from fsl_core.set_aside import set_aside
from fsl_core.training.attempt import Attempt, AttemptJournal, AttemptRecords, failure_of
from fsl_core.training.attempts import HeldTrial, attempt_all
from fsl_core.training.bookkeeping import Bookkeeping
from fsl_core.training.compiled_code import COMPILED_CODE, compiled_code_in
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.progress import Progress
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.trial_folder import TrialFolder
from fsl_core.training.trial_records import ExecutionRecord, FailureRecord, ProgressRecord, attempts_recorded
from fsl_core.training.trial_request import TrialRequest

Ending = Literal["done", "diverged", "failed", "stopped", "held"]
"""How the work on a trial ended; ``held`` says that another process works on it."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlace:
    """Where trials are trained: the sources of the images, the prepared ones, the device and its threads, and what hears of it.

    ``seeds_together``: the most seeds of a recipe that this process trains together, where that is faster, or as ``path`` has it.
    ``path``: the execution path of trials that have none yet; by default the fastest.
    """

    data_root: Path | None
    prepared: Path
    device: str = "cpu"
    threads: int = 1
    seeds_together: int = 1
    path: ExecutionPath | None = None
    should_stop: Callable[[], bool] = lambda: False
    notice: Notice = lambda message: None


def train_requested(folders: Sequence[Path], place: TrainingPlace) -> list[Ending]:
    """Do what is missing of the trials in ``folders``, which have the same recipe but the seed. Returns how each ended.

    A trial's own error ends in its log and in ``failure.json``, and stops no other trial.
    """
    with ExitStack() as locks, compiled_code_in(place.prepared / f".{COMPILED_CODE}"):
        works = [_RequestedTrial(TrialFolder.at(folder), place) for folder in folders]
        attempt_all([work for work in works if _is_held(work, locks)])
    return [work.ending for work in works]


def _is_held(work: _RequestedTrial, locks: ExitStack) -> bool:
    """Lock a trial for this process; false where it ends at that."""
    folder, notice = work.trial.paths.folder, work.place.notice
    if not work.trial.paths.request.is_file():  # somebody's own folder: nothing is written into it
        notice(f"{folder} failed: it has no request.json, which `fsl plan SWEEP --write-trials DIR` writes")
        return False
    try:
        free = locks.enter_context(work.trial.held())
    except OSError as error:
        notice(f"{folder}: {error}")
        return False
    if not free:
        work.ending = "held"
        notice(f"{folder.name} is skipped: another process is working on it")
    return free


def requested_together(folders: Sequence[Path], most: int) -> list[list[Path]]:
    """The folders in groups that train together: at most so many seeds of one recipe.

    A folder without a readable request is a group of its own, whose attempt reports why.
    """
    return groups_of_seeds(folders, _recipe_of, most)


def _recipe_of(folder: Path) -> str | Path:
    try:
        request = TrialFolder.at(folder).request()
    except (RecordDamagedError, OSError):
        return folder
    return folder if request is None else request.recipe.without_seed


@dataclass
class _RequestedTrial(HeldTrial):
    """A trial whose folder this process holds."""

    trial: TrialFolder
    place: TrainingPlace
    ending: Ending = "failed"

    def begin(self) -> tuple[Attempt, TrialResult | None] | None:
        request = self.trial.request()
        if request is None:
            raise RecordDamagedError(f"{self.trial.paths.request} is not there: `fsl plan SWEEP --write-trials` writes it")
        result = self.trial.result()
        if result is not None and not self._lacks_scores(request, result):
            self.done(result)
            return None
        attempt = self._attempt(request)
        if result is None:
            attempt.images()  # an attempt without images is none
            attempt.begin()
        return attempt, result

    def _lacks_scores(self, request: TrialRequest, result: TrialResult) -> bool:
        wanted = {each.fingerprint for each in request.evaluations}
        return result.status != "diverged" and not wanted <= self._records().scored(result)

    def done(self, result: TrialResult) -> None:
        self.trial.paths.failure.unlink(missing_ok=True)
        self.ending = "done" if result.status == "complete" else "diverged"

    def stopped(self, stop: StopRequested) -> None:
        self.ending = "stopped"
        with self._disk_errors_noticed():
            self._journal().write(str(stop))

    def failed(self, error: Exception) -> None:
        """Leave the error in the trial's folder, where the disk takes it, and report it."""
        attempts = 0
        with suppress(RecordDamagedError, OSError):
            attempts = attempts_recorded(self.trial.record(ProgressRecord), self.trial.record(ExecutionRecord))
        failure = failure_of(error, attempts=attempts)
        self.place.notice(f"{self.trial.fingerprint} failed: {failure.cause}")
        with self._disk_errors_noticed():
            self.trial.write_record(failure)

    @contextmanager
    def _disk_errors_noticed(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.place.notice(f"{self.trial.paths.folder}: {error}")

    def _images(self, request: TrialRequest) -> SplitDataset:
        """The images, every byte verified, which must be those that were asked for."""
        data, place = request.recipe.data, self.place
        dataset = open_dataset(data, data_root=place.data_root, cache_root=place.prepared, notice=self._journal().write)
        if request.data_digest not in (None, dataset.digest):
            raise DataChangedError(
                f"the trial is to see {data.dataset} images with digest {str(request.data_digest)[:16]}; those in {place.prepared} have "
                f"{dataset.digest[:16]}"
            )
        check_feasible(request.recipe, request.evaluations, dataset)
        return dataset

    def _attempt(self, request: TrialRequest) -> Attempt:
        before = (self.trial.record(ProgressRecord), self.trial.record(ExecutionRecord), self.trial.record(FailureRecord))
        return Attempt(
            recipe=request.recipe,
            evaluations=request.evaluations,
            paths=self.trial.paths,
            records=self._records(),
            journal=self._journal(request.name),
            books=Bookkeeping.begin(request.recipe, self.trial.write_record, *before),
            images=functools.cache(lambda: self._images(request)),
            asked=ExecutionPath(device=self.place.device, threads=self.place.threads),
            path=self.place.path,
            choices=self.place.prepared / ".paths",  # of this machine, as the prepared images are
            should_stop=self.place.should_stop,
        )

    def _records(self) -> _FolderRecords:
        return _FolderRecords(self.trial, self._journal().notice)

    def _journal(self, name: str = "") -> _FolderJournal:
        return _FolderJournal(self.trial, self.place.notice, name)


@dataclass(frozen=True)
class _FolderRecords(AttemptRecords):
    """What an attempt keeps, in the trial's own folder."""

    trial: TrialFolder
    notice: Notice

    def scored(self, result: TrialResult) -> set[str]:
        done = set[str]()
        for path in self.trial.score_files():
            try:
                self.trial.score(result, path.stem)
                done.add(path.stem)
            except RecordDamagedError:
                self.notice(f"a score that is damaged, or of other weights, was set aside as {self.set_aside(path)}")
        return done

    def write_result(self, result: TrialResult) -> None:
        if self.trial.result() not in (None, result):
            self.set_aside(self.trial.paths.result)
        self.trial.write_result(result)

    def write_score(self, score: EvaluationResult) -> None:
        self.trial.write_score(score)

    def set_aside(self, path: Path) -> Path | None:
        return set_aside(path)


@dataclass(frozen=True)
class _FolderJournal(AttemptJournal):
    """Says each line of the trial's log, where ``name`` is the trial's in words, to whoever trains."""

    trial: TrialFolder
    echo: Notice
    name: str

    def write(self, message: str) -> None:
        self.echo(f"{self.trial.fingerprint} {message}")
        with self.trial.paths.log.open("a", encoding="utf-8") as log:
            print(f"{now()} {message}", file=log)

    def notice(self, message: str) -> None:
        self.write(message)

    def begins(self, attempt: int) -> None:
        self.write(f"attempt {attempt}: {self.name}")

    def reached(self, progress: Progress) -> None: ...

    def scoring(self, result: TrialResult) -> None: ...
