"""What the driver and the process that runs Ray say to each other: values that are pickled through a pipe of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.execution.compute import Node
from orchestrator.execution.job import TrialJob


@dataclass(frozen=True, kw_only=True)
class RunTrials:
    """The driver asks for these trials, the first ones first, at most ``at_once`` at a time; ``storage`` takes Tune's own files.

    ``address`` is a running cluster's; without it a local one is started, with ``cpus`` CPUs and its files in ``session``.
    """

    jobs: tuple[TrialJob, ...]
    address: str | None
    cpus: int
    at_once: int | None
    storage: Path
    session: Path


@dataclass(frozen=True, kw_only=True)
class DescribeCluster:
    """The driver asks what the cluster at ``address`` has."""

    address: str


@dataclass(frozen=True, kw_only=True)
class Hello:
    """Ray's process is up, and runs the code with this digest."""

    code_digest: str


@dataclass(frozen=True)
class Phase:
    """What Ray's process is doing, in words.

    ``waits_for`` names what has a deadline: the ``start`` of a local Ray, or the answer of a ``cluster``.
    """

    doing: str
    waits_for: Literal["start", "cluster"] | None = None


@dataclass(frozen=True)
class WorkerDied:
    """The worker of a trial died, and Tune gives the trial another one."""

    fingerprint: str


@dataclass(frozen=True)
class GivenUp:
    """A trial gets no further worker; ``error`` is what Ray says of the last one."""

    fingerprint: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What a cluster has: the CPUs and GPUs of each of its nodes."""

    nodes: tuple[Node, ...]

    @property
    def gpus(self) -> int:
        """The GPUs of all nodes together."""
        return sum(node.gpus for node in self.nodes)


@dataclass(frozen=True)
class End:
    """How a life of Ray ended.

    ``finished``: every trial ended or was left alone on request; ``memory``: Ray's monitor ended a worker because the memory ran
    out, which Tune does not survive; ``refused``: Ray did not start, or the cluster cannot be joined; ``died``: its process ended
    without a word, as it does when a part of Ray dies.
    """

    why: Literal["finished", "memory", "refused", "died"]
    detail: str = ""
