"""Imports finished trials of another machine into a runs folder, each whole or not at all."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fsl_core.atomic_file import write_atomically
from fsl_core.errors import FslError, StopRequested
from fsl_core.training.path_file import PATH_FILE, read_path, write_path
from orchestrator.errors import StoreError
from orchestrator.records.brought_trial import FinishedTrial, TrialCheck
from orchestrator.records.store import Store, is_fingerprint
from orchestrator.records.trial_lock import is_held, trial_lock

Outcome = Literal["brought", "known", "unfinished", "refused"]
"""``brought``: imported; ``known``: finished here already; ``unfinished``: not finished there either; ``refused``: failed a check."""

_LOG = "log.txt"
"""Copied where the trial has none here, for people to read."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """The outcome of importing one folder, with its reason, or with the machine that trained the trial."""

    folder: Path
    outcome: Outcome
    why: str


def trial_folders(folder: Path) -> list[Path]:
    """Finds the trials of ``folder``, which is a trial, holds trials, or is a runs folder."""
    if is_fingerprint(folder.name):
        return [folder]
    holding = folder / "trials" if (folder / "trials").is_dir() else folder
    return sorted(path for path in holding.glob("*") if is_fingerprint(path.name) and path.is_dir())


def bring(folders: list[Path], store: Store, check: TrialCheck) -> Iterator[Brought]:
    """Check each folder, and copy what the runs folder lacks. A refused folder leaves no file."""
    for folder in folders:
        try:
            yield _brought(folder, store, check)
        except (FslError, StoreError, OSError) as error:
            yield Brought(folder=folder, outcome="refused", why=str(error))


def _brought(folder: Path, store: Store, check: TrialCheck) -> Brought:
    if is_held(folder / ".lock"):
        return Brought(folder=folder, outcome="unfinished", why="a process works on it")
    finished = check.finished(folder)
    if finished is None:
        return Brought(folder=folder, outcome="unfinished", why="it is not trained, or lacks a requested score")
    here = store.paths(folder.name)
    here.folder.mkdir(parents=True, exist_ok=True)
    try:
        with trial_lock(here.lock, lambda: True):
            return _imported(finished, store)
    except StopRequested as error:
        raise StoreError("a process works on this trial here") from error


def _imported(finished: FinishedTrial, store: Store) -> Brought:
    folder, result, name = finished.paths.folder, finished.result, finished.result.recipe.fingerprint
    known = store.read(name)
    for path in tuple(store.damaged):
        store.set_aside(path)
    if known.result is not None and known.result != result:
        return Brought(
            folder=folder, outcome="known", why="it is trained here already, with different bits; the trial here is kept"
        )
    scores = [score for score in finished.scores if score.evaluation.fingerprint not in known.evaluations]
    if known.result is not None and not scores:
        return Brought(folder=folder, outcome="known", why="it is here already")
    if known.result is None:
        _copy_files(finished, store)
    own = known.execution if known.result is not None and known.execution is not None else finished.execution
    execution = dataclasses.replace(own, evaluations={**finished.execution.evaluations, **own.evaluations})
    store.write_execution(name, execution)
    for score in scores:
        store.write_evaluation(score)
    if known.result is None:
        store.write_result(result)  # last: its presence marks the trial as trained
    store.clear_failure(name)
    return Brought(folder=folder, outcome="brought", why=f"trained on {execution.host}, {execution.device_name}")


def _copy_files(finished: FinishedTrial, store: Store) -> None:
    there, here = finished.paths, store.paths(finished.result.recipe.fingerprint)
    store.write_recipe(finished.result.recipe)
    if finished.result.weights_digest is not None:
        write_atomically(here.selected, there.selected.read_bytes())
    path = read_path(there.folder / PATH_FILE)
    if path is not None:
        if read_path(here.folder / PATH_FILE) not in (None, path):
            _set_checkpoints_aside(here.folder)  # they are of another path, and retraining must not resume from them
        write_path(here.folder, path)
    if (there.folder / _LOG).is_file() and not (here.folder / _LOG).exists():
        write_atomically(here.folder / _LOG, (there.folder / _LOG).read_bytes())


def _set_checkpoints_aside(folder: Path) -> None:
    checkpoints = folder / "checkpoints"
    if checkpoints.is_dir():
        checkpoints.replace(folder / f"checkpoints.{secrets.token_hex(4)}.aside")
