"""The trackers of commands on the store in use."""

from __future__ import annotations

from fsl_core.listeners import Notice
from orchestrator.launch.places import Places
from orchestrator.tracking.backlog import Backlog
from orchestrator.tracking.catalogue import TRACKERS, TrackingPlace
from orchestrator.tracking.kept_view import KeptView
from orchestrator.tracking.mlflow_tracker import MlflowTracker
from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.resilient import ResilientTracker
from orchestrator.tracking.tracker import Tracker
from orchestrator.tracking.tracking_uri import artifact_root, store_key


def mlflow_tracker(places: Places) -> MlflowTracker:
    """MLflow on the store in use."""
    return MlflowTracker(places.tracking, artifacts=artifact_root(places.runs_root))


def backlog_of(places: Places) -> Backlog:
    """What earlier commands that named this store may have left unsent."""
    store = store_key(places.tracking, places.runs_root)
    return Backlog(places.runs_root, lambda: mlflow_tracker(places), store=store)


def launch_tracker(name: str, places: Places, notice: Notice) -> Tracker:
    """The tracker of this name, unable to fail or to delay the sweep."""
    kind, place = TRACKERS[name], TrackingPlace(address=places.tracking, runs_root=places.runs_root)
    opened = kind.open
    if opened is None:
        return KeptView(Outbox(places.runs_root))
    backlog = Backlog(places.runs_root, lambda: opened(place), store=kind.store(place))
    return ResilientTracker(opened(place), notice, backlog)
