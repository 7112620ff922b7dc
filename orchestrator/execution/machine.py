"""What computes here, as far as costs depend on it and only torch can tell; torch is imported where a GPU is asked about alone."""

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
    """What computes here, as far as costs depend on it; of no particular model where this machine has no such device."""
    here = device == "cpu" or cuda_is_here()
    return Machine(
        device=device,
        device_name=device_name(device) if here else None,
        threads=threads,
        torch=library_versions().get("torch", ""),
    )


def concurrent_trials(compute: Compute, cluster: Sequence[Node] | None) -> int:
    """How many trials run at once: on a cluster's nodes, one at least, for it may grow; else on this machine.

    A machine without a GPU that is asked about trials on GPUs answers for one like it that has as many as a trial takes, one at least.

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
