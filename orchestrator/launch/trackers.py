"""The trackers of a launch: MLflow on the store in use, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from orchestrator.launch.places import Places
from orchestrator.tracking.backlog import Backlog
from orchestrator.tracking.mlflow_tracker import MlflowTracker
from orchestrator.tracking.resilient import ResilientTracker
from orchestrator.tracking.tracker import NullTracker, Tracker
from orchestrator.tracking.tracking_uri import artifact_root, store_key

TrackerName = Literal["mlflow", "none"]


def mlflow_tracker(places: Places) -> MlflowTracker:
    """MLflow on the store in use."""
    return MlflowTracker(places.tracking, artifacts=artifact_root(places.runs_root))


def backlog_of(places: Places) -> Backlog:
    """What earlier commands that named this store may have left unsent."""
    store = store_key(places.tracking, places.runs_root)
    return Backlog(places.runs_root, lambda: mlflow_tracker(places), store=store)


def launch_tracker(name: TrackerName, places: Places, notice: Callable[[str], None]) -> Tracker:
    """The tracker of this name, unable to fail or to delay the sweep."""
    return NullTracker() if name == "none" else ResilientTracker(mlflow_tracker(places), notice, backlog_of(places))
