"""Prepared images are what was prepared, to the byte, or they are refused: whatever the manifest says and whoever opens them."""

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fsl_core.datasets import prepared_images
from fsl_core.datasets.catalogue import open_dataset, prepare
from fsl_core.datasets.preparation import open_prepared
from fsl_core.datasets.prepared_images import PreparedImages, content_digest, read_prepared, write_prepared
from fsl_core.errors import DataCorruptError, DataError, DataMissingError
from fsl_core.recipe.data_settings import DataSettings

NAMES, SIZES = ["a", "b"], [2, 4]
IMAGES = np.arange(6 * 4, dtype=np.uint8).reshape(6, 1, 2, 2)
DIGEST = content_digest(IMAGES, NAMES, SIZES)
SEVERAL_BLOCKS = 40
"""Bytes in a block: the small file of these tests has four of them."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(prepared_images, "BLOCK_BYTES", SEVERAL_BLOCKS)
    (tmp_path / "set").mkdir()
    write_prepared(tmp_path / "set", IMAGES, NAMES, SIZES)
    return tmp_path / "set"


def flip(path: Path, place: int, bits: int = 1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= bits
    path.write_bytes(content)


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = manifest_of(folder)
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def as_before_blocks(folder: Path) -> None:
    """The manifest that earlier versions wrote."""
    change_manifest(folder, lambda manifest: [manifest.pop(name) for name in ("block_bytes", "blocks", "seal")])


def is_intact(prepared: PreparedImages) -> bool:
    found = (prepared.class_names, prepared.sizes, prepared.digest)
    return found == (("a", "b"), (2, 4), DIGEST) and np.array_equal(prepared.images.numpy(), IMAGES)


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("in_full", [True, False])
def test_intact_images_are_opened(folder: Path, sealed: bool, in_full: bool) -> None:
    if not sealed:
        as_before_blocks(folder)
    assert is_intact(read_prepared(folder, in_full=in_full))


@pytest.mark.parametrize("sealed", [True, False])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), bits=st.integers(1, 255), name=st.sampled_from(["images.npy", "manifest.json"]))
def test_no_changed_byte_gives_other_images(folder: Path, sealed: bool, place: int, bits: int, name: str) -> None:
    if not sealed and "seal" in manifest_of(folder):
        as_before_blocks(folder)
    intact = (folder / name).read_bytes()
    flip(folder / name, place % len(intact), bits)
    try:
        assert is_intact(read_prepared(folder))
    except DataCorruptError:
        pass
    finally:
        (folder / name).write_bytes(intact)


@pytest.mark.parametrize("place", range(0, 128 + IMAGES.nbytes, 19))
def test_a_changed_byte_of_the_array_is_refused(folder: Path, place: int) -> None:
    flip(folder / "images.npy", place)
    with pytest.raises(DataCorruptError, match="1 of 4 blocks differ"):
        read_prepared(folder)


@pytest.mark.parametrize("place", range(-IMAGES.nbytes, 0, 5))
def test_a_changed_pixel_is_refused_under_a_manifest_of_earlier_versions(folder: Path, place: int) -> None:
    as_before_blocks(folder)
    flip(folder / "images.npy", place)
    with pytest.raises(DataCorruptError, match="are not what was prepared"):
        read_prepared(folder)


def test_the_message_says_how_much_differs_and_where(folder: Path) -> None:
    for place in (SEVERAL_BLOCKS + 3, -1):
        flip(folder / "images.npy", place)
    with pytest.raises(DataCorruptError, match=r"images\.npy.*2 of 4 blocks differ, the first from byte 40"):
        read_prepared(folder)


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "names exchanged": lambda manifest: manifest["class_names"].reverse(),
    "sizes exchanged": lambda manifest: manifest["sizes"].reverse(),
    "another digest": lambda manifest: manifest.update(digest="0" * 64),
    "sizes as fractions": lambda manifest: manifest.update(sizes=[2.0, 4.0]),
    "a name more": lambda manifest: manifest["class_names"].append("c"),
    "names as a number": lambda manifest: manifest.update(class_names=7),
    "bytes as a text": lambda manifest: manifest.update(bytes=str(manifest["bytes"])),
    "no digest": lambda manifest: manifest.pop("digest"),
}


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_an_edited_manifest_is_refused(folder: Path, sealed: bool, change: str) -> None:
    if not sealed:
        as_before_blocks(folder)
    change_manifest(folder, CHANGES[change])
    with pytest.raises(DataCorruptError):
        read_prepared(folder)


def with_blocks_of(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    content = (folder / "images.npy").read_bytes()
    blocks = [content[start : start + SEVERAL_BLOCKS] for start in range(0, len(content), SEVERAL_BLOCKS)]
    return {**manifest, "blocks": [hashlib.sha256(block).hexdigest() for block in blocks]}


def test_edited_block_digests_of_changed_images_are_refused(folder: Path) -> None:
    assert with_blocks_of(folder, manifest_of(folder)) == manifest_of(folder)
    flip(folder / "images.npy", -1)
    change_manifest(folder, lambda manifest: manifest.update(with_blocks_of(folder, manifest)))
    with pytest.raises(DataCorruptError, match="are not what was prepared"):
        read_prepared(folder)


def test_a_resealed_manifest_of_changed_images_is_refused_by_the_full_check(folder: Path) -> None:
    """Whoever computes a new seal can deceive the quick look, as by changing the program; the full one asks no manifest."""
    flip(folder / "images.npy", -1)
    forged = with_blocks_of(folder, {name: value for name, value in manifest_of(folder).items() if name != "seal"})
    seal = hashlib.sha256(json.dumps(forged, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({**forged, "seal": seal}))
    with pytest.raises(DataCorruptError, match="are not what was prepared"):
        read_prepared(folder, in_full=True)


@pytest.mark.parametrize("text", ["", "[]", "7", "null", "{", "[" * 100_000, '{"bytes": 152}'])
def test_a_manifest_of_another_kind_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataCorruptError):
        read_prepared(folder)


@pytest.mark.parametrize("array", [IMAGES.astype(np.int8), np.asfortranarray(IMAGES.repeat(2, 1)), IMAGES[:, 0], IMAGES > 3])
def test_an_array_of_another_kind_is_refused(folder: Path, array: np.ndarray) -> None:
    np.save(folder / "images.npy", array)
    change_manifest(folder, lambda manifest: manifest.update(bytes=(folder / "images.npy").stat().st_size))
    with pytest.raises(DataCorruptError):
        read_prepared(folder)


@pytest.mark.parametrize("name", ["images.npy", "manifest.json"])
def test_a_file_that_changes_after_it_was_verified_is_verified_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Though its size and its time of modification are those of before."""
    monkeypatch.setattr(prepared_images, "_SETTLED_NANOSECONDS", 0)
    first = read_prepared(folder)
    assert read_prepared(folder) is first  # nothing changed: nothing is read again
    time.sleep(0.05)  # longer than the tick of a file system's clock
    before = (folder / name).stat()
    flip(folder / name, -5 if name == "images.npy" else (folder / name).read_text().index('"a"') + 1)
    os.utime(folder / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataCorruptError):
        read_prepared(folder)


