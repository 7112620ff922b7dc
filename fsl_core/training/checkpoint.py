"""Checkpoints: written atomically and verified by their digest; two are kept, so that a damaged one costs one interval.

A file is named ``step-00000400.<digest>.pt`` with the first sixteen digits of the SHA-256 of its bytes.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from fsl_core.atomic_file import write_atomically
from fsl_core.errors import CheckpointCorruptError
from fsl_core.memory_shortage import is_memory_shortage

_NAME = re.compile(r"step-(\d{8})\.([0-9a-f]{16})\.pt")
_KEPT = 2


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """The SHA-256 of named tensors: their names, types, shapes and values, whatever device or memory layout holds them."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write the state at ``step`` and drop all but the newest two checkpoints of the folder."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getvalue()
    path = folder / f"step-{step:08d}.{hashlib.sha256(content).hexdigest()[:16]}.pt"
    write_atomically(path, content)
    for old in _checkpoints(folder)[_KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_newest_checkpoint(
    folder: Path, check: Callable[[Mapping[str, Any]], None] = lambda state: None, *, at_most: int | None = None
) -> tuple[Mapping[str, Any] | None, list[Path]]:
    """Load the newest intact checkpoint's state, or None; also returns the new paths of unusable ones, which are set aside.

    ``check`` raises CheckpointCorruptError for an intact checkpoint of other work; ``at_most`` leaves out those of later steps.
    """
    set_aside: list[Path] = []
    for path in _checkpoints(folder):
        if at_most is not None and _step(path) > at_most:
            continue
        try:
            state = read_checkpoint(path)
            check(state)
            return state, set_aside
        except CheckpointCorruptError:
            aside = path.with_name(path.name + ".corrupt")
            path.replace(aside)
            set_aside.append(aside)
    return None, set_aside


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Read the state in a checkpoint file.

    Raises:
        CheckpointCorruptError: its bytes do not match its name, or are not a state.
        MemoryError, OSError, RuntimeError: it cannot be read now, for example because memory is short.
    """
    name = _NAME.fullmatch(path.name)
    content = path.read_bytes()
    if name is None or hashlib.sha256(content).hexdigest()[:16] != name[2]:
        raise CheckpointCorruptError(f"{path}: its content was modified; expected a SHA-256 that starts as in its name")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever its zip and pickle readers raise
        if is_memory_shortage(error):
            raise
        raise CheckpointCorruptError(f"{path}: cannot be read as a checkpoint ({type(error).__name__}: {error})") from error
    if not isinstance(state, Mapping):
        raise CheckpointCorruptError(f"{path}: holds a {type(state).__name__}, not the state of a training")
    return state


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-").partition(".")[0])


def _checkpoints(folder: Path) -> list[Path]:
    """Checkpoint files of a folder, the newest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=lambda path: path.name, reverse=True)


def save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write a state dict atomically."""
    buffer = io.BytesIO()
    torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, buffer)
    write_atomically(path, buffer.getvalue())


def load_weights(path: Path, *, digest: str) -> Mapping[str, torch.Tensor]:
    """Load the state dict in ``path``.

    Raises:
        CheckpointCorruptError: it is absent or does not match ``digest``.
        MemoryError, OSError, RuntimeError: memory is short; the file may be intact.
    """
    try:
        weights: Mapping[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        found = weights_digest(weights)
    except Exception as error:  # torch.load raises whatever its zip and pickle readers raise
        if is_memory_shortage(error):
            raise
        raise CheckpointCorruptError(f"{path}: cannot be read as weights ({type(error).__name__}: {error})") from error
    if found != digest:
        raise CheckpointCorruptError(f"{path}: its weights' digest is {found[:16]}, the trial's result says {digest[:16]}")
    return weights
