"""A sweep on glyphs that takes seconds, and what it takes to run it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fsl_core.training.execution_path import ExecutionPath
from orchestrator.execution.executor import Executor
from orchestrator.execution.in_process import InProcessExecutor
from orchestrator.execution.job import TrialEvent
from orchestrator.launch.driver import SweepOutcome, run_sweep
from orchestrator.launch.forecast import Forecast
from orchestrator.launch.jobs import LaunchOptions
from orchestrator.launch.places import Places
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import Plan, build_plan
from orchestrator.tracking.tracker import NullTracker, Tracker
from orchestrator.tracking.tracking_uri import default_address

SMALL = """
name: small
title: A small sweep on glyphs
seeds: [0, 1]
fixed: {dataset: glyphs, split: glyphs, train_way: 5, train_query: 3, filters: 8, steps: 20, patience: null,
        validation_every: 5, validation_episodes: 10, validation_query: 5, evaluation_episodes: 20}
grid: {way: [5, 10], shot: [1]}
"""


def small_plan(folder: Path, *, seeds: str | None = None, **changes: str) -> Plan:
    path = folder / "small.yaml"
    path.write_text(SMALL)
    return build_plan(load_sweep(path, set_values=[f"{key}={value}" for key, value in changes.items()], seeds=seeds))


class Recorder:
    """A view that remembers."""

    def __init__(self) -> None:
        self.events: list[TrialEvent] = []
        self.notices: list[str] = []
        self.phases: list[str] = []
        self.done: Mapping[str, str] = {}

    def start(self, plan: Plan, done: Mapping[str, str], records: Mapping[str, TrialRecord]) -> None:
        self.done = done

    def event(self, event: TrialEvent) -> None:
        self.events.append(event)

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def stop(self) -> None:
        pass


def no_report(plan: Plan, records: Mapping[str, TrialRecord], complete: bool) -> tuple[Sequence[Path], str]:
    return (), ""


def places_in(runs: Path) -> Places:
    return Places(data_root=None, runs_root=runs, results_root=runs / "results", tracking=default_address(runs))


def launch(
    plan: Plan,
    runs: Path,
    *,
    view: Recorder | None = None,
    executor: Executor | None = None,
    expected: Forecast | None = None,
    tracker: Tracker | None = None,
    seeds_together: int = 1,
) -> SweepOutcome:
    # equal bits are promised for equal paths, and which one is fastest may differ from one runs folder to the next
    path = ExecutionPath(seeds_together=seeds_together)
    return run_sweep(
        plan,
        LaunchOptions(places=places_in(runs), path=path, seeds_together=seeds_together),
        executor=executor or InProcessExecutor(),
        tracker=tracker or NullTracker(),
        view=view or Recorder(),
        reporter=no_report,
        expected=expected,
    )


def contents(runs: Path) -> dict[str, bytes]:
    """The bytes of everything that must be equal in every run of the same work."""
    files = [*runs.glob("trials/*/result.json"), *runs.glob("trials/*/evaluations/*.json")]
    return {str(path.relative_to(runs)): path.read_bytes() for path in files}
