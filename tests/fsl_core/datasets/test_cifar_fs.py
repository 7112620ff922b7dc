"""CIFAR-FS: the published lists, the archive and the folder of CIFAR-100, and every way in which they can be wrong."""

import pickle
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR100

from fsl_core.datasets import cifar_fs
from fsl_core.datasets.catalogue import is_available, open_dataset, prepare
from fsl_core.datasets.extent import distinct_images, image_shape
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import DataCorruptError, DataMissingError
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import ValidationSettings
from fsl_core.testing import check_data_set
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.datasets.small_cifar_100 import ARCHIVE, EACH, fine_names, labels, make_small, pictures


def read(root: Path) -> tuple[np.ndarray, list[str], list[int]]:
    source = cifar_fs.find_source(root)
    assert source is not None
    return cifar_fs.read_images(source)


def extracted(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / "cifar-100-python"


def test_the_lists_have_64_16_and_20_classes_and_none_twice() -> None:
    parts = cifar_fs.split_classes()
    assert [len(names) for names in parts.values()] == [64, 16, 20]
    assert len(set(fine_names())) == 100


def test_the_archive_and_its_folder_give_all_images_class_by_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_small(monkeypatch, tmp_path / "cifar_fs")
    images, names, sizes = read(tmp_path)
    assert images.shape == (400, 3, 32, 32) and images.dtype == np.uint8
    assert names == fine_names() and sizes == [4] * 100
    for number, name in ((0, "apple"), (57, names[57])):
        rows = [
            picture.reshape(3, 32, 32)
            for part in EACH
            for picture, label in zip(pictures(part, names), labels(part, names), strict=True)
            if label == number
        ]
        assert np.array_equal(images[4 * number : 4 * number + 4], rows), name
    extracted(archive, tmp_path / "other" / "CIFAR-100")
    again, *rest = read(tmp_path / "other")
    assert np.array_equal(images, again) and rest == [names, sizes]


@pytest.mark.parametrize("place", ["cifar_fs", "CIFAR-FS", "cifar100", "."])
def test_it_is_found_in_a_folder_of_its_name_and_in_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    archive = make_small(monkeypatch, tmp_path / place)
    assert str(cifar_fs.find_source(tmp_path)) == str(archive)
    assert cifar_fs.find_source(tmp_path / "nowhere") is None and cifar_fs.find_source(None) is None


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *values: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of this machine that gives the files of a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_it_is_fetched_by_torchvision_where_it_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_small(monkeypatch, tmp_path / "server")
    with served(archive.parent) as address:
        monkeypatch.setattr(CIFAR100, "url", f"{address}/{ARCHIVE}")
        source = cifar_fs.fetch_source(tmp_path / "downloads", data_root=None, notice=lambda message: None)
        with pytest.raises(DataMissingError, match="cannot be downloaded"):
            monkeypatch.setattr(CIFAR100, "tgz_md5", "0" * 32)
            cifar_fs.fetch_source(tmp_path / "others", data_root=None, notice=lambda message: None)
    assert source.path.read_bytes() == archive.read_bytes()


def test_without_a_network_the_message_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CIFAR100, "url", f"http://127.0.0.1:9/{ARCHIVE}")
    with pytest.raises(DataMissingError, match=r"found: nothing named cifar_fs.* Put cifar-100-python.tar.gz .* named cifar_fs"):
        cifar_fs.fetch_source(tmp_path / "downloads", data_root=tmp_path, notice=lambda message: None)


