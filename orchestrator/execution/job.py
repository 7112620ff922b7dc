"""A trial to run, as a value that can travel to another process or machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from orchestrator.execution.compute import ONE_CPU, Compute

if TYPE_CHECKING:
    from fsl_core.training.execution_path import ExecutionPath

EventKind = Literal["started", "notice", "progress", "scoring", "finished", "diverged", "failed", "stopped"]
ENDS: frozenset[EventKind] = frozenset({"finished", "diverged", "failed", "stopped"})
"""The kinds of event after which a job has no more to say."""


@dataclass(frozen=True, kw_only=True)
class TrialJob:
    """One recipe and the evaluations wanted of it, and where and how to run them.

    ``compute`` is what it computes on, and what the scheduler sets aside beside ``memory``, bytes, 0 where none are asked for.
    ``stop_file``: the trial ends at its next step once this file exists. ``code_digest`` names the code that the driver runs, and that
    whoever runs the trial must run. ``path`` is the execution path that a trial takes which has none yet; None has the fastest measured.
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

    @property
    def fingerprint(self) -> str:
        """The recipe's fingerprint."""
        return self.recipe.fingerprint


@dataclass(frozen=True, kw_only=True)
class TrialEvent:
    """Something that happened to a trial. ``metrics`` are the newest points of its curves; ``message`` is a failure's cause, or
    what a ``notice`` has to say."""

    kind: EventKind
    fingerprint: str
    step: int = 0
    steps: int = 0
    best: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
