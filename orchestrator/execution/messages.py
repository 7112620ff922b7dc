"""The messages between the driver and the process that runs Ray, pickled through a pipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.execution.compute import Node
from orchestrator.execution.job import TrialJob


@dataclass(frozen=True, kw_only=True)
class RunTrials:
    """The driver requests these trials in this order, at most ``at_once`` at a time; ``storage`` is the folder of Tune's own files.

    ``address`` is that of a running cluster; without it a local one is started, with ``cpus`` CPUs and its files in ``session``.
    """

    jobs: tuple[TrialJob, ...]
    address: str | None
    cpus: int
    at_once: int | None
    storage: Path
    session: Path


@dataclass(frozen=True, kw_only=True)
class DescribeCluster:
    """The driver requests the resources of the cluster at ``address``."""

    address: str


@dataclass(frozen=True, kw_only=True)
class Hello:
    """Ray's process has started, and runs the code with this digest."""

    code_digest: str


@dataclass(frozen=True)
class Phase:
    """A description of what Ray's process is doing.

    ``waits_for`` names a step with a deadline: the ``start`` of a local Ray, or the answer of a ``cluster``.
    """

    doing: str
    waits_for: Literal["start", "cluster"] | None = None


@dataclass(frozen=True)
class WorkerDied:
    """The worker of a trial died, and Tune starts another one."""

    fingerprint: str


@dataclass(frozen=True)
class GivenUp:
    """A trial gets no further worker; ``error`` is Ray's report of the last one."""

    fingerprint: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The resources of a cluster: the CPUs and GPUs of each node."""

    nodes: tuple[Node, ...]

    @property
    def gpus(self) -> int:
        """The GPUs of all nodes together."""
        return sum(node.gpus for node in self.nodes)


@dataclass(frozen=True)
class End:
    """The reason for which Ray's process ended.

    ``finished``: every trial ended, or was skipped because of a stop; ``memory``: Ray's monitor ended a worker because memory ran out,
    which Tune does not survive; ``refused``: Ray did not start, or the cluster cannot be joined; ``died``: a part of Ray died, and the
    process ended without a message, as it then usually does, or the driver ends it, because it did not notice the death.
    """

    why: Literal["finished", "memory", "refused", "died"]
    detail: str = ""
