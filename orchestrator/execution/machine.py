"""Describes this machine for predictions of cost. Only questions about a GPU import torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fsl_core.errors import ExecutionPathError
from fsl_core.provenance import library_versions
from fsl_core.training.process_facts import device_name
from orchestrator.execution.compute import Compute, Node
from orchestrator.execution.gpu_driver import gpu_driver_is_here
from orchestrator.process.environment import usable_cpus
from orchestrator.records.remembered import Machine


def this_machine(device: str, *, threads: int = 1) -> Machine:
    """The properties of this machine on which costs depend; its device has no name where this machine has no such device."""
    here = device == "cpu" or cuda_is_here()
    return Machine(
        device=device,
        device_name=device_name(device) if here else None,
        threads=threads,
        torch=library_versions().get("torch", ""),
    )


def concurrent_trials(compute: Compute, cluster: Sequence[Node] | None) -> int:
    """The number of trials that run at once on this machine or, where it is given, on a cluster.

    A cluster runs at least one, because it may grow. A machine without a GPU counts as having the GPUs that one trial takes.

    Raises:
        ExecutionPathError: this machine is too small for a single trial.
    """
    if cluster is not None:
        return max(1, compute.slots(cluster))
    here = Node(cpus=usable_cpus(), gpus=gpu_count() or math.ceil(compute.gpus))
    if there := compute.slots([here]):
        return there
    raise ExecutionPathError(f"each trial takes {compute}, and this machine has {here}")


def cuda_is_here() -> bool:
    """Whether torch can use a GPU of this machine. torch is imported only where a driver is installed."""
    if not gpu_driver_is_here():
        return False
    import torch

    return torch.cuda.is_available()


def gpu_memory() -> int | None:
    """The bytes of memory of the smallest GPU of this machine; None without one."""
    if not gpu_count():
        return None
    import torch

    return min(torch.cuda.get_device_properties(gpu).total_memory for gpu in range(gpu_count()))


def gpu_count() -> int:
    """The number of GPUs of this machine."""
    if not gpu_driver_is_here():
        return 0
    import torch

    return torch.cuda.device_count()
