"""The facts of this process and its device, which are recorded beside a result.

Only the functions that need torch import it: a command that asks for the processor's name computes nothing.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fsl_core.processor import processor_name
from fsl_core.provenance import host_name, library_versions, now, running_code
from fsl_core.training.arithmetic import recorded

if TYPE_CHECKING:
    from fsl_core.training.execution_path import ExecutionPath


def device_name(device: str) -> str:
    """The name of the GPU, or of the processor."""
    if device != "cuda":
        return processor_name()
    import torch

    return torch.cuda.get_device_name()


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


def facts_of_this_process(path: ExecutionPath) -> Mapping[str, Any]:
    """The fields of :class:`fsl_core.training.trial_records.ComputedBy`, found out in this process: a driver's may be others."""
    code = running_code()
    return {
        "host": host_name(),
        "device": path.device,
        "device_name": device_name(path.device),
        "threads": path.threads,
        "finished_at": now(),
        "git_commit": code.git_commit,
        "git_dirty": code.git_dirty,
        "git_problem": code.git_problem,
        "lock_digest": code.lock_digest,
        "code_digest": code.code_digest,
        "versions": versions(),
        "peak_memory_bytes": peak_memory_bytes(path.device),
    }
