"""Lists the experiments of a store, and opens one for a sweep."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import TrackingError
from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking.client_settings import prepare_client
from orchestrator.tracking.mlflow_new_store import make_store_file
from orchestrator.tracking.run_tags import NOTE, fitting
from orchestrator.tracking.shown_sweep import ShownSweep

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

KIND_OF_EXPERIMENT, MODEL_TRAINING = "mlflow.experimentKind", "custom_model_development"
"""The interface shows an experiment of this kind on its pages for training, not on those for language models."""

BROKEN = re.compile(
    r"malformed|not a database|(table|index) \S+ already exists|no such (table|column|index)|duplicate column|out-of-date database schema"
)
"""The errors of SQLite about an unreadable file, and of SQLite and MLflow about incomplete tables."""

ARTIFACTS = "mlflow-artifacts:/"
"""The artifact location of a database's runs: the server that shows them. It is no path, so that the folder can be moved."""

_FOUND_WHOLE: set[tuple[int, int]] = set()
"""The device and inode of each file that this process has found intact."""


def connect(address: TrackingAddress) -> MlflowClient:
    """A client that is quiet and fails fast. Only the first call in a process takes the time of the import.

    Raises:
        TrackingError: the store is a file that SQLite cannot read.
    """
    refuse_broken_file(address)
    prepare_client()
    if address.is_database:
        os.environ.setdefault("_MLFLOW_SERVER_ARTIFACT_ROOT", ARTIFACTS)  # else MLflow's own experiment uses the current folder
    if address.sqlite_file is not None:
        make_store_file(address.sqlite_file, ARTIFACTS)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=address.whole)


def refuse_broken_file(address: TrackingAddress) -> None:
    """Raises TrackingError where the store is an existing file but no intact SQLite database.

    The whole file is read, once per process; MLflow reports later damage.
    """
    file = address.sqlite_file
    if file is None or not file.exists():
        return
    if not file.is_file():
        raise _broken(file, "it is a folder" if file.is_dir() else "it is no file")
    status = file.stat()
    this_file = (status.st_dev, status.st_ino)
    if this_file in _FOUND_WHOLE:
        return
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=20)) as database:
            (word,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if not BROKEN.search(str(error)):
            return  # locked or unreadable: MLflow's own error is clearer
        word = str(error)
    if word != "ok":
        raise _broken(file, word)
    _FOUND_WHOLE.add(this_file)


def _broken(file: Path, word: str) -> TrackingError:
    remedy = "move it away, and the next `fsl ui` or `fsl run` fills a new one from the records"
    return TrackingError(f"the MLflow store {file} is broken ({' '.join(word.split())[:100]}): {remedy}")


@contextmanager
def refusals(address: TrackingAddress, what: str) -> Iterator[None]:
    """Turns every exception of MLflow inside the block into a TrackingError."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        if address.sqlite_file is not None and BROKEN.search(reason):
            raise _broken(address.sqlite_file, reason) from error
        raise TrackingError(address.redact(f"MLflow at {address} did not {what}: {reason}")) from error


def experiment_ids(address: TrackingAddress) -> Mapping[str, str]:
    """The ids of a store's experiments by name, newest first, without MLflow's own empty one.

    Raises:
        TrackingError: the store does not answer.
    """
    with refusals(address, "list its experiments"):
        return {each.name: str(each.experiment_id) for each in _every_experiment(address) if each.name != "Default"}


def _every_experiment(address: TrackingAddress) -> Iterator[Experiment]:
    client, token = connect(address), None
    while True:
        page = client.search_experiments(order_by=["creation_time DESC"], page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def open_experiment(client: MlflowClient, address: TrackingAddress, shown: ShownSweep) -> str:
    """The id of a sweep's experiment, which is created where it is missing and restored where it was deleted.

    A database's experiment with artifacts at a path, from an earlier version or another folder, is renamed and replaced.
    """
    found = client.get_experiment_by_name(shown.name)
    if found is not None and address.is_database and not found.artifact_location.startswith(ARTIFACTS):
        _set_aside(client, found)
        found = None
    wanted = {NOTE: fitting("\n\n".join(filter(None, [shown.title, shown.description]))), KIND_OF_EXPERIMENT: MODEL_TRAINING}
    if found is None:
        place = ARTIFACTS if address.is_database else None
        return str(client.create_experiment(shown.name, artifact_location=place, tags=wanted))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    for key, value in wanted.items():
        if found.tags.get(key) != value:
            client.set_experiment_tag(found.experiment_id, key, value)
    return str(found.experiment_id)


def _set_aside(client: MlflowClient, found: Experiment) -> None:
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)  # MLflow renames no deleted experiment
    client.rename_experiment(found.experiment_id, f"{found.name} (set aside {found.experiment_id})")
    client.delete_experiment(found.experiment_id)
