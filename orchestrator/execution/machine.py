"""What computes here, as far as costs depend on it and only torch can tell."""

from __future__ import annotations

import torch

from fsl_core.training.process_facts import device_name, versions
from orchestrator.remembered import Machine


def this_machine(device: str, *, threads: int = 1) -> Machine:
    """What computes here, as far as costs depend on it; of no particular model where this machine has no such device."""
    here = device == "cpu" or torch.cuda.is_available()
    return Machine(
        device=device, device_name=device_name(device) if here else None, threads=threads, torch=versions().get("torch", "")
    )


def gpu_count() -> int:
    """How many GPUs this machine has."""
    return torch.cuda.device_count()
