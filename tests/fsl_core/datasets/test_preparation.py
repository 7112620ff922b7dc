"""Prepared data: made once, whole or not at all, by one process or by several at once."""

import dataclasses
import errno
import fcntl
import multiprocessing
import queue
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fsl_core.datasets.catalogue import SplitDataset, open_dataset, prepare
from fsl_core.datasets.duplicates import identical_images
from fsl_core.datasets.preparation import open_prepared
from fsl_core.datasets.prepared_images import read_prepared
from fsl_core.errors import DataCorruptError
from fsl_core.recipe.data_settings import DataSettings

GLYPHS = DataSettings(dataset="glyphs", split="glyphs")


def make() -> tuple[np.ndarray, list[str], list[int]]:
    return np.arange(6 * 4, dtype=np.uint8).reshape(6, 1, 2, 2), ["a", "b"], [2, 4]


def silent(message: str) -> None:
    pass


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def no_locks(*_: object) -> None:
    """What flock answers where the file system has none."""
    raise OSError(errno.ENOLCK, "No locks available")


def test_a_data_set_is_prepared_once_and_then_opened(tmp_path: Path) -> None:
    first = open_prepared(tmp_path / "set", make, notice=silent)

    def never() -> tuple[np.ndarray, list[str], list[int]]:
        raise AssertionError("it was prepared before")

    again = open_prepared(tmp_path / "set", never, notice=silent)
    assert (again.digest, again.class_names, again.sizes) == (first.digest, ("a", "b"), (2, 4))
    assert again.images.equal(first.images)


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> tuple[np.ndarray, list[str], list[int]]:
        raise DataCorruptError("the source is damaged")

    with pytest.raises(DataCorruptError):
        open_prepared(tmp_path / "set", broken, notice=silent)
    assert names_in(tmp_path) == {".set.lock"}


@pytest.mark.parametrize("name", ["images.npy", "manifest.json"])
def test_a_truncated_file_is_reported_set_aside_and_prepared_again(tmp_path: Path, name: str) -> None:
    open_prepared(tmp_path / "set", make, notice=silent)
    broken = tmp_path / "set" / name
    broken.write_bytes(broken.read_bytes()[:-3])
    said: list[str] = []
    again = open_prepared(tmp_path / "set", make, notice=said.append)
    assert again.sizes == (2, 4)
    assert said[0].startswith("damaged: ") and "set aside" in said[-1]
    assert len(list(tmp_path.glob("set.corrupt-*/set"))) == 1


def processes() -> Any:
    """Real processes that cost little more than a fork: the server that they are forked from imports once what is slow to import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch"])
    return context


def _prepare_glyphs(cache: Path, barrier: Any, results: Any) -> None:
    said: list[str] = []
    barrier.wait()
    try:
        results.put((prepare(GLYPHS, data_root=None, cache_root=cache, notice=said.append).digest, said))
    except Exception as error:
        results.put((repr(error), said))


@pytest.mark.parametrize("damaged", [False, True])
def test_only_one_of_two_concurrent_processes_prepares(tmp_path: Path, damaged: bool) -> None:
    folder = tmp_path / "glyphs-28"
    if damaged:
        folder.mkdir()
    context = processes()
    barrier, results = context.Barrier(2), context.Queue()
    both = [context.Process(target=_prepare_glyphs, args=(tmp_path, barrier, results), daemon=True) for _ in range(2)]
    for process in both:
        process.start()
    answers = [results.get(timeout=300) for _ in both]
    for process in both:
        process.join()
    assert {digest for digest, _ in answers} == {read_prepared(folder, in_full=True).digest}
    said = [sentence for _, sentences in answers for sentence in sentences]
    assert sum(sentence.startswith("preparing") for sentence in said) == 1
    assert sum("set aside" in sentence for sentence in said) == len(list(tmp_path.glob("glyphs-28.corrupt-*"))) == damaged
    assert {name for name in names_in(tmp_path) if "corrupt" not in name} == {"glyphs-28", ".glyphs-28.lock"}


@pytest.mark.parametrize("prepared_again", [False, True])
def test_without_locks_another_process_may_set_the_damaged_folder_aside_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared_again: bool
) -> None:
    """The other is taken between this one's look at the folder and its own attempt, before or after it has prepared it again."""
    folder, honest = tmp_path / "set", tempfile.mkdtemp
    open_prepared(folder, make, notice=silent)
    (folder / "images.npy").write_bytes(b"")

    def another_first(*, prefix: str, dir: Path) -> str:
        monkeypatch.setattr(tempfile, "mkdtemp", honest)
        folder.rename(tmp_path / "set.corrupt-by-another")
        if prepared_again:
            open_prepared(folder, make, notice=silent)
        return honest(prefix=prefix, dir=dir)

    monkeypatch.setattr(fcntl, "flock", no_locks)
    monkeypatch.setattr(tempfile, "mkdtemp", another_first)
    assert open_prepared(folder, make, notice=silent).sizes == (2, 4)
    assert read_prepared(folder, in_full=True).sizes == (2, 4)
    assert len(list(tmp_path.glob("set.corrupt-*"))) == 1 + prepared_again


