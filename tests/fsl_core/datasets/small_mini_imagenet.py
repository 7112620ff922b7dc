"""miniImageNet as it may lie on a disk, with five classes of 25 invented photographs."""

import functools
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsl_core.datasets import mini_imagenet
from fsl_core.datasets.catalogue import SplitDataset, open_dataset
from fsl_core.datasets.mini_imagenet import Contents
from fsl_core.recipe.data_settings import DataSettings

EACH = 25
SMALL = Contents({"train": ["n3", "n1", "n5"], "val": ["n2"], "test": ["n4"]}, EACH)
TOTAL = 5 * EACH
Pictures = dict[str, bytes]
"""The pictures of a source by member name, ``<split>/<wnid>/<file>``."""


def encoded(image: Image.Image, kind: str = "JPEG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def photograph(seed: int, size: tuple[int, int] = (84, 84)) -> Image.Image:
    corners = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)


@functools.cache
def small_pictures() -> Pictures:
    """The pictures of :data:`SMALL`, none like another."""
    found, seed = {}, 0
    for split, wnids in SMALL.splits.items():
        for wnid in wnids:
            for number in range(EACH):
                found[f"{split}/{wnid}/{wnid}{number:08d}.jpg"] = encoded(photograph(seed))
                seed += 1
    return found


def as_archives(root: Path, pictures: Pictures) -> Path:
    for split in SMALL.splits:
        write_archive(root, split, [regular(name, data) for name, data in pictures.items() if name.startswith(f"{split}/")])
    return root


def regular(name: str, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    return member, data


def write_archive(root: Path, split: str, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    path = root / "mini_imagenet" / f"{split}.tar.xz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with lzma.open(path, "wb", preset=0) as stream, tarfile.open(fileobj=stream, mode="w|") as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return path


def as_folders(root: Path, pictures: Pictures) -> Path:
    for name, data in pictures.items():
        path = root / "mini_imagenet" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def as_tables(root: Path, pictures: Pictures) -> Path:
    folder = root / "mini_imagenet"
    (folder / "images").mkdir(parents=True)
    for split in SMALL.splits:
        rows = [name.split("/")[1:] for name in pictures if name.startswith(f"{split}/")]
        (folder / f"{split}.csv").write_text("\n".join(["filename,label", *(f"{file},{wnid}" for wnid, file in rows)]) + "\n")
    for name, data in pictures.items():
        (folder / "images" / name.split("/")[2]).write_bytes(data)
    return root


LAYOUTS = {"archives": as_archives, "folders": as_folders, "tables": as_tables}


def without(pictures: Pictures, *names: str) -> Pictures:
    return {name: data for name, data in pictures.items() if name not in names}


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the catalogue's data set has the few classes and images of :data:`SMALL`."""
    monkeypatch.setattr(mini_imagenet, "published", lambda: SMALL)


PHOTOGRAPHS = DataSettings(dataset="mini_imagenet", split="ravi", rotations=False)


def opened(root: Path, told: Callable[[int, int], None] = lambda done, total: None) -> SplitDataset:
    return open_dataset(PHOTOGRAPHS, data_root=root, cache_root=root / "cache", progress=told)
