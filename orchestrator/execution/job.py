"""A trial to run, as a value that can be sent to another process or machine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from orchestrator.execution.compute import ONE_CPU, Compute

if TYPE_CHECKING:
    from fsl_core.training.execution_path import ExecutionPath

EventKind = Literal["started", "notice", "progress", "scoring", "finished", "diverged", "failed", "stopped"]
ENDS: frozenset[EventKind] = frozenset({"finished", "diverged", "failed", "stopped"})
"""The kinds of the last event of a job."""
CHOICES = "paths"
"""The folder under a runs root of the execution paths that were chosen, one for each kind of training step."""


@dataclass(frozen=True, kw_only=True)
class TrialJob:
    """A recipe, the evaluations wanted of it, and where and how to run them.

    ``compute`` is the compute that the trial uses and the scheduler reserves, with ``memory`` in bytes, 0 for no reservation. Once
    ``stop_file`` exists, the trial ends at its next step. ``code_digest`` is that of the driver's code, which the worker must run too.
    ``path`` is the execution path of a trial that has none yet; None: the fastest is measured. ``companions`` are jobs of the same
    recipe with other seeds, which the same process runs: on CUDA they may train together. An executor runs the job and its companions by
    one call, and its events name the trial that they are of.
    """

    recipe: TrainingRecipe
    evaluations: tuple[Evaluation, ...]
    runs_root: Path
    data_root: Path | None
    cache_root: Path
    stop_file: Path
    code_digest: str
    compute: Compute = ONE_CPU
    path: ExecutionPath | None = None
    memory: int = 0
    companions: tuple[TrialJob, ...] = ()

    @property
    def trials(self) -> tuple[TrialJob, ...]:
        """The job without companions, and its companions."""
        return (replace(self, companions=()), *self.companions)

    def without(self, ended: Collection[str]) -> TrialJob | None:
        """The job of the trials that are not among these; None if none is left."""
        left = [trial for trial in self.trials if trial.fingerprint not in ended]
        return replace(left[0], companions=tuple(left[1:])) if left else None

    @property
    def memory_together(self) -> int:
        """The memory to reserve, in bytes, for all trials of the job."""
        return sum(trial.memory for trial in self.trials)

    @property
    def fingerprint(self) -> str:
        """The recipe's fingerprint."""
        return self.recipe.fingerprint


@dataclass(frozen=True, kw_only=True)
class TrialEvent:
    """An event of a trial. ``metrics`` are the newest points of its curves; ``message`` is a failure's cause or a notice's text."""

    kind: EventKind
    fingerprint: str
    step: int = 0
    steps: int = 0
    best: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    message: str = ""


EventListener = Callable[[TrialEvent], None]
"""Receives the events of trials, one by one."""
