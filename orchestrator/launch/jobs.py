"""How a launch runs its trials, and the job that each of them becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fsl_core.recipe.seeds import groups_of_seeds
from orchestrator.execution.compute import ONE_CPU, Compute
from orchestrator.execution.job import TrialJob
from orchestrator.launch.footprint import memory_bytes
from orchestrator.launch.places import Places
from orchestrator.sweep.plan import PlannedTrial

if TYPE_CHECKING:
    from fsl_core.training.execution_path import ExecutionPath


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """How a sweep is run here.

    Attributes:
        places: where trials read and write.
        compute: what each trial computes on.
        path: the execution path of trials that have none yet; None has the fastest measured.
        seeds_together: the most seeds of one recipe that one process trains; see :func:`trial_jobs`.
        command: the command line of the launch, for the record.
        replace: the sweep's name is taken over from another sweep file.
    """

    places: Places
    compute: Compute = ONE_CPU
    path: ExecutionPath | None = None
    seeds_together: int = 1
    command: str | None = None
    replace: bool = False


def trial_job(trial: PlannedTrial, options: LaunchOptions, *, stop_file: Path, code_digest: str) -> TrialJob:
    """The job that trains and scores a trial."""
    places = options.places
    return TrialJob(
        recipe=trial.recipe,
        evaluations=trial.evaluations,
        runs_root=places.runs_root,
        data_root=places.data_root,
        cache_root=places.cache_root,
        stop_file=stop_file,
        code_digest=code_digest,
        compute=options.compute,
        path=options.path,
        memory=memory_bytes(trial.recipe) if options.compute.device == "cpu" else 0,  # the prediction is of a trial on a CPU
    )


def trial_jobs(trials: Sequence[PlannedTrial], options: LaunchOptions, *, stop_file: Path, code_digest: str) -> list[TrialJob]:
    """The jobs of trials, in their order. Seeds of one recipe share a job, at most ``options.seeds_together`` of them."""
    groups = groups_of_seeds(trials, lambda trial: trial.recipe.without_seed, options.seeds_together)
    return [
        _together([trial_job(trial, options, stop_file=stop_file, code_digest=code_digest) for trial in each]) for each in groups
    ]


def _together(jobs: Sequence[TrialJob]) -> TrialJob:
    first, *others = jobs
    return replace(first, companions=tuple(others))