class Trap:
    """A pickle of it creates a file when it is opened."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.sprung,)


@pytest.mark.parametrize("changed", ["train", "test", "meta"])
def test_a_pickle_of_another_checksum_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    folder = extracted(make_small(monkeypatch, tmp_path / "made"), tmp_path)
    (folder / changed).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    source = cifar_fs.find_source(tmp_path)
    assert source == cifar_fs.Cifar100Source(folder)
    with pytest.raises(DataCorruptError, match="another checksum"):
        cifar_fs.read_images(source)
    assert cifar_fs.inspect(source).faults and not (tmp_path / "sprung").exists()
    pickle.loads((folder / changed).read_bytes())  # the trap works
    assert (tmp_path / "sprung").exists()


def test_another_archive_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_small(monkeypatch, tmp_path)
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(DataCorruptError, match=f"{ARCHIVE} is not CIFAR-100's archive"):
        read(tmp_path)


def test_classes_of_other_names_and_sizes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch, tmp_path, names=["aeroplane", *fine_names()[1:]])
    with pytest.raises(DataCorruptError, match=r"2 faults: apple has 0 images of 4; aeroplane is no class of CIFAR-100"):
        read(tmp_path)
    monkeypatch.setattr(cifar_fs, "IMAGES_PER_CLASS", 600)
    with pytest.raises(DataCorruptError, match=r"101 faults: apple has 0 images of 600; aquarium_fish has 4 images of 600; .*…"):
        read(tmp_path)


def test_an_inspection_counts_pictures_and_names_the_grey_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_a_grey_one(part: str, names: list[str]) -> np.ndarray:
        rows = pictures(part, names)
        rows[1] = 7
        return rows

    monkeypatch.setattr("tests.fsl_core.datasets.small_cifar_100.pictures", with_a_grey_one)
    make_small(monkeypatch, tmp_path)
    source, told = cifar_fs.find_source(tmp_path), []
    assert source is not None
    inspection = cifar_fs.inspect(source, progress=lambda done, total: told.append((done, total)))
    assert inspection.sizes == {(32, 32): 400} and inspection.faults == () and told == [(400, 400)]
    seventh = fine_names()[7]
    assert inspection.grey == (f"{source}: {seventh} (image 1)", f"{source}: {seventh} (image 301)")


PHOTOGRAPHS = DataSettings(dataset="cifar_fs", split="bertinetto", rotations=False)


def test_it_is_prepared_by_the_catalogue_normalised_and_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch, tmp_path / "cifar_fs")
    dataset = open_dataset(PHOTOGRAPHS, data_root=tmp_path, cache_root=tmp_path / "cache")
    check_data_set(PHOTOGRAPHS, folder=tmp_path / "cache", data_root=tmp_path)
    banks = (dataset.meta_train, dataset.meta_validation, dataset.meta_test)
    assert [len(bank.class_names) for bank in banks] == [64, 16, 20]
    assert dataset.meta_train.image_shape == image_shape(PHOTOGRAPHS) == (3, 32, 32)
    assert distinct_images(PHOTOGRAPHS) == {"meta_train": 64 * 4, "meta_validation": 16 * 4, "meta_test": 20 * 4}
    pixels = dataset.meta_test.gather(torch.arange(20), torch.zeros(20, dtype=torch.int64))
    shown = dataset.meta_test.pixels(torch.arange(20), torch.zeros(20, dtype=torch.int64))
    mean = torch.tensor([129.37731888, 124.10583864, 112.47758569]).view(3, 1, 1) / 255
    std = torch.tensor([68.20947949, 65.43124043, 70.45866994]).view(3, 1, 1) / 255
    torch.testing.assert_close(pixels, (shown - mean) / std)
    episode = EpisodeShape(way=5, shot=1, query=3)
    validation = ValidationSettings(shape=episode, every=2, episodes=2, patience=None)
    recipe = glyphs_recipe(data=PHOTOGRAPHS, episode=episode, validation=validation, steps=2, backbone=Conv4Settings(filters=2))
    result = run_trial(recipe, TrialRun(folder=tmp_path / "trial", dataset=dataset, path=ExecutionPath()))
    assert result.data_digest == dataset.digest


def test_it_is_fetched_by_the_catalogue_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_small(monkeypatch, tmp_path / "server")
    assert not is_available(PHOTOGRAPHS, data_root=tmp_path, cache_root=tmp_path / "cache")
    said: list[str] = []
    with served(archive.parent) as address:
        monkeypatch.setattr(CIFAR100, "url", f"{address}/{ARCHIVE}")
        prepare(PHOTOGRAPHS, data_root=None, cache_root=tmp_path / "cache", notice=said.append)
    assert any("downloading CIFAR-100" in each for each in said)
    assert (tmp_path / "cache" / "downloads" / ARCHIVE).is_file()
    assert is_available(PHOTOGRAPHS, data_root=None, cache_root=tmp_path / "cache")
