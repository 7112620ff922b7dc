"""Prepared data: made once, whole or not at all, by one process or by several at once."""

import dataclasses
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch

from fsl_core.datasets.catalogue import SplitDataset, open_dataset, prepare
from fsl_core.datasets.duplicates import images_in_two_splits
from fsl_core.datasets.preparation import open_prepared, read_prepared
from fsl_core.errors import DataCorruptError
from fsl_core.recipe import DataSettings

GLYPHS = DataSettings(dataset="glyphs", split="glyphs")


def make() -> tuple[np.ndarray, list[str], list[int]]:
    return np.arange(6 * 4, dtype=np.uint8).reshape(6, 1, 2, 2), ["a", "b"], [2, 4]


def silent(message: str) -> None:
    pass


def test_it_is_made_once_and_then_opened(tmp_path: Path) -> None:
    first = open_prepared(tmp_path / "set", make, announce=silent)

    def never() -> tuple[np.ndarray, list[str], list[int]]:
        raise AssertionError("it was prepared before")

    again = open_prepared(tmp_path / "set", never, announce=silent)
    assert (again.digest, again.class_names, again.sizes) == (first.digest, ("a", "b"), (2, 4))
    assert again.images.equal(first.images)


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> tuple[np.ndarray, list[str], list[int]]:
        raise DataCorruptError("the source is damaged")

    with pytest.raises(DataCorruptError):
        open_prepared(tmp_path / "set", broken, announce=silent)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["images.npy", "manifest.json"])
def test_a_truncated_file_is_set_aside_said_and_made_again(tmp_path: Path, name: str) -> None:
    open_prepared(tmp_path / "set", make, announce=silent)
    broken = tmp_path / "set" / name
    broken.write_bytes(broken.read_bytes()[:-3])
    said: list[str] = []
    again = open_prepared(tmp_path / "set", make, announce=said.append)
    assert again.sizes == (2, 4)
    assert "set aside" in said[0]
    assert len(list(tmp_path.glob("set.corrupt-*/set"))) == 1


def test_changed_pixels_are_found_when_asked_for(tmp_path: Path) -> None:
    open_prepared(tmp_path / "set", make, announce=silent)
    array = tmp_path / "set" / "images.npy"
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(bytes(content))
    read_prepared(tmp_path / "set")
    with pytest.raises(DataCorruptError, match="not what was prepared"):
        read_prepared(tmp_path / "set", verify=True)


def _prepare_glyphs(cache: Path, results: "multiprocessing.Queue[str]") -> None:
    results.put(prepare("glyphs", data_root=None, cache_root=cache).digest)


def test_two_processes_that_start_together_end_with_one_data_set(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=_prepare_glyphs, args=(tmp_path, results)) for _ in range(2)]
    for process in processes:
        process.start()
    digests = {results.get(timeout=120) for _ in processes}
    for process in processes:
        process.join()
    assert len(digests) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["glyphs-28"]


def test_glyphs_are_the_same_bytes_everywhere(glyphs: SplitDataset) -> None:
    assert glyphs.digest == "84fb759342754d35e2604d7bfa3160cd2282e98be25bd3e6ee89f4c2498bb83c"
    assert [bank.classes for bank in (glyphs.meta_train, glyphs.meta_validation, glyphs.meta_test)] == [400, 160, 240]


def test_glyphs_have_no_class_and_no_image_in_two_splits(glyphs: SplitDataset) -> None:
    banks = (glyphs.meta_train, glyphs.meta_validation, glyphs.meta_test)
    names = [set(bank.class_names) for bank in banks]
    assert sum(map(len, names)) == len(set().union(*names))


def test_every_glyph_has_ink_and_paper(glyphs: SplitDataset) -> None:
    ink = glyphs.meta_train.images.float().mean(dim=(1, 2, 3)) / 255
    assert float(ink.min()) > 0.01 and float(ink.max()) < 0.5


def test_rotations_are_part_of_the_digest(tmp_path: Path, glyphs: SplitDataset) -> None:
    plain = open_dataset(DataSettings(dataset="glyphs", split="glyphs", rotations=False), data_root=None, cache_root=tmp_path)
    assert plain.digest != glyphs.digest
    assert plain.meta_train.classes * 4 == glyphs.meta_train.classes


def test_an_image_in_two_splits_is_found(glyphs: SplitDataset) -> None:
    assert images_in_two_splits(glyphs) == ()
    test = glyphs.meta_test
    leaking = dataclasses.replace(
        test,
        class_names=(*test.class_names, "leak"),
        starts=torch.cat([test.starts, glyphs.meta_train.starts[3:4]]),
        sizes=torch.cat([test.sizes, torch.tensor([2])]),
    )
    found = images_in_two_splits(dataclasses.replace(glyphs, meta_test=leaking))
    assert [pair.first for pair in found] == ["meta_train: glyph003 #0", "meta_train: glyph003 #1"]
    assert [pair.second for pair in found] == ["meta_test: leak #0", "meta_test: leak #1"]
