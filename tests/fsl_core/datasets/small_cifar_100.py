"""CIFAR-100 in its real format with a few images a class: pickles in an archive, and the checksums that belong to them."""

import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR100

from fsl_core.datasets import cifar_fs

EACH = {"train": 3, "test": 1}
ARCHIVE = "cifar-100-python.tar.gz"


def fine_names() -> list[str]:
    return sorted(name for names in cifar_fs.split_classes().values() for name in names)


def pictures(part: str, names: list[str]) -> np.ndarray:
    """Rows of 3,072 bytes, red then green then blue, class by class in an order that is not that of the names."""
    generator = np.random.default_rng(len(part))
    return generator.integers(0, 256, (len(names) * EACH[part], 3 * 32 * 32), dtype=np.uint8)


def labels(part: str, names: list[str]) -> list[int]:
    return [(7 * number) % len(names) for number in range(len(names) * EACH[part])]


def make_small(monkeypatch: pytest.MonkeyPatch, folder: Path, *, names: list[str] | None = None) -> Path:
    """Write an archive into ``folder`` that torchvision takes for CIFAR-100's from here on."""
    names = fine_names() if names is None else names
    files: dict[str, Any] = {
        part: {"data": pictures(part, names), "fine_labels": labels(part, names), "batch_label": part} for part in EACH
    }
    content = {name: pickle.dumps(value) for name, value in {**files, "meta": {"fine_label_names": names}}.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / ARCHIVE, "w:gz") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    digest = {name: hashlib.md5(data).hexdigest() for name, data in content.items()}
    monkeypatch.setattr(CIFAR100, "tgz_md5", hashlib.md5((folder / ARCHIVE).read_bytes()).hexdigest())
    monkeypatch.setattr(CIFAR100, "train_list", [["train", digest["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", digest["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": digest["meta"]})
    monkeypatch.setattr(cifar_fs, "IMAGES_PER_CLASS", sum(EACH.values()))
    return folder / ARCHIVE
