"""What the lists say of a data set is what its images are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fsl_core.datasets.catalogue import is_available, open_dataset
from fsl_core.datasets.class_counts import class_counts
from fsl_core.recipe.data_settings import DataSettings, data_sets

EVERY = [
    DataSettings(dataset=name, split=split, rotations=rotations)
    for name, described in data_sets().items()
    for split in described.splits or ()
    for rotations in (False, True)
    if not rotations or described.rotations
]
DATA_ROOT = Path(os.environ["FSL_DATA_ROOT"]) if "FSL_DATA_ROOT" in os.environ else None


@pytest.mark.parametrize(
    ("data", "classes", "images"),
    [
        (DataSettings(dataset="mini_imagenet", split="ravi", rotations=False), (64, 16, 20), 600),
        (DataSettings(dataset="omniglot", split="vinyals", rotations=False), (1028, 172, 423), 20),
        (DataSettings(dataset="omniglot", split="vinyals"), (4112, 688, 1692), 20),
        (DataSettings(dataset="omniglot", split="background-evaluation", rotations=False), (811, 153, 659), 20),
        (DataSettings(dataset="glyphs", split="glyphs", rotations=False), (100, 40, 60), 20),
    ],
)
def test_the_class_counts_are_those_of_the_papers(data: DataSettings, classes: tuple[int, ...], images: int) -> None:
    counts = class_counts(data)
    assert counts is not None
    assert (tuple(counts.classes.values()), counts.images_per_class) == (classes, images)
    assert list(counts.classes) == ["meta_train", "meta_validation", "meta_test"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of prepared images for all settings: rotations and splits share an array."""
    return tmp_path_factory.mktemp("prepared")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            data,
            id=f"{data.dataset}-{data.split}{'-rotations' if data.rotations else ''}",
            marks=[] if data.dataset == "glyphs" else [pytest.mark.slow],
        )
        for data in EVERY
    ],
)
def test_the_class_counts_match_the_images(data: DataSettings, prepared: Path) -> None:
    if not is_available(data, data_root=DATA_ROOT, cache_root=prepared):
        pytest.skip(f"the images of {data.dataset} are not in FSL_DATA_ROOT ({DATA_ROOT})")
    dataset, counts = open_dataset(data, data_root=DATA_ROOT, cache_root=prepared), class_counts(data)
    assert counts is not None
    for part, count in counts.classes.items():
        sizes = getattr(dataset, part).class_sizes
        assert (len(sizes), int(sizes.min()), int(sizes.max())) == (count, counts.images_per_class, counts.images_per_class)


def test_class_counts_need_no_torch() -> None:
    script = "import sys, fsl_core.episodes.class_supply; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
