"""The trackers that commands use on the store in use."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.cli.options import Places
from orchestrator.tracking.backlog import Backlog
from orchestrator.tracking.mlflow_tracker import MlflowTracker
from orchestrator.tracking.resilient import ResilientTracker
from orchestrator.tracking.tracking_uri import artifact_root, store_key


def mlflow_tracker(places: Places) -> MlflowTracker:
    """MLflow on the store in use."""
    return MlflowTracker(places.tracking, artifacts=artifact_root(places.runs_root))


def backlog_of(places: Places) -> Backlog:
    """What earlier commands that named this store may have left unsent."""
    store = store_key(places.tracking, places.runs_root)
    return Backlog(places.runs_root, lambda: mlflow_tracker(places), store=store)


def launch_tracker(places: Places, notice: Callable[[str], None]) -> ResilientTracker:
    """MLflow on the store in use, unable to fail or to delay the sweep."""
    return ResilientTracker(mlflow_tracker(places), notice, backlog_of(places))
