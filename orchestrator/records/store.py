"""The source of truth: one folder per trial, named by the recipe's fingerprint, every file whole or absent.

``result.json`` and ``evaluations/*.json`` are equal in every run of the same work; ``execution.json`` may differ.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fsl_core.atomic_file import write_atomically
from fsl_core.errors import RecordDamagedError
from fsl_core.recipe.fingerprint import SCHEMA_VERSION, as_plain
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.sealed import Value, document_text
from fsl_core.set_aside import set_aside
from fsl_core.training.result import EvaluationResult, TrialResult, trial_result_from_plain
from fsl_core.training.trial_folder import result_of, score_of
from fsl_core.training.trial_paths import TrialPaths
from fsl_core.training.trial_records import ExecutionRecord, FailureRecord, ProgressRecord, record_from_plain
from orchestrator.errors import StoreError
from orchestrator.records.sealed import read_sealed
from orchestrator.records.trial_edition import edition_in
from orchestrator.records.trial_record import TrialRecord

_FINGERPRINT = re.compile("[0-9a-f]{16}")


def is_fingerprint(name: str) -> bool:
    """Whether a folder of this name is a trial's."""
    return _FINGERPRINT.fullmatch(name) is not None


class Store:
    """The trials under a runs folder.

    Every record is written with the digest of its own content. A file counts as missing and is listed in ``damaged`` where it was
    damaged or edited, has a wrong type or range, or belongs to other work. Reading changes no file; the process that works on the
    trial renames such a file to ``<name>.corrupt-<n>`` with :meth:`set_aside`. No file is ever deleted.
    """

    def __init__(self, runs_root: Path) -> None:
        self.runs_root = runs_root
        self.damaged: list[Path] = []

    @property
    def trials(self) -> Path:
        """The folder of all trials."""
        return self.runs_root / "trials"

    def paths(self, fingerprint: str) -> TrialPaths:
        """The paths of the trial's files, whether or not they exist."""
        return TrialPaths(self.trials / fingerprint)

    def check_writable(self) -> None:
        """Raises StoreError when the runs folder cannot be made or written to."""
        probe = self.runs_root / f".writable.{os.getpid()}"
        try:
            self.trials.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"fsl")
            probe.unlink()
        except OSError as error:
            raise StoreError(f"the runs folder {self.runs_root} cannot be written to ({error.strerror})") from error

    def read(self, fingerprint: str) -> TrialRecord:
        """The record of a trial, empty where it was never started."""
        paths, old = self.paths(fingerprint), list[str]()
        edition = self.edition(fingerprint)
        result = None
        if edition == SCHEMA_VERSION:
            result = self._read(paths.result, partial(result_of, fingerprint), old)
        return TrialRecord(
            fingerprint=fingerprint,
            result=result,
            evaluations={} if result is None else self._scores(paths.evaluations, result, old),
            execution=self._read(paths.execution, partial(record_from_plain, ExecutionRecord), old),
            failure=self._read(paths.failure, partial(record_from_plain, FailureRecord), old),
            progress=self._read(paths.progress, partial(record_from_plain, ProgressRecord), old),
            unsealed=tuple(old),
            edition=edition,
        )

    def edition(self, fingerprint: str) -> int:
        """The edition of the recipe in a trial's folder; the current one where the folder has no recipe."""
        paths = self.paths(fingerprint)
        return edition_in(paths.recipe, paths.result, fingerprint) or SCHEMA_VERSION

    def folders(self) -> list[Path]:
        """The folders of all trials, finished or not; folders with other names are ignored."""
        return sorted(path for path in self.trials.glob("*") if is_fingerprint(path.name) and path.is_dir())

    def of_earlier_editions(self) -> dict[str, int]:
        """The edition of each trial of an earlier one, by fingerprint. These trials are kept, and no sweep uses them."""
        editions = {folder.name: self.edition(folder.name) for folder in self.folders()}
        return {name: edition for name, edition in editions.items() if edition != SCHEMA_VERSION}

    def _scores(self, folder: Path, result: TrialResult, old: list[str]) -> dict[str, EvaluationResult]:
        """The scores in a folder, by fingerprint. Scores of a lost result are kept: retraining gives the same bits."""
        found = {path: self._read(path, partial(score_of, result, path.stem), old) for path in sorted(folder.glob("*.json"))}
        return {path.stem: score for path, score in found.items() if score is not None}

    def records(self, fingerprints: Iterable[str]) -> dict[str, TrialRecord]:
        """The records of several trials, by fingerprint."""
        return {fingerprint: self.read(fingerprint) for fingerprint in fingerprints}

    def write_recipe(self, recipe: TrainingRecipe) -> None:
        """Write the recipe for people to read; the copy inside the result is authoritative."""
        self._write(self.paths(recipe.fingerprint).recipe, as_plain(recipe))

    def write_result(self, result: TrialResult) -> None:
        """Mark a training as done. A different result of the same training, from elsewhere, is set aside and kept."""
        path = self.paths(result.recipe.fingerprint).result
        if path.exists() and self._read(path, trial_result_from_plain, []) != result:
            self.set_aside(path)
        self._write(path, result.as_plain())

    def write_evaluation(self, score: EvaluationResult) -> None:
        """Mark an evaluation as done."""
        folder = self.paths(score.recipe_fingerprint).evaluations
        self._write(folder / f"{score.evaluation.fingerprint}.json", score.as_plain())

    def write_execution(self, fingerprint: str, record: ExecutionRecord) -> None:
        """Write how a trial was executed."""
        self.write_record(fingerprint, record)

    def write_failure(self, fingerprint: str, record: FailureRecord) -> None:
        """Write why a trial failed."""
        self.write_record(fingerprint, record)

    def write_record(self, fingerprint: str, record: ExecutionRecord | ProgressRecord | FailureRecord) -> None:
        """Write one of the three records to its own file."""
        self._write(self.paths(fingerprint).of_record(type(record)), dataclasses.asdict(record))

    def clear_failure(self, fingerprint: str) -> None:
        """Remove the failure of a trial that has since succeeded; its traceback stays in the log."""
        self.paths(fingerprint).failure.unlink(missing_ok=True)

    def _write(self, path: Path, plain: Mapping[str, Any]) -> None:
        text = document_text(plain)
        try:
            write_atomically(path, text)
        except OSError as error:
            kept = "the last checkpoint is kept"
            raise StoreError(f"{path} cannot be written ({error.strerror}); {kept}") from error

    def _read(self, path: Path, parse: Callable[[dict[str, Any]], Value], old: list[str]) -> Value | None:
        """The content of a file, None where it is absent or damaged; the name of an unsealed file is added to ``old``."""
        try:
            found = read_sealed(path, parse)
        except RecordDamagedError:
            if path not in self.damaged:
                self.damaged.append(path)
            return None
        if found is None:
            return None
        value, was_sealed = found
        if not was_sealed:
            old.append(path.name)
        return value

    def set_aside(self, path: Path) -> Path | None:
        """Rename a damaged file, and return its new path; None where the file does not exist."""
        try:
            aside = set_aside(path)
        except OSError as error:
            raise StoreError(f"{path} is damaged and cannot be renamed ({error.strerror})") from error
        if aside is not None:
            self.damaged = [other for other in self.damaged if other != path]
        return aside
