"""Nothing that is learnt from stands in another split: no class, no turned class, no image; what does is known and listed here."""

import dataclasses
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fsl_core.datasets import mini_imagenet, mini_imagenet_source, omniglot_source
from fsl_core.datasets.catalogue import SplitDataset, open_dataset
from fsl_core.datasets.duplicates import SharedImage, identical_images
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.recipe.data_settings import DataSettings

PARTS = ("meta_train", "meta_validation", "meta_test")
DATA_ROOT = Path(os.environ["FSL_DATA_ROOT"]) if os.environ.get("FSL_DATA_ROOT") else None
needs_omniglot = pytest.mark.skipif(
    omniglot_source.find_source(DATA_ROOT) is None,
    reason="needs Omniglot: set FSL_DATA_ROOT to a folder that holds omniglot/*.zip",
)
needs_mini_imagenet = pytest.mark.skipif(
    mini_imagenet_source.find_source(DATA_ROOT) is None,
    reason="needs miniImageNet: set FSL_DATA_ROOT to a folder that holds mini_imagenet/ in one of its three layouts",
)
omniglot_splits = pytest.mark.parametrize("split", ["vinyals", "background-evaluation"])

ALPHABETS_IN_TWO_SPLITS = {"vinyals": {"Gurmukhi"}, "background-evaluation": set[str]()}
"""The published Vinyals split cuts one alphabet in two: some characters train, the others test."""
OMNIGLOT_WITHIN = [("meta_train: Braille/character01 #2", "meta_train: Braille/character01 #18")]
MINI_IMAGENET_ACROSS = [
    ("meta_train: n04389033 #200", "meta_validation: n02950826 #203"),
    ("meta_train: n03888605 #444", "meta_validation: n03535780 #119"),
    ("meta_train: n03888605 #310", "meta_validation: n03535780 #230"),
    ("meta_train: n03888605 #302", "meta_validation: n03535780 #245"),
    ("meta_train: n03888605 #355", "meta_validation: n03535780 #289"),
    ("meta_train: n03888605 #593", "meta_validation: n03535780 #590"),
]
MINI_IMAGENET_WITHIN = [
    ("meta_train: n02091831 #356", "meta_train: n02091831 #580"),
    ("meta_train: n02108551 #45", "meta_train: n02111277 #90"),
]
"""A tank as a cannon, parallel bars as a horizontal bar: images that the source has under two classes. None touches meta-test."""


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One prepared copy for all tests of this session, removed at its end: it is large."""
    folder = tmp_path_factory.mktemp("prepared")
    yield folder
    shutil.rmtree(folder)


def real_omniglot(cache: Path, split: str, *, rotations: bool = True) -> SplitDataset:
    settings = DataSettings(dataset="omniglot", split=split, rotations=rotations)  # type: ignore[arg-type]
    return open_dataset(settings, data_root=DATA_ROOT, cache_root=cache)


@pytest.fixture(scope="session")
def photographs(cache: Path) -> SplitDataset:
    settings = DataSettings(dataset="mini_imagenet", split="ravi", rotations=False)
    return open_dataset(settings, data_root=DATA_ROOT, cache_root=cache)


def banks(dataset: SplitDataset) -> tuple[ImageBank, ...]:
    return dataset.meta_train, dataset.meta_validation, dataset.meta_test


def in_two_splits(groups: list[set[str]]) -> set[str]:
    counts = Counter(name for group in groups for name in group)
    return {name for name, count in counts.items() if count > 1}


def shared_rows(dataset: SplitDataset) -> int:
    """How many rows of the image array belong to more than one class or split."""
    counts = torch.zeros(len(dataset.meta_train.images), dtype=torch.int64)
    for bank in banks(dataset):
        for start, size in zip(bank.starts.tolist(), bank.sizes.tolist(), strict=True):
            counts[start : start + size] += 1
    return int((counts > 1).sum())


def turned(dataset: SplitDataset) -> SplitDataset:
    """The data set with every image in the one of its four turns whose bytes sort first: turns of an image become identical."""
    images = dataset.meta_train.images
    turns = torch.stack([torch.rot90(images, quarter, dims=(2, 3)).flatten(1) for quarter in range(4)], dim=1)
    first = [min(range(4), key=lambda quarter, row=row: bytes(row[quarter].numpy())) for row in turns]
    chosen = turns[torch.arange(len(turns)), torch.tensor(first)].reshape(images.shape)
    changed = {name: dataclasses.replace(getattr(dataset, name), images=chosen) for name in PARTS}
    return dataclasses.replace(dataset, **changed)


def pairs(shared: tuple[SharedImage, ...]) -> list[tuple[str, str]]:
    return [(pair.first, pair.second) for pair in shared]


@needs_omniglot
@omniglot_splits
def test_no_character_of_omniglot_or_rotation_of_one_is_in_two_splits(cache: Path, split: str) -> None:
    dataset = real_omniglot(cache, split)
    assert in_two_splits([set(bank.class_names) for bank in banks(dataset)]) == set()
    assert sum(len(bank.class_sizes) for bank in banks(dataset)) == 4 * 1623  # every turn is in the split of its character
    assert shared_rows(dataset) == 0


@needs_omniglot
@omniglot_splits
def test_only_the_known_alphabets_are_in_two_splits(cache: Path, split: str) -> None:
    alphabets = [{name.split("/")[0] for name in bank.class_names} for bank in banks(real_omniglot(cache, split))]
    assert in_two_splits(alphabets) == ALPHABETS_IN_TWO_SPLITS[split]


@needs_omniglot
@omniglot_splits
def test_no_image_of_omniglot_is_in_two_splits_rotated_or_not(cache: Path, split: str) -> None:
    dataset = real_omniglot(cache, split)
    for seen in (dataset, turned(dataset)):
        found = identical_images(seen)
        assert pairs(found.across) == []
        assert pairs(found.within) == OMNIGLOT_WITHIN


@needs_omniglot
def test_the_digests_of_omniglot_are_those_of_the_committed_results(cache: Path) -> None:
    assert real_omniglot(cache, "vinyals").digest == "cfc0f85935add55bda2500a48e38099e442e81350ba05e8becb1913611439fa1"
    plain = real_omniglot(cache, "background-evaluation", rotations=False)
    assert plain.digest == "7dad297ddba6c4e8444d0d46b4f2f7e1982add18507c4a8aa16dd2355df55468"


def test_no_class_of_mini_imagenet_is_listed_in_two_splits() -> None:
    lists = [set(names) for names in mini_imagenet.split_classes().values()]
    assert in_two_splits(lists) == set() and [len(names) for names in lists] == [64, 16, 20]


@needs_mini_imagenet
@pytest.mark.slow
def test_mini_imagenet_has_the_published_classes_and_images(photographs: SplitDataset) -> None:
    assert [len(bank.class_names) for bank in banks(photographs)] == [64, 16, 20]
    assert all(set(bank.sizes.tolist()) == {600} for bank in banks(photographs))
    assert tuple(photographs.meta_train.images.shape) == (60000, 3, 84, 84)
    assert shared_rows(photographs) == 0


@needs_mini_imagenet
@pytest.mark.slow
def test_mini_imagenet_is_normalised_to_mean_0_and_deviation_1_over_meta_train(photographs: SplitDataset) -> None:
    bank = photographs.meta_train
    classes = torch.arange(64).repeat_interleave(40)
    images = bank.gather(classes, torch.arange(0, 600, 15).repeat(64)).transpose(0, 1).flatten(1)
    assert images.mean(dim=1).abs().max() < 0.03
    assert (images.std(dim=1) - 1).abs().max() < 0.03


@needs_mini_imagenet
@pytest.mark.slow
def test_mini_imagenet_has_only_the_known_duplicates(photographs: SplitDataset) -> None:
    found = identical_images(photographs)
    assert pairs(found.across) == MINI_IMAGENET_ACROSS
    assert pairs(found.within) == MINI_IMAGENET_WITHIN
    assert not any("meta_test" in place for pair in pairs(found.across + found.within) for place in pair)


def test_duplicates_are_found(glyphs: SplitDataset) -> None:
    """What the tests above look for, planted: a class, its rows, an image, a turned image, an image twice in a split."""
    test, stray = glyphs.meta_test, glyphs.meta_train.class_names[3]
    planted = {
        "class_names": (*test.class_names, stray),
        "starts": torch.cat([test.starts, glyphs.meta_train.starts[3:4]]),
        "sizes": torch.cat([test.sizes, torch.tensor([20])]),
    }
    leaking = dataclasses.replace(glyphs, meta_test=dataclasses.replace(test, **planted))  # type: ignore[arg-type]
    assert in_two_splits([set(bank.class_names) for bank in banks(leaking)]) == {stray}
    assert shared_rows(leaking) == 20 and shared_rows(glyphs) == 0
    assert len(identical_images(leaking).across) == 20

    images = test.images.clone()
    rows = [int(bank.starts[5]) for bank in banks(glyphs)]
    images[rows[2]] = torch.rot90(images[rows[0]], dims=(1, 2))
    images[rows[1] + 7] = images[rows[1]]
    changed = {name: dataclasses.replace(bank, images=images) for name, bank in zip(PARTS, banks(glyphs), strict=True)}
    leaking = dataclasses.replace(glyphs, **changed)
    assert pairs(identical_images(leaking).across) == []
    train, validation, test = banks(leaking)
    assert pairs(identical_images(turned(leaking)).across) == [
        (f"meta_train: {train.class_names[5]} #0", f"meta_test: {test.class_names[5]} #0")
    ]
    name = f"meta_validation: {validation.class_names[5]}"
    assert pairs(identical_images(leaking).within) == [(f"{name} #0", f"{name} #7")]


def test_an_image_duplicated_in_two_splits_is_paired_once_with_each_first_occurrence(glyphs: SplitDataset) -> None:
    images = glyphs.meta_test.images.clone()
    train, _, test = (int(bank.starts[0]) for bank in banks(glyphs))
    for row in (train + 1, test, test + 1):
        images[row] = images[train]
    changed = {name: dataclasses.replace(bank, images=images) for name, bank in zip(PARTS, banks(glyphs), strict=True)}
    found = identical_images(dataclasses.replace(glyphs, **changed))
    first, _, last = (f"{name}: {bank.class_names[0]}" for name, bank in zip(PARTS, banks(glyphs), strict=True))
    assert pairs(found.across) == [(f"{first} #0", f"{last} #0"), (f"{first} #0", f"{last} #1")]
    assert pairs(found.within) == [(f"{first} #0", f"{first} #1"), (f"{last} #0", f"{last} #1")]
