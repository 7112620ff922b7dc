"""What computes here, as far as only torch or the running process can tell.

torch is imported where a GPU is asked about alone: what a CPU is called, commands want to know that compute nothing.
"""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Mapping, Sequence

from fsl_core.errors import ExecutionPathError
from fsl_core.processor import processor_name
from orchestrator.environment import recorded, usable_cpus
from orchestrator.execution.gpu_driver import gpu_driver_is_here
from orchestrator.provenance import library_versions
from orchestrator.remembered import Machine
from orchestrator.slots import Node, Share, slots


def device_name(device: str) -> str:
    """The name of the GPU, or of the processor."""
    if device != "cuda":
        return processor_name()
    import torch

    return torch.cuda.get_device_name()


def this_machine(device: str, *, threads: int = 1) -> Machine:
    """What computes here, as far as costs depend on it; of no particular model where this machine has no such device."""
    here = device == "cpu" or cuda_is_here()
    return Machine(
        device=device,
        device_name=device_name(device) if here else None,
        threads=threads,
        torch=library_versions().get("torch", ""),
    )


def slots_there(share: Share, cluster: Sequence[Node] | None, *, most: int | None) -> int:
    """How many trials of that share run at once: on a cluster's nodes, one at least, for it may grow; else on this machine.

    A machine without a GPU that is asked about trials on GPUs answers for one like it that has as many as a trial takes, one at least.

    Raises:
        ExecutionPathError: this machine is too small for a single trial.
    """
    if cluster is not None:
        return max(1, slots(cluster, share, most=most))
    here = Node(cpus=usable_cpus(), gpus=gpu_count() or math.ceil(share.gpus))
    if there := slots([here], share, most=most):
        return there
    raise ExecutionPathError(f"each trial takes {share}, and this machine has {here}")


def cuda_is_here() -> bool:
    """Whether this machine offers torch a GPU; torch is asked where a driver is there, without which there is none."""
    if not gpu_driver_is_here():
        return False
    import torch

    return torch.cuda.is_available()


def gpu_count() -> int:
    """How many GPUs this machine has."""
    if not gpu_driver_is_here():
        return 0
    import torch

    return torch.cuda.device_count()


def versions() -> Mapping[str, str]:
    """The libraries, the CUDA that torch was built for, and the variables that choose among their instructions."""
    import torch

    return {**library_versions(), **({"cuda": torch.version.cuda} if torch.version.cuda else {}), **recorded()}


def peak_memory_bytes(device: str) -> int:
    """The most memory that this process (or on CUDA its tensors) held; a reused worker counts its earlier trials as well."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
