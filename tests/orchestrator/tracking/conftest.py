from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking.mlflow_server import ui_server
from orchestrator.tracking.mlflow_tracker import MlflowTracker
from orchestrator.tracking.shown_sweep import SweepContext, shown_sweep
from orchestrator.tracking.tracking_uri import artifact_root, default_address
from tests.orchestrator.tracking.tracked_sweep import tiny_plan


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingAddress]:
    """The address of a real tracking server on loopback, with an SQLite store created by a first sweep."""
    folder = tmp_path_factory.mktemp("server")
    runs = folder / "runs"
    runs.mkdir()
    first = MlflowTracker(default_address(runs), artifacts=artifact_root(runs))
    first.begin(shown_sweep(tiny_plan(folder, "first"), SweepContext()))
    first.finish(None)
    with ui_server(default_address(runs), artifacts=artifact_root(runs), log=folder / "server.log") as running:
        yield TrackingAddress(running.url)
