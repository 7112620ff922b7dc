"""The facts about this process and its device that are recorded with a result.

Only functions that need torch import it: a command that asks for the processor's name does not.
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
    """The libraries, the CUDA version of torch, and the variables that select processor instructions."""
    import torch

    return {**library_versions(), **({"cuda": torch.version.cuda} if torch.version.cuda else {}), **recorded()}


def peak_memory_bytes(device: str) -> int:
    """The peak memory of this process (on CUDA, of its tensors); a reused worker includes its earlier trials."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def facts_of_this_process(path: ExecutionPath) -> Mapping[str, Any]:
    """The fields of :class:`fsl_core.training.trial_records.ComputedBy` for this process; the driver's may differ."""
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
