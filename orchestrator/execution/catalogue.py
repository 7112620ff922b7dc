"""Every executor by its name: Ray Tune, this process, and those of plug-ins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fsl_core.catalogue import Catalogue
from orchestrator.execution.executor import Executor


@dataclass(frozen=True, kw_only=True)
class ExecutorRequest:
    """What an executor is given: a folder for what it keeps itself, the address of a cluster, and the most trials at once."""

    storage: Path
    address: str | None
    at_once: int | None


@dataclass(frozen=True, kw_only=True)
class ExecutorKind:
    """A kind of executor.

    Attributes:
        name: what ``--executor`` calls it.
        build: builds it; nothing is started yet.
        joins_clusters: it takes the address of a Ray cluster.
        one_at_a_time: it runs one trial after another, in the process of the launch.
    """

    name: str
    build: Callable[[ExecutorRequest], Executor]
    joins_clusters: bool = False
    one_at_a_time: bool = False


def _ray(request: ExecutorRequest) -> Executor:
    from orchestrator.execution.ray_tune import RayTuneExecutor

    return RayTuneExecutor(storage=request.storage, address=request.address, max_concurrent=request.at_once)


def _in_process(request: ExecutorRequest) -> Executor:
    from orchestrator.execution.in_process import InProcessExecutor

    return InProcessExecutor()


def _problem(entry: object) -> str | None:
    return None if isinstance(entry, ExecutorKind) else f"it must be a {ExecutorKind.__module__}.ExecutorKind"


EXECUTORS: Catalogue[ExecutorKind] = Catalogue(
    "fsl.executors",
    built_in=(
        ExecutorKind(name="ray", build=_ray, joins_clusters=True),
        ExecutorKind(name="in-process", build=_in_process, one_at_a_time=True),
    ),
    problem=_problem,
)
"""What ``--executor`` accepts."""
