"""Every tracker by its name: MLflow, none, and those of plug-ins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fsl_core.catalogue import Catalogue
from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking.tracker import StoreTracker
from orchestrator.tracking.tracking_uri import artifact_root, store_key


@dataclass(frozen=True, kw_only=True)
class TrackingPlace:
    """Where a launch is shown: the address of the store in use, and the folder of the records."""

    address: TrackingAddress
    runs_root: Path


@dataclass(frozen=True, kw_only=True)
class TrackerKind:
    """A kind of tracker.

    Attributes:
        name: what ``--tracker`` calls it.
        open: makes it, without connecting. Its methods may raise TrackingError and be slow: a launch calls them in a thread of its
            own, and sends again what they refused. None sends nothing, and keeps the view for the runs folder's own store.
        store: a text that names the store, so that what one store refused is never sent to another.
    """

    name: str
    open: Callable[[TrackingPlace], StoreTracker] | None
    store: Callable[[TrackingPlace], str]


def _mlflow(place: TrackingPlace) -> StoreTracker:
    from orchestrator.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(place.address, artifacts=artifact_root(place.runs_root))


def _problem(entry: object) -> str | None:
    return None if isinstance(entry, TrackerKind) else f"it must be a {TrackerKind.__module__}.TrackerKind"


TRACKERS: Catalogue[TrackerKind] = Catalogue(
    "fsl.trackers",
    built_in=(
        TrackerKind(name="mlflow", open=_mlflow, store=lambda place: store_key(place.address, place.runs_root)),
        TrackerKind(name="none", open=None, store=lambda place: ""),
    ),
    problem=_problem,
)
"""What ``fsl run --tracker`` accepts."""
