"""The source of truth: one folder a trial, named by the recipe's fingerprint, every file whole or absent.

``result.json`` and ``evaluations/*.json`` hold what is equal in every run of the same work; ``execution.json`` what is not.
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

    Every record is written with the digest of its own content. A file that is damaged, edited, of another type or range than its
    place asks for, or of other work than its place says, is taken as missing and listed in ``damaged``. Reading changes nothing;
    whoever works on the trial renames it to ``<name>.corrupt-<n>`` with :meth:`set_aside`. Nothing is ever deleted.
    """

    def __init__(self, runs_root: Path) -> None:
        self.runs_root = runs_root
        self.damaged: list[Path] = []

    @property
    def trials(self) -> Path:
        """The folder of all trials."""
        return self.runs_root / "trials"

    def paths(self, fingerprint: str) -> TrialPaths:
        """Where the trial's parts lie, whether or not they exist yet."""
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
        """All that is known of a trial; a trial that nobody started has a record of nothing."""
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
        """The edition of the recipes that a trial is of, by the recipe that its folder holds; today's where it holds none."""
        paths = self.paths(fingerprint)
        return edition_in(paths.recipe, paths.result, fingerprint) or SCHEMA_VERSION

    def folders(self) -> list[Path]:
        """The folders of all trials, finished or not; what is named otherwise is somebody's own."""
        return sorted(path for path in self.trials.glob("*") if is_fingerprint(path.name) and path.is_dir())

    def of_earlier_editions(self) -> dict[str, int]:
        """The trials of earlier editions by their fingerprints, and the edition of each. They are kept, and no sweep uses them."""
        editions = {folder.name: self.edition(folder.name) for folder in self.folders()}
        return {name: edition for name, edition in editions.items() if edition != SCHEMA_VERSION}

    def _scores(self, folder: Path, result: TrialResult, old: list[str]) -> dict[str, EvaluationResult]:
        """The scores in a folder by fingerprint. While a result is lost its scores wait: it is trained again to the same bits."""
        found = {path: self._read(path, partial(score_of, result, path.stem), old) for path in sorted(folder.glob("*.json"))}
        return {path.stem: score for path, score in found.items() if score is not None}

    def records(self, fingerprints: Iterable[str]) -> dict[str, TrialRecord]:
        """The records of several trials, by fingerprint."""
        return {fingerprint: self.read(fingerprint) for fingerprint in fingerprints}

    def write_recipe(self, recipe: TrainingRecipe) -> None:
        """Write the recipe for people to read; what counts is the copy inside the result."""
        self._write(self.paths(recipe.fingerprint).recipe, as_plain(recipe))

    def write_result(self, result: TrialResult) -> None:
        """Declare a training done. A result that differs, of the same training elsewhere, is set aside and not lost."""
        path = self.paths(result.recipe.fingerprint).result
        if path.exists() and self._read(path, trial_result_from_plain, []) != result:
            self.set_aside(path)
        self._write(path, result.as_plain())

    def write_evaluation(self, score: EvaluationResult) -> None:
        """Declare an evaluation done."""
        folder = self.paths(score.recipe_fingerprint).evaluations
        self._write(folder / f"{score.evaluation.fingerprint}.json", score.as_plain())

    def write_execution(self, fingerprint: str, record: ExecutionRecord) -> None:
        """Write how a trial was executed."""
        self.write_record(fingerprint, record)

    def write_failure(self, fingerprint: str, record: FailureRecord) -> None:
        """Write why a trial failed."""
        self.write_record(fingerprint, record)

    def write_record(self, fingerprint: str, record: ExecutionRecord | ProgressRecord | FailureRecord) -> None:
        """Write one of the three into its own place."""
        self._write(self.paths(fingerprint).of_record(type(record)), dataclasses.asdict(record))

    def clear_failure(self, fingerprint: str) -> None:
        """Forget an earlier failure of a trial that has since succeeded; its traceback stays in the log."""
        self.paths(fingerprint).failure.unlink(missing_ok=True)

    def _write(self, path: Path, plain: Mapping[str, Any]) -> None:
        text = document_text(plain)
        try:
            write_atomically(path, text)
        except OSError as error:
            stays = "what was computed up to the last checkpoint stays"
            raise StoreError(f"{path} cannot be written ({error.strerror}); {stays}") from error

    def _read(self, path: Path, parse: Callable[[dict[str, Any]], Value], old: list[str]) -> Value | None:
        """What a file holds, None where there is nothing that fits; the name of one without a seal is added to ``old``."""
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
        """Take a damaged file out of use. Returns where it is now; None when it was not there."""
        try:
            aside = set_aside(path)
        except OSError as error:
            raise StoreError(f"{path} is damaged and cannot be renamed ({error.strerror})") from error
        if aside is not None:
            self.damaged = [other for other in self.damaged if other != path]
        return aside
