"""Without torch no GPU is overlooked that torch finds."""

import ctypes
import sys
from pathlib import Path

import pytest
import torch

from orchestrator.execution import gpu_driver
from orchestrator.execution.machine import cuda_is_here, gpu_count


def refuse(name: str) -> None:
    raise OSError(f"{name}: cannot open shared object file")


def test_the_driver_of_a_gpu_that_torch_finds_is_detected():
    assert gpu_driver.gpu_driver_is_here() or not torch.cuda.is_available()


def test_without_a_driver_torch_is_not_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setattr(gpu_driver, "_ROCM", tmp_path / "kfd")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("torch was asked"))
    assert not cuda_is_here()
    assert gpu_count() == 0


def test_with_a_driver_torch_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "kfd").touch()
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setattr(gpu_driver, "_ROCM", tmp_path / "kfd")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert cuda_is_here()
    assert gpu_count() == 3
