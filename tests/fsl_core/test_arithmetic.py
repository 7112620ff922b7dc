"""What the environment may say of the arithmetic, and that it says it to no avail."""

import os
import subprocess
import sys

import pytest

from fsl_core.errors import ExecutionPathError
from fsl_core.training.arithmetic import refuse_other_arithmetic
from fsl_core.training.execution_path import ExecutionPath

STEP = """
import hashlib
import torch
from fsl_core.training.execution_path import ExecutionPath

with ExecutionPath().active():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 16, 14, 14, generator=generator)
    kernel = torch.randn(64, 16, 3, 3, generator=generator, requires_grad=True)
    matrix = torch.randn(64 * 14 * 14, 32, generator=generator, requires_grad=True)
    features = torch.nn.functional.conv2d(images, kernel, padding=1).relu().flatten(1)
    (features @ matrix).log_softmax(1).sum().backward()
    digest = hashlib.sha256(kernel.grad.numpy().tobytes() + matrix.grad.numpy().tobytes()).hexdigest()
    print(digest, torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32)
"""
NEUTRALISED = {
    "OMP_NUM_THREADS": "3",
    "OMP_DYNAMIC": "true",
    "MKL_NUM_THREADS": "3",
    "MKL_DYNAMIC": "false",
    "OPENBLAS_NUM_THREADS": "3",
    "PYTHONHASHSEED": "7",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CUBLAS_WORKSPACE_CONFIG", ":8:8"),
        ("CUBLAS_WORKSPACE_CONFIG", ":0:0"),
        ("NVIDIA_TF32_OVERRIDE", "1"),
        ("DNNL_DEFAULT_FPMATH_MODE", "bf16"),
        ("ONEDNN_DEFAULT_FPMATH_MODE", "ANY"),
    ],
)
def test_another_arithmetic_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with (
        pytest.raises(ExecutionPathError, match=f"{name} is '{value}', which changes results; unset it"),
        ExecutionPath().active(),
    ):
        raise AssertionError("it computed")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CUBLAS_WORKSPACE_CONFIG", ":16:8"),
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8"),
        ("CUBLAS_WORKSPACE_CONFIG", ""),
        ("NVIDIA_TF32_OVERRIDE", "0"),
        ("DNNL_DEFAULT_FPMATH_MODE", "strict"),
    ],
)
def test_a_value_that_changes_no_number_is_accepted(name: str, value: str) -> None:
    refuse_other_arithmetic({name: value})


def test_neutralised_variables_change_no_bit() -> None:
    """All of them at once: the digest of a training step is that of an empty environment."""
    assert step({**NEUTRALISED}) == step({})


def step(inherited: dict[str, str]) -> str:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_", "OPENBLAS_"))}
    done = subprocess.run([sys.executable, "-c", STEP], env={**bare, **inherited}, capture_output=True, text=True, check=True)
    assert done.stdout.endswith(" highest False\n")
    return done.stdout
