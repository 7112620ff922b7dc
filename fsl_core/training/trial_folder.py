"""One trial's folder without a runs folder: its records are verified whenever they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fsl_core.atomic_file import write_atomically
from fsl_core.errors import RecipeError, RecordDamagedError
from fsl_core.recipe.fingerprint import as_plain
from fsl_core.sealed import Value, document_text, read_sealed
from fsl_core.training.result import EvaluationResult, TrialResult, evaluation_result_from_plain, trial_result_from_plain
from fsl_core.training.trial_paths import TrialPaths
from fsl_core.training.trial_records import ExecutionRecord, FailureRecord, ProgressRecord, Record, record_from_plain
from fsl_core.training.trial_request import TrialRequest, request_from_plain


def result_of(fingerprint: str, plain: Mapping[str, Any]) -> TrialResult:
    """Read the result of the trial ``fingerprint``. Raises RecipeError if it is of another trial."""
    result = trial_result_from_plain(plain)
    if result.recipe.fingerprint != fingerprint:
        raise RecipeError(f"the result is of trial {result.recipe.fingerprint}, not of {fingerprint}")
    return result


def score_of(result: TrialResult, name: str, plain: Mapping[str, Any]) -> EvaluationResult:
    """Read the score ``name`` of a trained trial. Raises RecipeError if it is of other work."""
    score = evaluation_result_from_plain(plain)
    found = (score.evaluation.fingerprint, score.recipe_fingerprint, score.weights_digest, score.data_digest)
    if found != (name, result.recipe.fingerprint, result.weights_digest, result.data_digest):
        raise RecipeError(f"the score is of (evaluation, recipe, weights, images) {found}, unlike its trial and file name")
    return score


@dataclass(frozen=True)
class TrialFolder:
    """A folder named by its trial's fingerprint.

    Every read raises RecordDamagedError for a file that was modified or has no seal, and OSError for one that cannot be read; an absent
    file gives None.
    """

    paths: TrialPaths

    @staticmethod
    def at(folder: Path) -> TrialFolder:
        """The trial in ``folder``."""
        return TrialFolder(TrialPaths(folder))

    @property
    def fingerprint(self) -> str:
        """The fingerprint in the folder's name."""
        return self.paths.folder.absolute().name

    def request(self) -> TrialRequest | None:
        """The request to train the trial. Raises RecordDamagedError also if it is of another trial than the folder."""
        request = _read(self.paths.request, request_from_plain)
        if request is not None and request.recipe.fingerprint != self.fingerprint:
            raise RecordDamagedError(f"{self.paths.request} is of trial {request.recipe.fingerprint}, not of {self.fingerprint}")
        return request

    def result(self) -> TrialResult | None:
        """The training's outcome."""
        return _read(self.paths.result, partial(result_of, self.fingerprint))

    def score_files(self) -> list[Path]:
        """The files of scores, each named after its evaluation's fingerprint."""
        return sorted(self.paths.evaluations.glob("*.json"))

    def score(self, result: TrialResult, name: str) -> EvaluationResult | None:
        """The trained trial's score of the evaluation with the fingerprint ``name``."""
        return _read(self.paths.evaluations / f"{name}.json", partial(score_of, result, name))

    def scores(self, result: TrialResult) -> dict[str, EvaluationResult]:
        """The scores of the trained trial, by the fingerprints of their evaluations."""
        found = {path.stem: self.score(result, path.stem) for path in self.score_files()}
        return {name: score for name, score in found.items() if score is not None}

    def record(self, kind: type[Record]) -> Record | None:
        """The trial's record of this kind: execution, progress or failure."""
        return _read(self.paths.of_record(kind), partial(record_from_plain, kind))

    def write_request(self, request: TrialRequest) -> None:
        """Write the request for the trial."""
        _write(self.paths.request, request.as_plain())
        _write(self.paths.recipe, as_plain(request.recipe))

    def write_result(self, result: TrialResult) -> None:
        """Write the result, which marks the training as done."""
        _write(self.paths.result, result.as_plain())

    def write_score(self, score: EvaluationResult) -> None:
        """Write a score, which marks its evaluation as done."""
        _write(self.paths.evaluations / f"{score.evaluation.fingerprint}.json", score.as_plain())

    def write_record(self, record: ExecutionRecord | FailureRecord | ProgressRecord) -> None:
        """Write a record of execution, progress or failure."""
        _write(self.paths.of_record(type(record)), dataclasses.asdict(record))

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Lock the trial for this process; false if another holds it. The system frees the lock of a process that dies."""
        with self.paths.lock.open("ab") as file:
            yield _lock(file.fileno())


def _lock(descriptor: int) -> bool:
    try:
        import fcntl  # absent on some systems: no other process is looked for

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True
    return True


def _read(path: Path, parse: Callable[[dict[str, Any]], Value]) -> Value | None:
    found = read_sealed(path, parse)
    if found is None:
        return None
    value, was_sealed = found
    if not was_sealed:
        raise RecordDamagedError(f"{path} has no digest of its content: an edit would go unnoticed")
    return value


def _write(path: Path, plain: Mapping[str, Any]) -> None:
    write_atomically(path, document_text(plain))