def test_at_most_a_few_threads_verify_on_any_number_of_processors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Affinity shows the 256 processors of a node, not that a container may use two of them."""
    started: list[int] = []

    def pool(threads: int) -> ThreadPoolExecutor:
        started.append(threads)
        return ThreadPoolExecutor(threads)

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(256)))
    monkeypatch.setattr(prepared_images, "ThreadPoolExecutor", pool)
    assert is_intact(read_prepared(folder)) and started == [8]


def test_a_young_file_is_verified_each_time(folder: Path) -> None:
    assert read_prepared(folder) is not read_prepared(folder)


def test_damage_after_preparation_is_reported_and_repaired(folder: Path) -> None:
    flip(folder / "images.npy", -1)
    said: list[str] = []
    assert is_intact(open_prepared(folder, lambda: (IMAGES, NAMES, SIZES), notice=said.append))
    assert [sentence.split(" ")[0] for sentence in said] == ["damaged:", "preparing", "the"]
    (aside,) = folder.parent.glob("set.corrupt-*/set")
    assert str(aside.parent) in said[-1]
    assert is_intact(read_prepared(folder, in_full=True))
    with pytest.raises(DataCorruptError):
        read_prepared(aside)


def test_damaged_images_without_their_source_are_refused_and_kept(folder: Path) -> None:
    """They are not missing: a sweep would take other data in their place."""
    flip(folder / "images.npy", -1)

    def absent() -> tuple[np.ndarray, list[str], list[int]]:
        raise DataMissingError("no archive is here")

    with pytest.raises(DataCorruptError, match=r"is not what was prepared.*cannot be prepared again: no archive is here"):
        open_prepared(folder, absent, notice=lambda message: None)
    assert {path.name for path in folder.parent.iterdir()} == {"set", ".set.lock"}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.ETIMEDOUT])
def test_images_that_cannot_be_read_now_are_not_called_damaged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object) -> bytes:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", refused)
        with pytest.raises(DataError, match=os.strerror(number)) as caught:
            open_prepared(folder, lambda: (IMAGES, NAMES, SIZES), notice=lambda message: None)
    assert not isinstance(caught.value, DataCorruptError)
    assert not list(folder.parent.glob("set.corrupt-*"))
    assert is_intact(read_prepared(folder))


def test_images_on_a_failing_disk_are_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read by calls that can fail, not by a mapping, in which a bad sector kills the process."""

    def failing(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", failing)
    with pytest.raises(DataCorruptError, match="Input/output error"):
        read_prepared(folder)


def test_a_data_set_opens_with_the_same_digest_after_damage(tmp_path: Path) -> None:
    data = DataSettings(dataset="glyphs", split="glyphs")
    intact = open_dataset(data, data_root=None, cache_root=tmp_path)
    flip(tmp_path / "glyphs-28" / "images.npy", -1, 255)
    said: list[str] = []
    again = open_dataset(data, data_root=None, cache_root=tmp_path, notice=said.append)
    assert again.digest == intact.digest and "damaged" in said[0]
    assert prepare(data, data_root=None, cache_root=tmp_path).images.equal(again.meta_train.images)
