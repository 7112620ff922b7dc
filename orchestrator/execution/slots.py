"""How many trials run at once: what the machines offer, and what a trial takes of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fsl_core.errors import ExecutionPathError
from orchestrator.counted import counted

GPU_SHARE = 0.25
"""The part of a GPU that one trial sets aside unless it is told: Conv-4 on small images leaves most of one idle."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """The CPUs and GPUs of one machine, alone or in a cluster."""

    cpus: int
    gpus: int = 0

    def __str__(self) -> str:
        return f"{counted(self.cpus, 'CPU')} and {counted(self.gpus, 'GPU')}" if self.gpus else counted(self.cpus, "CPU")


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one trial sets aside of a machine: a CPU for each of its threads, and a part of one GPU or whole GPUs.

    Raises:
        ExecutionPathError: it is less than one CPU, less than nothing of a GPU, or several GPUs and a part.
    """

    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.cpus < 1:
            raise ExecutionPathError(f"threads is {self.cpus}; it must be at least 1")
        if self.gpus < 0 or (self.gpus > 1 and not float(self.gpus).is_integer()):
            raise ExecutionPathError(f"gpus_per_trial is {self.gpus:g}; accepted: a part of one GPU, or a whole number of them")

    @staticmethod
    def of(device: str, *, threads: int, gpus: float | None = None) -> Share:
        """What a trial on ``device`` takes; on CUDA ``gpus``, or as much of one as is usual where that is None."""
        return Share(cpus=threads, gpus=0.0 if device != "cuda" else GPU_SHARE if gpus is None else gpus)

    def times_in(self, node: Node) -> int:
        """How many trials a machine holds. A part of a GPU lies on one GPU."""
        by_cpus = node.cpus // self.cpus
        if not self.gpus:
            return by_cpus
        by_gpus = node.gpus * int(1 / self.gpus + 1e-6) if self.gpus <= 1 else node.gpus // int(self.gpus)
        return min(by_cpus, by_gpus)

    def __str__(self) -> str:
        cpus, gpus = counted(self.cpus, "CPU"), f"{self.gpus:g} of a GPU" if self.gpus < 1 else counted(int(self.gpus), "GPU")
        return f"{cpus} and {gpus}" if self.gpus else cpus


ONE_CPU = Share()


def slots(nodes: Sequence[Node], share: Share, *, most: int | None = None) -> int:
    """How many trials of that share the machines hold together, none where it fits into none of them; ``most`` bounds it."""
    there = sum(share.times_in(node) for node in nodes)
    return min(there, most) if most else there