def _hang_half_way(folder: Path, half_way: Any) -> None:
    def names() -> Iterator[str]:  # asked for once the array is written
        half_way.set()
        time.sleep(600)
        yield "never"

    images, _, sizes = make()
    open_prepared(folder, lambda: (images, names(), sizes), notice=silent)  # type: ignore[arg-type,return-value]


def test_a_waiting_process_prepares_after_a_killed_one_and_removes_its_leftovers(tmp_path: Path) -> None:
    half_way = processes().Event()
    killed = processes().Process(target=_hang_half_way, args=(tmp_path / "set", half_way), daemon=True)
    said: queue.Queue[str] = queue.Queue()
    killed.start()
    with ThreadPoolExecutor(1) as pool:
        try:
            assert half_way.wait(300)
            assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1
            (tmp_path / ".settlers.new").mkdir()  # another data set's
            waiting = pool.submit(open_prepared, tmp_path / "set", make, notice=said.put)
            assert said.get(timeout=120) == "waiting for another process that prepares set"
            assert not waiting.done()
        finally:
            killed.kill()  # SIGKILL
        assert waiting.result(timeout=120).sizes == (2, 4)
    killed.join()
    assert names_in(tmp_path) == {"set", ".set.lock", ".settlers.new"}


def test_without_locks_possible_work_of_another_process_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", no_locks)
    (tmp_path / ".set.written").mkdir()
    assert open_prepared(tmp_path / "set", make, notice=silent).sizes == (2, 4)
    assert names_in(tmp_path) == {"set", ".set.lock", ".set.written"}


def test_glyphs_are_the_same_bytes_everywhere(glyphs: SplitDataset) -> None:
    assert glyphs.digest == "84fb759342754d35e2604d7bfa3160cd2282e98be25bd3e6ee89f4c2498bb83c"
    assert [len(bank.class_sizes) for bank in (glyphs.meta_train, glyphs.meta_validation, glyphs.meta_test)] == [400, 160, 240]


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
    assert len(plain.meta_train.class_sizes) * 4 == len(glyphs.meta_train.class_sizes)


def test_an_image_in_two_splits_is_found(glyphs: SplitDataset) -> None:
    assert identical_images(glyphs).across == ()
    test = glyphs.meta_test
    leaking = dataclasses.replace(
        test,
        class_names=(*test.class_names, "leak"),
        starts=torch.cat([test.starts, glyphs.meta_train.starts[3:4]]),
        sizes=torch.cat([test.sizes, torch.tensor([2])]),
    )
    found = identical_images(dataclasses.replace(glyphs, meta_test=leaking)).across
    assert [pair.first for pair in found] == ["meta_train: glyph003 #0", "meta_train: glyph003 #1"]
    assert [pair.second for pair in found] == ["meta_test: leak #0", "meta_test: leak #1"]
