"""The resources that a trial takes, and the number of trials that machines run at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fsl_core.errors import ExecutionPathError
from orchestrator.counted import counted

GPU_SHARE = 0.25
"""The share of a GPU that one trial reserves where its memory is not measured, and the least that it reserves unless it is given."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """The CPUs and GPUs of one machine, alone or in a cluster."""

    cpus: int
    gpus: int = 0

    def __str__(self) -> str:
        return f"{counted(self.cpus, 'CPU')} and {counted(self.gpus, 'GPU')}" if self.gpus else counted(self.cpus, "CPU")


@dataclass(frozen=True, kw_only=True)
class Compute:
    """The resources that one trial uses and reserves, and the most trials that do so at once.

    Attributes:
        device: ``cpu`` or ``cuda``.
        threads: the CPU threads per operation; a trial reserves a CPU for each.
        gpus: a part of one GPU, or whole GPUs; 0 on a CPU.
        at_once: the most trials at once; None: as many as fit.

    Raises:
        ExecutionPathError: fewer than one CPU, a negative number of GPUs, or a fraction above one GPU.
    """

    device: str = "cpu"
    threads: int = 1
    gpus: float = 0.0
    at_once: int | None = None

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ExecutionPathError(f"threads is {self.threads}; it must be at least 1")
        if self.gpus < 0 or (self.gpus > 1 and not float(self.gpus).is_integer()):
            raise ExecutionPathError(f"gpus_per_trial is {self.gpus:g}; accepted: a part of one GPU, or a whole number of them")

    @staticmethod
    def on(device: str, *, threads: int, gpus: float | None = None, at_once: int | None = None) -> Compute:
        """The resources of a trial on ``device``; on CUDA with ``gpus``, or with the default share where that is None."""
        share = 0.0 if device != "cuda" else GPU_SHARE if gpus is None else gpus
        return Compute(device=device, threads=threads, gpus=share, at_once=at_once)

    def times_in(self, node: Node) -> int:
        """The number of trials that a machine holds. A part of a GPU never spans two GPUs."""
        by_cpus = node.cpus // self.threads
        if not self.gpus:
            return by_cpus
        by_gpus = node.gpus * int(1 / self.gpus + 1e-6) if self.gpus <= 1 else node.gpus // int(self.gpus)
        return min(by_cpus, by_gpus)

    def slots(self, nodes: Sequence[Node]) -> int:
        """The number of trials that the machines hold together, at most ``at_once``; 0 where none fits."""
        there = sum(self.times_in(node) for node in nodes)
        return min(there, self.at_once) if self.at_once else there

    def __str__(self) -> str:
        cpus, gpus = counted(self.threads, "CPU"), f"{self.gpus:g} of a GPU" if self.gpus < 1 else counted(int(self.gpus), "GPU")
        return f"{cpus} and {gpus}" if self.gpus else cpus


ONE_CPU = Compute()
