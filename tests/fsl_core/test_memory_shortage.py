"""Where the memory is short, what was read stays what it is: no checkpoint and no weights are taken for damaged."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.errors import CheckpointCorruptError
from fsl_core.memory_shortage import is_memory_shortage
from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from fsl_core.training.checkpoint import load_newest_checkpoint, load_weights, save_checkpoint, save_weights, weights_digest
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.trial_checkpoint import ExpectedCheckpoint
from tests.fsl_core.conftest import glyphs_recipe

SHORTAGES = (
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
    ),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("std::bad_alloc"),
    OSError(12, os.strerror(12)),
)
OTHERS = (
    RuntimeError("PytorchStreamReader failed reading zip archive: failed finding central directory"),
    OSError(5, os.strerror(5)),
    ValueError("out of memory"),
)
LOAD_WITH_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from fsl_core.training.checkpoint import load_newest_checkpoint
in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + 160 * 2**20, in_use + 160 * 2**20))
try:
    load_newest_checkpoint(Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__)
"""


def raising(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail


def test_an_allocation_that_fails_is_a_shortage_in_this_torch_too() -> None:
    with pytest.raises(RuntimeError) as failed:
        torch.empty(2**55)
    assert is_memory_shortage(failed.value)


@pytest.mark.parametrize("error", SHORTAGES, ids=repr)
def test_a_shortage_of_memory_leaves_checkpoints_and_weights_in_their_place(
    error: Exception, tmp_path: Path, glyphs: SplitDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {"w": torch.ones(3)}
    path = save_checkpoint(tmp_path, 5, weights)
    save_weights(tmp_path / "selected.pt", weights)
    recipe = glyphs_recipe()
    expected = ExpectedCheckpoint(recipe=recipe, dataset=glyphs, stage="select", steps=20)
    state = {
        "edition": SCHEMA_VERSION, "format": 2, "recipe": recipe.fingerprint, "data": glyphs.digest, "path": vars(ExecutionPath()),
        "state": {},
    }  # fmt: skip
    with monkeypatch.context() as short:
        short.setattr("fsl_core.training.trial_checkpoint.build_algorithm", raising(error))
        with pytest.raises(type(error)):
            expected.check(state)
    with monkeypatch.context() as short:
        short.setattr(torch, "load", raising(error))
        with pytest.raises(type(error)):
            load_newest_checkpoint(tmp_path)
        with pytest.raises(type(error)):
            load_weights(tmp_path / "selected.pt", digest=weights_digest(weights))
    assert load_newest_checkpoint(tmp_path)[1] == [] and path.exists()


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_any_other_error_in_reading_is_damage(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_checkpoint(tmp_path, 5, {})
    monkeypatch.setattr(torch, "load", raising(error))
    assert load_newest_checkpoint(tmp_path) == (None, [path.with_name(path.name + ".corrupt")])
    with pytest.raises(CheckpointCorruptError):
        load_weights(tmp_path / "selected.pt", digest="")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux how much memory is in use, and bounds it")
def test_a_process_short_of_memory_sets_no_checkpoint_aside(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 5, {"w": torch.zeros(2**25)})  # 128 MiB: read, and too much to be read into tensors
    command = [sys.executable, "-c", LOAD_WITH_LITTLE_MEMORY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("RuntimeError", "MemoryError"), done.stdout + done.stderr
    assert path.exists()
