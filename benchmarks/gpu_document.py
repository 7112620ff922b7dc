"""The document of a GPU's timings: a new one, and an earlier one to which timings are added."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import fsl_core
from benchmarks.gpu_workloads import GpuWorkload
from benchmarks.machine import this_machine
from fsl_core.code_digest import code_digest
from fsl_core.processor import processor_name
from fsl_core.training.compiled_code import environment_names_a_folder

_HERE = Path(__file__).parent


def new_document(device: str) -> dict[str, Any]:
    """The document before the first step is timed: of this device, machine and code."""
    on_cuda = device == "cuda"
    gpu = {
        "name": torch.cuda.get_device_name() if on_cuda else f"cpu {processor_name()}",
        "memory_mb": torch.cuda.get_device_properties(0).total_memory // 2**20 if on_cuda else None,
        "cuda": torch.version.cuda if on_cuda else None,
        "driver": _driver() if on_cuda else None,
    }
    return {
        "gpu": gpu,
        "machine": vars(this_machine()),
        "code_digest": code_digest((Path(fsl_core.__file__).parent, *sorted(_HERE.glob("gpu*.py")))),
        "code_compiled_before": environment_names_a_folder(),
        "seconds": None,
        "steps": [],
        "projection": None,
    }


def earlier_document(file: Path, now: Mapping[str, Any]) -> dict[str, Any]:
    """The document of an earlier call.

    Raises:
        ValueError: there is none for this device and code.
    """
    try:
        document: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{file} is absent: --only-compiled adds to the results of an earlier call") from None
    then = _what_it_is_of(document)
    for what, value in _what_it_is_of(now).items():
        if then[what] != value:
            raise ValueError(f"{file} is of {what} {then[what] or 'unknown'}, not {value}")
    return {**document, "code_compiled_before": document["code_compiled_before"] or now["code_compiled_before"]}


def with_steps_in(document: Mapping[str, Any], workloads: Sequence[GpuWorkload]) -> list[GpuWorkload]:
    """The workloads that have steps in a document.

    Raises:
        ValueError: there is none.
    """
    titles = [step["title"] for step in document["steps"]]
    found = [each for each in workloads if each.title in titles]
    if not found:
        raise ValueError(f"no step of the earlier call fits; it timed: {'; '.join(titles)}")
    return found


def _what_it_is_of(document: Mapping[str, Any]) -> dict[str, Any]:
    gpu, machine = document["gpu"], document["machine"]
    return {
        "the device": gpu["name"],
        "driver": gpu["driver"],
        "CUDA": gpu["cuda"],
        "torch": machine["versions"]["torch"],
        "code": document.get("code_digest"),
    }


def _driver() -> str | None:
    """The version of NVIDIA's driver, if nvidia-smi reports it."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return answer[0] if answer else None
