"""What computes here, as far as only torch or the running process can tell."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping

import torch

from fsl_core.processor import processor_name
from orchestrator.environment import recorded
from orchestrator.provenance import library_versions
from orchestrator.remembered import Machine


def device_name(device: str) -> str:
    """The name of the GPU, or of the processor."""
    return torch.cuda.get_device_name() if device == "cuda" else processor_name()


def this_machine(device: str, *, threads: int = 1) -> Machine:
    """What computes here, as far as costs depend on it; of no particular model where this machine has no such device."""
    here = device == "cpu" or torch.cuda.is_available()
    return Machine(
        device=device, device_name=device_name(device) if here else None, threads=threads, torch=versions().get("torch", "")
    )


def gpu_count() -> int:
    """How many GPUs this machine has."""
    return torch.cuda.device_count()


def versions() -> Mapping[str, str]:
    """The libraries, the CUDA that torch was built for, and the variables that choose among their instructions."""
    return {**library_versions(), **({"cuda": torch.version.cuda} if torch.version.cuda else {}), **recorded()}


def peak_memory_bytes(device: str) -> int:
    """The most memory that this process (or on CUDA its tensors) held; a reused worker counts its earlier trials as well."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
